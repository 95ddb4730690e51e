"""Everything that is kept about one payout, read for its history. Read-only, and bounded.

Of each list the newest rows are read, up to its limit; `Rows.cut` names the lists that had more.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select, tuple_

from payouts.errors import NotFoundError, RefusedError
from payouts.history import Row, Rows, covering
from payouts.holds import Hold, targets_of
from payouts.ledger import LedgerKind
from payouts.notices import DeliveryStatus
from payouts.request import PayoutRequest, public_id, row_id_of
from payouts.storage.approval_rows import Subject
from payouts.storage.hold_rows import HOLDS
from payouts.storage.ledger_rows import partner_balances
from payouts.storage.money_tables import (
    approvals,
    holds,
    ledger_accounts,
    ledger_transactions,
    leg_attempts,
    legs,
    partners,
    payout_requests,
    postings,
    request_transitions,
)
from payouts.storage.notice_tables import notice_deliveries
from payouts.storage.partner_rows import PARTNERS
from payouts.storage.people_tables import audit
from payouts.storage.records import Records
from payouts.storage.request_rows import ATTEMPTS, LEGS, REQUESTS
from payouts.storage.tables import (
    inbox,
    inbox_attempts,
    inbox_deliveries,
    outbox,
    payout_transitions,
    payouts,
)

ROWS_MOST = 500
"""Of each list. A payout with trouble has dozens."""
SAME_REFERENCE_MOST = 5
"""How many payouts of one reference are named where it is not only one."""
NAMED_CHARS = 128
"""Of what was asked for, in an error."""
_GREATEST_ID = 2**63 - 1
_BULKY = frozenset({"payload", "body", "traceback"})
"""Columns that no history shows."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a key names: a requested payout, or Stripe's payout that is foreign."""

    request_id: int | None
    payout_id: int | None = None


def find(connection: Connection, key: str) -> Found:
    """What `key` names: `pay_…`, a row id, an id of Stripe's (`po_…`, `tr_…`, `trr_…`) or a reference.

    The first thing done with `connection`: whatever it reads from here on is of one moment. Raises
    NotFoundError; RefusedError `ambiguous` for a reference that several partners' payouts have.
    """
    if connection.dialect.name != "sqlite":  # which reads so by itself
        # Else a worker that commits between two lists would leave effects without causes.
        connection.execution_options(isolation_level="REPEATABLE READ")
    found = _by_id(connection, key)
    if found is None and key.isascii():  # Stripe's ids are, and their columns hold nothing else
        found = _by_stripe_id(connection, key)
    found = found or _by_reference(connection, key)
    if found is None:
        raise NotFoundError(
            f"there is no payout {key[:NAMED_CHARS]}: it takes pay_…, po_…, tr_…, a row id or the "
            "reference of a request"
        )
    return found


def read_rows(connection: Connection, found: Found) -> Rows:
    """All that is kept about what was found, as it is now."""
    return _Reading(connection).rows(found)


def balances_at(connection: Connection, partner_id: int, at_ms: int) -> dict[tuple[str, LedgerKind], int]:
    """All balances of a partner in minor units as of `at_ms`, that moment included, by currency and kind."""
    t, a = ledger_transactions.c, ledger_accounts.c
    rows = connection.execute(
        select(a.currency, a.kind, func.sum(postings.c.amount_minor).label("total"))
        .select_from(ledger_transactions)
        .join(postings, postings.c.transaction_id == t.id)
        .join(ledger_accounts, a.id == postings.c.ledger_account_id)
        .where(t.partner_id == partner_id, t.posted_at_ms <= at_ms, a.partner_id == partner_id)
        .group_by(a.currency, a.kind)
    )
    return {(row.currency, LedgerKind(row.kind)): int(row.total) for row in rows}


def _by_id(connection: Connection, key: str) -> Found | None:
    is_number = key.isascii() and key.isdigit()
    row_id = int(key) if is_number and len(key) <= 19 else row_id_of(key)
    if row_id is None or row_id > _GREATEST_ID:
        return None
    r = payout_requests.c
    if connection.scalar(select(r.id).where(r.id == row_id)) is not None:
        return Found(row_id)
    return _payout(connection, payouts.c.id == row_id) if is_number else None


def _by_stripe_id(connection: Connection, key: str) -> Found | None:
    found = _payout(connection, payouts.c.stripe_id == key)
    if found is not None:
        return found
    request_id = connection.scalar(select(legs.c.request_id).where(legs.c.stripe_id == key).limit(1))
    return None if request_id is None else Found(request_id)


def _payout(connection: Connection, condition: ColumnElement[bool]) -> Found | None:
    row = connection.execute(select(payouts.c.id, payouts.c.request_id).where(condition)).first()
    return None if row is None else Found(row.request_id, None if row.request_id else row.id)


def _by_reference(connection: Connection, reference: str) -> Found | None:
    # References are unique within an account; two accounts may use the same one.
    r = payout_requests.c
    query = select(r.id).where(r.reference == reference).limit(SAME_REFERENCE_MOST)
    ids = list(connection.scalars(query))
    if len(ids) > 1:
        names = ", ".join(public_id(row_id) for row_id in sorted(ids))
        raise RefusedError("ambiguous", f"{reference!r} is the reference of several payouts: {names}")
    return Found(ids[0]) if ids else None


