"""Outbox rows about requested payouts, written with the change they tell of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from payouts.ids import IdMaker
from payouts.request import PayoutRequest
from payouts.storage.new_notices import NewNotice, body_of, insert_new


@dataclass(frozen=True, slots=True)
class RequestNotice:
    """A domain event for the outbox: at most one of a name for a request, and for an `occasion` of it where
    the same can happen again."""

    name: str
    request: PayoutRequest
    at_ms: int
    text: str = ""
    occasion: str = ""
    about: Mapping[str, object] = field(default_factory=dict)
    """More of its body."""

    @property
    def dedupe_key(self) -> str:
        return f"{self.request.id}:{self.name}" + (f":{self.occasion}" if self.occasion else "")


def insert_request_notices(
    connection: Connection, notices: Sequence[RequestNotice], make_id: IdMaker
) -> None:
    """Write outbox rows; one whose name the request has already for the occasion is left out.

    Raises RowIdTakenError.
    """
    new = [
        NewNotice(
            *(make_id(), notice.request.account, notice.name, notice.dedupe_key, _body(notice), notice.at_ms),
            request_id=notice.request.id,
        )
        for notice in notices
    ]
    insert_new(connection, new)


def _body(notice: RequestNotice) -> str:
    request = notice.request
    body: dict[str, Any] = {
        "name": notice.name,
        "request_id": request.public_id,
        "account": request.account,
        "partner_id": str(request.partner_id),
        "status": request.status,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "reference": request.reference,
        "requested_by": request.requested_by,
        **notice.about,
        "occurred_at_ms": notice.at_ms,
    }
    if notice.text:
        body["text"] = notice.text
    return body_of(body)
