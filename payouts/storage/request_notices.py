"""Outbox rows about requested payouts, written with the change they tell of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker
from payouts.request import PayoutRequest
from payouts.storage.bulk import insert_rows
from payouts.storage.payout_rows import PENDING_DELIVERY
from payouts.storage.tables import outbox


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
    """Write outbox rows; one whose name the request has already for the occasion is left out."""
    columns = (
        *("id", "account", "name", "request_id", "dedupe_key"),
        *("body", "status", "due_at_ms", "created_at_ms"),
    )
    values = [
        (
            *(make_id(), notice.request.account, notice.name, notice.request.id, notice.dedupe_key),
            *(_body(notice), PENDING_DELIVERY, notice.at_ms, notice.at_ms),
        )
        for notice in notices
    ]
    if insert_rows(connection, outbox, columns, values, skip="dedupe_key") == len(notices):
        return
    keys = {notice.dedupe_key for notice in notices}
    stored = connection.scalars(select(outbox.c.dedupe_key).where(outbox.c.dedupe_key.in_(keys)))
    missing = keys - set(stored)
    if missing:
        # Left out although their name is new: another process drew the same row id.
        raise RowIdTakenError(f"row ids for outbox rows {sorted(missing)[:3]} are taken")


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
    return msgspec.json.encode(body).decode()