@dataclass(slots=True)
class _Reading:
    """One reading of all lists; `cut` fills up on the way."""

    connection: Connection
    cut: list[str] = field(default_factory=list)

    def rows(self, found: Found) -> Rows:
        if found.request_id is None:
            return self._foreign(found.payout_id or 0)
        request_id = found.request_id
        request = REQUESTS.find(self.connection, payout_requests.c.id == request_id)[0]
        paid = self._newest(payouts, payouts.c.request_id == request_id)
        legs_ = self._records(LEGS, legs, legs.c.request_id == request_id)
        moves = self._newest(request_transitions, request_transitions.c.request_id == request_id)
        partner = next(iter(PARTNERS.find(self.connection, partners.c.id == request.partner_id)), None)
        stripe_ids = {row["stripe_id"] for row in paid} | {leg.stripe_id for leg in legs_}
        about = [request.public_id, *(row["stripe_id"] for row in paid if row["stripe_id"])]
        return Rows(
            request=request,
            partner=partner,
            payouts=paid,
            legs=legs_,
            attempts=self._records(ATTEMPTS, leg_attempts, leg_attempts.c.request_id == request_id),
            request_moves=moves,
            payout_moves=self._payout_moves(paid),
            holds=covering(self._holds(request), request, moves),
            approvals=self._newest(
                approvals,
                approvals.c.subject == Subject.REQUEST,
                approvals.c.subject_id == str(request_id),
            ),
            transactions=self._transactions(ledger_transactions.c.request_id == request_id),
            notices=self._notices(outbox.c.request_id == request_id),
            audit=[_read(row) for row in self._newest(audit, audit.c.subject.in_(about))],
            **self._events({stripe_id for stripe_id in stripe_ids if stripe_id}),
            balances=partner_balances(self.connection, request.partner_id),
            cut=self.cut,
        )

    def _foreign(self, payout_id: int) -> Rows:
        paid = self._newest(payouts, payouts.c.id == payout_id)
        return Rows(
            payouts=paid,
            payout_moves=self._payout_moves(paid),
            transactions=self._transactions(ledger_transactions.c.payout_id == payout_id),
            notices=self._notices(outbox.c.payout_id == payout_id),
            **self._events({row["stripe_id"] for row in paid if row["stripe_id"]}),
            cut=self.cut,
        )

    def _notices(self, condition: ColumnElement[bool]) -> list[dict[str, Any]]:
        """Notices, each with why it could not be delivered so far by one of its channels, as `last_error`."""
        found = self._newest(outbox, condition)
        d = notice_deliveries.c
        undelivered = self.connection.execute(
            select(d.outbox_id, d.last_error).where(
                d.outbox_id.in_([row["id"] for row in found]),
                *(d.status != DeliveryStatus.DELIVERED, d.last_error.is_not(None)),
            )
        )
        errors = {row.outbox_id: row.last_error for row in undelivered}
        return [{**row, "last_error": errors.get(row["id"])} for row in found]

    def _payout_moves(self, paid: Sequence[Row]) -> list[dict[str, Any]]:
        ids = [row["id"] for row in paid]
        return self._newest(payout_transitions, payout_transitions.c.payout_id.in_(ids)) if ids else []

    def _holds(self, request: PayoutRequest) -> list[Hold]:
        on = [(str(scope), key) for scope, key in targets_of(request)]
        h = holds.c
        since = or_(h.released_at_ms.is_(None), h.released_at_ms >= request.created_at_ms)
        return self._records(HOLDS, holds, tuple_(h.scope, h.scope_key).in_(on), since)

    def _transactions(self, condition: ColumnElement[bool]) -> list[dict[str, Any]]:
        found = self._newest(ledger_transactions, condition)
        a = ledger_accounts.c
        lines = self.connection.execute(
            select(postings.c.transaction_id, a.kind, a.currency, postings.c.amount_minor)
            .join(ledger_accounts, a.id == postings.c.ledger_account_id)
            .where(postings.c.transaction_id.in_([row["id"] for row in found]))
            .order_by(postings.c.id)
        ).all()
        sums: dict[int, dict[str, int]] = {}
        for line in lines:
            sums.setdefault(line.transaction_id, {})[line.kind] = line.amount_minor
        currencies = {line.transaction_id: line.currency for line in lines}
        return [
            {**row, "sums": sums.get(row["id"], {}), "currency": currencies.get(row["id"], "")}
            for row in found
        ]

    def _events(self, stripe_ids: Collection[str]) -> dict[str, Any]:
        if not stripe_ids:
            return {}
        about = inbox.c.object_id.in_(sorted(stripe_ids))
        seen = self._newest(inbox, about)
        names = {row["id"]: row["event_id"] for row in seen}
        if not names:
            return {}
        again = inbox_deliveries.c.event_id.in_(sorted(names.values()))
        failed = self._newest(inbox_attempts, inbox_attempts.c.inbox_id.in_(sorted(names)))
        return {
            "events": seen,
            "deliveries": self._newest(inbox_deliveries, again),
            "failures": [{**row, "event_id": names[row["inbox_id"]]} for row in failed],
        }

    def _newest(self, table: Table, *conditions: ColumnElement[bool]) -> list[dict[str, Any]]:
        columns = [column for column in table.c if column.name not in _BULKY]
        query = select(*columns).where(*conditions).order_by(table.c.id.desc()).limit(ROWS_MOST + 1)
        rows = self.connection.execute(query).all()
        return [dict(row._mapping) for row in self._oldest_first(table.name, rows)]

    def _records(self, records: Records[Any], table: Table, *conditions: ColumnElement[bool]) -> list[Any]:
        query = records.query(*conditions).order_by(None).order_by(table.c.id.desc()).limit(ROWS_MOST + 1)
        return self._oldest_first(table.name, records.all(self.connection, query))

    def _oldest_first(self, name: str, found: Sequence[Any]) -> list[Any]:
        if len(found) > ROWS_MOST:
            self.cut.append(name)
        return list(found[:ROWS_MOST][::-1])


def _read(entry: Row) -> Row:
    """An audit entry with its details read, where they still are what was written."""
    try:
        return {**entry, "details": json.loads(entry["details"])}
    except ValueError:
        return entry
