"""What a partner's statement is made of: sums before a time, and what changed them since."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, or_, select, union_all

from payouts.ids import floor_id
from payouts.ledger import LedgerKind
from payouts.storage.ledger_queries import postings_of
from payouts.storage.money_tables import ledger_accounts, ledger_transactions, postings
from payouts.storage.queries import by_index

PAGE = 500
POSTED_WITHIN_MS = 3_600_000
"""The ids of a transaction and of its postings are drawn one after the other, by one process: never so far
apart."""


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction of a partner, with what it added to each kind of the partner's ledger accounts."""

    id: int
    effective_at_ms: int
    kind: str
    reference: str
    description: str | None
    by_kind: dict[LedgerKind, int]


@dataclass(frozen=True, slots=True)
class Paid:
    """What was paid for a request, and stayed so, by the transaction that paid it last."""

    transaction_id: int
    paid_at_ms: int
    amount_minor: int


Place = tuple[int, int]
"""Where a transaction stands among its partner's: when it counts, in ms, and its row id."""


def sums_before(
    connection: Connection, partner_id: int, at_ms: int, through: Place | None = None
) -> dict[LedgerKind, int]:
    """What each kind of a partner's ledger accounts held at a time, by what counted before it.

    `through`: up to this place instead, its own transaction included.

    A partner may have a long history, and a join over all of it takes seconds. So an index of postings alone
    adds up what was posted by then, which is nearly the same; what counts earlier or later than it was posted
    is found by an index of transactions alone, and put right. One statement: all of it is of one moment.
    """
    t, p, a = ledger_transactions.c, postings.c, ledger_accounts.c
    kinds = {
        row.id: LedgerKind(row.kind)
        for row in connection.execute(select(a.id, a.kind).where(a.partner_id == partner_id))
    }
    if not kinds:
        return {}
    if through is None:
        counts, counts_not = [t.effective_at_ms < at_ms], [t.effective_at_ms >= at_ms]
    else:
        at_ms, same_ms = through[0], t.effective_at_ms == through[0]
        # The plain bound first, as only that narrows the index.
        earlier, later = t.effective_at_ms < at_ms, t.effective_at_ms > at_ms
        counts = [t.effective_at_ms <= at_ms, or_(earlier, and_(same_ms, t.id <= through[1]))]
        counts_not = [t.effective_at_ms >= at_ms, or_(later, and_(same_ms, t.id > through[1]))]
    by_then = floor_id(at_ms)
    own, total = p.ledger_account_id.in_(sorted(kinds)), func.sum(p.amount_minor)
    posted = select(p.ledger_account_id, total.label("total")).where(own, p.id < by_then)
    late = _moved(total, partner_id, *counts, t.id >= floor_id(at_ms - POSTED_WITHIN_MS), p.id >= by_then)
    early = _moved(-total, partner_id, *counts_not, t.id < by_then, p.id < by_then)
    each = union_all(
        by_index(posted, postings, "ledger_account_id", "id", "amount_minor").group_by(p.ledger_account_id),
        late.where(own),
        early.where(own),
    ).subquery()
    rows = connection.execute(
        select(each.c.ledger_account_id, func.sum(each.c.total).label("total")).group_by(
            each.c.ledger_account_id
        )
    )
    sums: dict[LedgerKind, int] = {}
    for row in rows:
        kind = kinds[row.ledger_account_id]
        sums[kind] = sums.get(kind, 0) + int(row.total)
    return sums


def changes(
    connection: Connection,
    partner_id: int,
    from_ms: int,
    until_ms: int,
    behind: Place | None = None,
    at_once: int | None = None,
) -> Iterator[Change]:
    """A partner's transactions of a period, in the order in which they count, page by page.

    `behind`: only those that come after this place. `at_once`: of a page, where few are wanted.
    """
    size = at_once or PAGE
    t = ledger_transactions.c
    after = (from_ms - 1, 0) if behind is None else behind
    while True:
        page = connection.execute(
            select(t.id, t.effective_at_ms, t.kind, t.reference, t.description)
            .where(
                t.partner_id == partner_id,
                t.effective_at_ms < until_ms,
                t.effective_at_ms >= after[0],
                or_(t.effective_at_ms > after[0], and_(t.effective_at_ms == after[0], t.id > after[1])),
            )
            .order_by(t.effective_at_ms, t.id)
            .limit(size)
        ).all()
        moved = postings_of(connection, [row.id for row in page])
        connection.rollback()  # however slowly it is read, no transaction stays open for it
        for row in page:
            own = [posting for posting in moved.get(row.id, []) if posting.partner_id == partner_id]
            yield Change(*row, by_kind={posting.kind: posting.amount_minor for posting in own})
        if len(page) < size:
            return
        after = (page[-1].effective_at_ms, page[-1].id)


def _moved(total: ColumnElement[Any], partner_id: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    """`total` by ledger account, over the postings of a partner's transactions that fit."""
    t, p = ledger_transactions.c, postings.c
    query = (
        select(p.ledger_account_id, total.label("total"))
        .select_from(ledger_transactions)
        .join(postings, p.transaction_id == t.id)
        .where(t.partner_id == partner_id, *conditions)
        .group_by(p.ledger_account_id)
    )
    return by_index(query, ledger_transactions, "partner_id", "effective_at_ms", "id")


def paid_between(connection: Connection, partner_id: int, from_ms: int, until_ms: int) -> list[Paid]:
    """What was paid for each request of a partner in a time, less what came back in it.

    Found as `sums_before` does it: what was posted in that time by an index of postings, the rest by one of
    transactions.
    """
    t, p, a = ledger_transactions.c, postings.c, ledger_accounts.c
    accounts = connection.scalars(
        select(a.id).where(a.partner_id == partner_id, a.kind == LedgerKind.PAID)
    ).all()
    if not accounts:
        return []
    first, end = floor_id(from_ms), floor_id(until_ms)
    moved = (
        select(t.id, t.effective_at_ms, t.request_id, p.amount_minor)
        .select_from(ledger_transactions)
        .join(postings, p.transaction_id == t.id)
        .where(
            *(t.partner_id == partner_id, t.effective_at_ms >= from_ms, t.effective_at_ms < until_ms),
            *(p.ledger_account_id.in_(accounts), t.kind != SHADOWED),
        )
    )
    then = by_index(moved, postings, "ledger_account_id", "id", "amount_minor")
    otherwise = by_index(moved, ledger_transactions, "partner_id", "effective_at_ms", "id")
    each = union_all(
        then.where(p.id >= first, p.id < end),
        otherwise.where(
            or_(t.id < first, t.id >= floor_id(until_ms - POSTED_WITHIN_MS)),
            or_(p.id < first, p.id >= end),
        ),
    ).subquery()
    e = each.c
    into = e.amount_minor > 0
    rows = connection.execute(
        select(
            func.max(case((into, e.id), else_=0)).label("transaction_id"),
            func.max(case((into, e.effective_at_ms), else_=0)).label("paid_at_ms"),
            func.sum(e.amount_minor).label("total"),
        )
        .group_by(e.request_id)
        .having(func.sum(e.amount_minor) > 0)
    )
    return [Paid(int(row.transaction_id), int(row.paid_at_ms), int(row.total)) for row in rows]


SHADOWED = "shadowed"
"""The kind of what was posted and never sent: there is nothing that a bank could return."""
