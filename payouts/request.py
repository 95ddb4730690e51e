"""A requested payout: what was asked for, where it stands, and which moves are legal."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from payouts.errors import NotFoundError
from payouts.states import REQUEST_TRANSITIONS, RequestStatus

PREFIX = "pay_"


@dataclass(frozen=True, slots=True)
class PayoutRequest:
    """One amount for one partner; the fields are the columns of its table."""

    id: int
    account: str
    partner_id: int
    amount_minor: int
    currency: str
    status: RequestStatus
    blocked: str | None
    blocked_text: str | None
    due_at_ms: int
    tries: int
    lease_until_ms: int
    lease: str | None
    source: str
    batch_id: int | None
    reference: str | None
    requested_by: str
    statement_descriptor: str | None
    needs_approval: bool
    shadow: bool
    sent_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int

    @property
    def public_id(self) -> str:
        """How it is named outside: `pay_…`."""
        return public_id(self.id)

    def moved(self, to: RequestStatus, at_ms: int, **changes: Any) -> "PayoutRequest":
        """The request in its next state. Raises IllegalMoveError where there is no such move."""
        if to not in REQUEST_TRANSITIONS.get(self.status, frozenset()):
            raise IllegalMoveError(f"{self.public_id} cannot go from {self.status} to {to}")
        return dataclasses.replace(self, status=to, updated_at_ms=at_ms, **changes)


class IllegalMoveError(Exception):
    """A bug in this service: a move that the table of transitions does not have."""


@dataclass(frozen=True, slots=True)
class RequestMove:
    """A change of a request's state, with its reason and, where a person or token made it, the actor."""

    request: PayoutRequest
    """As it is after the move."""
    from_status: RequestStatus | None
    reason: str
    actor: str | None = None


def public_id(row_id: int) -> str:
    """The id that callers see."""
    return f"{PREFIX}{row_id}"


def no_request(name: int | str) -> NotFoundError:
    """The error where there is none of this row id, or by a name that is none."""
    if isinstance(name, int):
        return NotFoundError(
            f"there is no requested payout {public_id(name)}: `payouts payout requests` shows them"
        )
    return NotFoundError(
        f"{name[:80]!r} is no requested payout: they are named pay_…, as `payouts payout requests` shows"
    )


def row_id_of(text: str) -> int | None:
    """The row id in `pay_…`; None where the text is no such id."""
    digits = text.removeprefix(PREFIX)
    if digits == text or not digits.isascii() or not digits.isdigit() or len(digits) > 19:
        return None
    return int(digits)
