"""Reading what is sent: only so much, only for so long, and only JSON of the type that is asked for."""

import asyncio
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from api.problems import ApiError, wrong_fields

MAX_BODY_BYTES = 64 * 1024
BODY_WITHIN_S = 10.0


async def read_body(request: Request) -> bytes:
    """The body of a request. ApiError 415, 413 or 408 where it is none to read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, "not_json_type", "send JSON, with Content-Type: application/json")
    if int(_digits(request.headers.get("content-length", ""))) > MAX_BODY_BYTES:
        raise _too_large()
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                chunks.append(chunk)
    except TimeoutError:
        headers = {"Connection": "close"}
        detail = f"the body did not arrive within {BODY_WITHIN_S:.0f} s"
        raise ApiError(408, "too_slow", detail, headers=headers) from None
    except ClientDisconnect:
        raise ApiError(400, "broken_off", "the connection ended before the body was complete") from None
    return b"".join(chunks)


def decode_body(body: bytes, wanted: Any) -> Any:
    """The body as an object of `wanted`. ApiError 400 or 422."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise wrong_fields(error) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(400, "not_json", f"the body does not read as JSON: {error}") from None


def decode_query(request: Request, wanted: type[msgspec.Struct] | None) -> Any:
    """The parameters in the address as an object of `wanted`. ApiError 422."""
    said: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in said:
            raise ApiError(422, "wrong_parameters", f"{name[:40]} is given twice", where=name[:40])
        said[name] = value
    if wanted is None and said:
        unknown = next(iter(said))[:40]
        raise ApiError(422, "wrong_parameters", f"{unknown} is no parameter here", where=unknown)
    try:
        return None if wanted is None else msgspec.convert(said, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise wrong_fields(error) from None


def same_request(method: str, path: str, body: bytes) -> bytes:
    """What makes two requests the same: method, path and what the JSON says, however it is written."""
    said = msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    return f"{method} {path}\n".encode() + said


def _digits(text: str) -> str:
    return text[:20] if text.isascii() and text.isdigit() else "0"


def _too_large() -> ApiError:
    headers = {"Connection": "close"}
    return ApiError(413, "too_large", f"the body is larger than {MAX_BODY_BYTES} bytes", headers=headers)
