"""Payouts, their transitions and their outbox rows: read under lock, written in sets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, select

from payouts.machine import PAYOUT_COLUMNS, Payout, Transition
from payouts.request import public_id
from payouts.states import DOMAIN_EVENT, PayoutStatus
from payouts.storage.bulk import insert_rows, update_rows
from payouts.storage.new_notices import NewNotice, body_of, insert_new
from payouts.storage.tables import payout_transitions, payouts

_FIELDS = [payouts.c[name] for name in PAYOUT_COLUMNS]
_FIXED = frozenset(
    {
        "id",
        "stripe_id",
        "account",
        "amount_minor",
        "currency",
        "livemode",
        "created_s",
        "created_at_ms",
    }
)
_CHANGING = tuple(name for name in PAYOUT_COLUMNS if name not in _FIXED)
_values = attrgetter(*PAYOUT_COLUMNS)
_STATUS_AT = PAYOUT_COLUMNS.index("status")


def lock_payouts(connection: Connection, stripe_ids: Iterable[str]) -> dict[str, Payout]:
    """The payouts among `stripe_ids` that exist, locked in one order and read after the lock."""
    wanted = sorted(set(stripe_ids))
    if not wanted:
        return {}
    rows = connection.execute(
        select(*_FIELDS)
        .where(payouts.c.stripe_id.in_(wanted))
        .order_by(payouts.c.stripe_id)
        .with_for_update()
    )
    return {payout.stripe_id: payout for payout in map(_payout, rows)}


def insert_payouts(connection: Connection, new: Sequence[Payout]) -> None:
    """Insert payouts seen for the first time. IntegrityError where somebody else was faster."""
    ordered = sorted(new, key=lambda payout: payout.stripe_id)
    insert_rows(connection, payouts, PAYOUT_COLUMNS, [_values(payout) for payout in ordered])


def update_payouts(connection: Connection, changed: Sequence[Payout]) -> None:
    """Write back payouts that this transaction has locked."""
    rows = [_values(payout) for payout in changed]
    update_rows(connection, payouts, PAYOUT_COLUMNS, rows, changing=_CHANGING)


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """A transition with what it belongs to and what caused it."""

    id: int
    payout: Payout
    transition: Transition
    inbox_id: int | None
    event_id: str | None
    """None, as `inbox_id`: an answer of Stripe's to a call caused it, not an event."""
    at_ms: int


def insert_transitions(connection: Connection, rows: Sequence[TransitionRow]) -> None:
    """Append to the transition log."""
    columns = (
        *("id", "account", "payout_id", "from_status", "to_status"),
        *("inbox_id", "event_id", "reason", "at_ms"),
    )
    values = [
        (
            row.id,
            row.payout.account,
            row.payout.id,
            row.transition.from_status,
            row.transition.to_status,
            row.inbox_id,
            row.event_id,
            row.transition.reason[:255],
            row.at_ms,
        )
        for row in rows
    ]
    insert_rows(connection, payout_transitions, columns, values)


@dataclass(frozen=True, slots=True)
class Notice:
    """A domain event for the outbox: at most one of a name for a payout."""

    id: int
    name: str
    payout: Payout
    event_id: str | None
    at_ms: int
    text: str = ""

    @property
    def dedupe_key(self) -> str:
        return f"{self.payout.id}:{self.name}"


def transition_notice(row: TransitionRow, notice_id: int) -> Notice:
    """The outbox row for the state that a transition reached."""
    return Notice(notice_id, DOMAIN_EVENT[row.transition.to_status], row.payout, row.event_id, row.at_ms)


def insert_notices(connection: Connection, notices: Sequence[Notice]) -> None:
    """Write outbox rows; one whose name the payout has already is left out. Raises RowIdTakenError."""
    new = [
        NewNotice(
            notice.id,
            notice.payout.account,
            notice.name,
            notice.dedupe_key,
            _body(notice),
            notice.at_ms,
            notice.payout.id,
            notice.payout.request_id,
        )
        for notice in notices
    ]
    insert_new(connection, new)


def _body(notice: Notice) -> str:
    payout = notice.payout
    body: dict[str, Any] = {
        "name": notice.name,
        "payout_id": str(payout.id),
        "request_id": public_id(payout.request_id) if payout.request_id else None,
        "stripe_id": payout.stripe_id,
        "account": payout.account,
        "status": payout.status,
        "amount_minor": payout.amount_minor,
        "currency": payout.currency,
        "arrival_date_s": payout.arrival_date_s,
        "failure_code": payout.failure_code,
        "caused_by": notice.event_id,
        "occurred_at_ms": notice.at_ms,
    }
    if notice.text:
        body["text"] = notice.text
    return body_of(body)


def _payout(row: Row[Any]) -> Payout:
    values = list(row)
    status = values[_STATUS_AT]
    values[_STATUS_AT] = PayoutStatus(status) if status is not None else None
    return Payout(*values)
