"""Everything that speaks against a request, as problem details (RFC 9457): one table, one form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from api.schemas import Maintenance
from payouts.errors import NotFoundError, PayoutsError, RefusedError
from payouts.guard import BlockedError
from payouts.rates import RateLimitedError
from payouts.storage.engine import is_unavailable
from payouts.tokens import TokenError

RETRY_AFTER_S = 5
CONTENT_TYPE = "application/problem+json"


class FieldError(msgspec.Struct):
    """What is wrong with one field, as `amount_minor`; of a header or a parameter, its name."""

    field: str
    detail: str


class Problem(msgspec.Struct, omit_defaults=True):
    """Why a request was not done. `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    """The same as in the header X-Request-Id, and in the service's log."""
    errors: list[FieldError] = []
    maintenance: Maintenance | None = None
    """With the code `maintenance`: what is going on, and until when as far as is known."""


class ApiError(PayoutsError):
    """Something about the request itself is not as it must be, before anything was looked up."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        where: str | None = None,
        headers: Mapping[str, str] | None = None,
        maintenance: Maintenance | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.where = status, code, where
        self.headers = dict(headers or {})
        self.maintenance = maintenance


@dataclass(frozen=True, slots=True)
class Told:
    """An error as it is told: status, code and words, the field it is about, and headers."""

    status: int
    code: str
    detail: str
    where: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    maintenance: Maintenance | None = None

    def problem(self, request_id: str) -> Problem:
        """The body that says so."""
        return Problem(
            type=f"urn:payouts:problem:{self.code}",
            title=self.code.replace("_", " ").capitalize(),
            status=self.status,
            detail=self.detail,
            code=self.code,
            request_id=request_id,
            errors=[FieldError(self.where, self.detail)] if self.where else [],
            maintenance=self.maintenance,
        )


REFUSALS: dict[str, tuple[int, str | None]] = {
    # 422: what was said can never be done like that. The field is the one that says it.
    "bad_account": (422, "account"),
    "bad_amount": (422, "amount_minor"),
    "bad_currency": (422, "currency"),
    "bad_date": (422, "effective_at"),
    "bad_description": (422, "description"),
    "bad_descriptor": (422, "statement_descriptor"),
    "bad_email": (422, "email"),
    "bad_name": (422, "name"),
    "bad_period": (422, "effective_at"),
    "bad_reference": (422, "reference"),
    "idempotency_key_reused": (422, "Idempotency-Key"),
    "reason_missing": (422, "reason"),
    "reason_too_long": (422, "reason"),
    "wrong_currency": (422, "currency"),
    # 409: not as things stand now. The same request may be fine later, or under another name.
    "being_sent": (409, None),
    "below_minimum": (409, None),
    "daily_limit": (409, None),
    "idempotency_key_in_use": (409, None),
    "not_cancelable": (409, None),
    "not_enough_owed": (409, None),
    "nothing_due": (409, None),
    "partner_blocked": (409, None),
    "period_closed": (409, None),
    "reference_taken": (409, "reference"),
}
"""The refusals of the domain, by code: status, and the field of the request. Others are a 409."""


def told(error: Exception) -> Told | None:
    """How a caller is told of `error`; None where it is a fault of the service's own."""
    if isinstance(error, ApiError):
        return Told(
            *(error.status, error.code, str(error), error.where, error.headers), maintenance=error.maintenance
        )
    if isinstance(error, TokenError):
        return Told(401, error.code, str(error), headers=challenge('error="invalid_token"'))
    if isinstance(error, RateLimitedError):
        return Told(429, "rate_limited", str(error), headers={"Retry-After": str(error.rate.reset_s)})
    if isinstance(error, BlockedError):
        return Told(403, error.code, str(error))
    if isinstance(error, RefusedError):
        return _refused(error)
    if isinstance(error, NotFoundError):
        return Told(404, "not_found", str(error))
    if is_away(error):
        return unavailable("the database does not answer just now: send it again in a few seconds")
    return None


def is_away(error: Exception) -> bool:
    """Whether the database does not answer just now."""
    transient = isinstance(error, PayoutsError) and error.transient
    return transient or (isinstance(error, SQLAlchemyError | OSError) and is_unavailable(error))


def challenge(more: str = "") -> dict[str, str]:
    """The header that says how to be let in (RFC 6750)."""
    return {"WWW-Authenticate": ", ".join(filter(None, ['Bearer realm="payouts"', more]))}


def unavailable(detail: str, code: str = "unavailable") -> Told:
    """Not now: the same request can be sent again."""
    return Told(503, code, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def wrong_fields(error: msgspec.ValidationError) -> ApiError:
    """What does not fit the type that is asked for, with the field it is about."""
    detail, _, path = str(error).partition(" - at `")
    if unknown := _UNKNOWN.search(detail):
        path = f"{path.rstrip('`')}.{unknown[1]}"
    elif missing := _MISSING.search(detail):
        path = f"{path.rstrip('`')}.{missing[1]}"
    return ApiError(422, "wrong_fields", detail, where=path.strip("`").removeprefix("$").lstrip(".") or None)


_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")


def _refused(error: RefusedError) -> Told:
    if error.code == "not_allowed":
        return Told(403, error.code, str(error), headers=challenge('error="insufficient_scope"'))
    status, where = REFUSALS.get(error.code, (409, None))
    headers = {"Retry-After": "1"} if error.code == "idempotency_key_in_use" else {}
    return Told(status, error.code, str(error), where, headers)
