"""The line to the identity provider: every call over TLS, bounded in time and size, and never redirected."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client

from payouts.errors import ProviderDownError
from payouts.logs import redact
from payouts.version import VERSION

CALL_TIMEOUT_S = 5.0
"""For a whole call, from the name's lookup to the last byte."""
MAX_ANSWER_BYTES = 256 * 1024
"""Of one answer. Discovery documents and key sets have a few kilobytes."""
CAUSE_CHARS = 300

_LONG_WORD = re.compile(r"[A-Za-z0-9_-]{24,}")
_AGAIN = "try again in a minute; whoever is signed in stays so"


class ProviderLine:
    """Makes the calls to the provider that `issuer` names. `transport`, for tests, stands for the network.

    By the environment's proxy (HTTPS_PROXY, NO_PROXY), but for a provider on this machine: what goes to it is
    not encrypted, and is nobody else's.
    """

    def __init__(
        self,
        issuer: str,
        transport: httpx2.AsyncBaseTransport | None = None,
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._call_timeout_s = call_timeout_s
        self._options: dict[str, Any] = {
            "timeout": call_timeout_s,
            "follow_redirects": False,
            "trust_env": issuer.startswith("https://"),
            # Not compressed: a few bytes could grow to gigabytes after they were counted.
            "headers": {"Accept-Encoding": "identity", "User-Agent": f"payouts/{VERSION}"},
            "event_hooks": {"response": [_bound]},
        }
        if transport is None:
            self._options["verify"] = httpx2.create_ssl_context()  # made once: it takes 50 ms
        else:
            self._options["transport"] = transport

    def client(self, **about: Any) -> AsyncOAuth2Client:
        """Authlib's client for one exchange, with the limits of this line."""
        return AsyncOAuth2Client(**about, **self._options)

    async def get(
        self,
        url: str,
        what: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """The body at `url`. ProviderDownError, which calls it `what`, for anything but a whole 200."""
        async with self.answering(what, timeout_s), httpx2.AsyncClient(**self._options) as client:
            answer = await client.get(url, headers=headers)
        if answer.status_code != 200:
            raise ProviderDownError(
                f"the identity provider answered HTTP {answer.status_code} when asked for {what}: {_AGAIN}",
                status=answer.status_code,
            )
        return answer.content

    @asynccontextmanager
    async def answering(self, what: str, timeout_s: float | None = None) -> AsyncIterator[None]:
        """Turn what can go wrong with a call for `what` into ProviderDownError, in time."""
        timeout_s = timeout_s or self._call_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except (TimeoutError, httpx2.TimeoutException):
            raise ProviderDownError(
                f"the identity provider did not answer within {timeout_s:g} s when asked for {what}: {_AGAIN}"
            ) from None
        except _TooLargeError:
            raise ProviderDownError(
                f"the identity provider's answer is larger than {MAX_ANSWER_BYTES // 1024} KB or compressed "
                f"when asked for {what}: see whether OIDC_ISSUER names the right address"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ProviderDownError(
                f"the identity provider could not be asked for {what}: {_AGAIN}", cause=cause_of(error)
            ) from None


def cause_of(error: Exception) -> str:
    """`error` for the log: its class and a line of its text, without what may be a code, token or secret."""
    text = _LONG_WORD.sub("***", re.sub(r"[^\x20-\x7e]+", " ", redact(str(error))))
    return f"{type(error).__name__}: {text}"[:CAUSE_CHARS]


class _TooLargeError(Exception):
    pass


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._inner:
            read += len(chunk)
            if read > MAX_ANSWER_BYTES:
                raise _TooLargeError
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _TooLargeError
    stream = response.stream
    if isinstance(stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(stream)
