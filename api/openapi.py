"""The document of the API (OpenAPI 3.1), made from the same table and types as the routes."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from api import problems, schemas
from api.endpoint import STALE_SINCE
from api.keys import HEADER, KEY_CHARS, REPLAYED
from api.operation import Operation
from api.operations import OPERATIONS, PREFIX
from payouts.version import VERSION

_REF = "#/components/schemas/{name}"
_ABOUT = (
    "What a partners portal asks for: partners, credits and payouts. Amounts are whole minor units, times "
    "are ISO 8601 in UTC, ids are text. Every refusal is a problem document with a `code`."
)
_REFUSED = {
    400: "The body is no JSON, or a header is missing.",
    401: "No token, or one that lets nobody in.",
    403: "The token lacks the scope, or the address is blocked.",
    404: "There is no such partner or payout.",
    408: "The body did not arrive in time.",
    409: "Not as things stand now; `code` says why.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    422: "Something in it can never be done like that; `errors` names the field.",
    429: "More than the limit allows; Retry-After says when.",
    500: "A fault of the service's own.",
    503: "Not now; Retry-After says when.",
}


def document() -> dict[str, Any]:
    """The whole document, as an object to encode."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _described(operation)
    paths[f"{PREFIX}/live"] = {"get": _open("live", "Say whether the process answers", schemas.Live)}
    known = _open("maintenance", "Show maintenance that is announced or going on", schemas.Maintenance)
    known["responses"]["503"] = _problem(503)
    paths[f"{PREFIX}/maintenance"] = {"get": known}
    paths[f"{PREFIX}/openapi.json"] = {"get": _open("document", "This document", None)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Payouts", "version": VERSION, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": _components(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Takes a token with the scope `{operation.scope}`.",
        "security": [{"token": []}],
        "parameters": list(_parameters(operation)),
        "responses": {
            **{str(status): _answer(operation, status) for status in operation.answers},
            **{str(status): _problem(status) for status in _refusals(operation)},
        },
    }
    if operation.body is not None:
        content = {"application/json": {"schema": _schema(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _open(name: str, summary: str, answer: type[msgspec.Struct] | None) -> dict[str, Any]:
    schema = {"type": "object"} if answer is None else _schema(answer)
    refusals = {} if name == "live" else {str(status): _problem(status) for status in (403, 429)}
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {
            "200": {"description": summary, "content": {"application/json": {"schema": schema}}},
            **refusals,
        },
    }


def _answer(operation: Operation, status: int) -> dict[str, Any]:
    what = {200: "As it is now.", 201: "Done."}[status]
    if status == 200 and 201 in operation.answers:
        what = "It was there before, with the same content."
    answer: dict[str, Any] = {
        "description": what,
        "content": {"application/json": {"schema": _schema(operation.answers[status])}},
    }
    if not operation.changes:
        since = {"description": "the database did not answer: this is how it stood then"}
        answer["headers"] = {STALE_SINCE: {**since, "schema": {"type": "string", "format": "date-time"}}}
    if operation.keyed:
        replayed = {"description": "true: the answer of the first time", "schema": {"const": "true"}}
        answer["headers"] = {REPLAYED: replayed}
    return answer


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _REFUSED[status],
        "content": {problems.CONTENT_TYPE: {"schema": _schema(problems.Problem)}},
    }


def _refusals(operation: Operation) -> list[int]:
    statuses = {401, 403, 422, 429, 500, 503}
    if operation.body is not None:
        statuses |= {400, 408, 409, 413, 415}
    if "{" in operation.path or operation.keyed or operation.query is schemas.PayoutQuery:
        statuses.add(404)
    return sorted(statuses)


def _parameters(operation: Operation) -> Iterable[Mapping[str, Any]]:
    for name in re.findall(r"{(\w+)}", operation.path):
        what = "pay_…" if name == "id" else "the partner's reference or acct_…"
        schema = {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "description": what, "schema": schema}
    if operation.query is not None:
        for name, schema in _components_of(operation.query)[operation.query.__name__]["properties"].items():
            yield {"name": name, "in": "query", "schema": schema}
    if operation.keyed:
        schema = {"type": "string", "minLength": 1, "maxLength": KEY_CHARS, "pattern": "^[!-~]+$"}
        what = "your own name for this one request: sent again, it gets the first answer"
        yield {"name": HEADER, "in": "header", "required": True, "description": what, "schema": schema}


def _schema(of: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([of], ref_template=_REF)
    return schema


def _components() -> dict[str, Any]:
    used: list[Any] = [schemas.Live, schemas.Maintenance, problems.Problem]
    for operation in OPERATIONS:
        used += [of for of in (*operation.answers.values(), operation.body) if of is not None]
        if operation.query is not None:
            used += [field.type for field in msgspec.structs.fields(operation.query)]
    return _components_of(*used)


def _components_of(*types: Any) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    return dict(components)
