"""Our books in pages, for comparing: payouts and transfers of a window, and what the ledger says."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, select

from payouts.gateway import Window
from payouts.ids import floor_id
from payouts.ledger import LedgerKind
from payouts.leg import Leg
from payouts.machine import PAYOUT_COLUMNS, Payout
from payouts.states import AttemptStatus, LegKind, LegStatus, PayoutStatus, RequestStatus
from payouts.storage.columns import PLATFORM
from payouts.storage.ledger_rows import NO_PARTNER, platform_balance
from payouts.storage.money_tables import ledger_accounts, leg_attempts, legs, payout_requests
from payouts.storage.request_rows import LEGS
from payouts.storage.tables import payouts

CLOCKS_DIFFER_S = 60


def payouts_by_stripe_id(connection: Connection, stripe_ids: Iterable[str]) -> dict[str, Payout]:
    """The payouts held among these, read without a lock."""
    wanted = sorted(set(stripe_ids))
    if not wanted:
        return {}
    query = select(*(payouts.c[name] for name in PAYOUT_COLUMNS)).where(payouts.c.stripe_id.in_(wanted))
    return {payout.stripe_id: payout for payout in map(_payout, connection.execute(query))}


def payouts_after(
    connection: Connection, account: str, window: Window, after_id: int, limit: int
) -> Sequence[Payout]:
    """Payouts of an account that were seen first in or after the window, in the order of their ids."""
    after_id = max(after_id, floor_id((window.since_s - CLOCKS_DIFFER_S) * 1000) - 1)
    query = (
        select(*(payouts.c[name] for name in PAYOUT_COLUMNS))
        .where(payouts.c.account == account, payouts.c.id > after_id)
        .order_by(payouts.c.id)
        .limit(limit)
    )
    return [_payout(row) for row in connection.execute(query)]


def transfers_after(connection: Connection, window: Window, after_id: int, limit: int) -> list[Leg]:
    """Transfer legs that began in or after the window, in the order of their ids."""
    after_id = max(after_id, floor_id(window.since_s * 1000) - 1)
    query = LEGS.query(legs.c.id > after_id, legs.c.kind == LegKind.TRANSFER)
    return LEGS.all(connection, query.limit(limit))


def open_reversal_of(connection: Connection, request_id: int) -> Leg | None:
    """The leg of a request that waits for its transfer to be taken back."""
    is_open = legs.c.status == LegStatus.OPEN
    found = LEGS.find(connection, legs.c.request_id == request_id, legs.c.kind == LegKind.REVERSAL, is_open)
    return found[-1] if found else None


def balances_of(connection: Connection, account: str) -> dict[str, int]:
    """What the ledger says lies at Stripe, in minor units by currency; of a partner's account, only ours."""
    a = ledger_accounts.c
    if account != PLATFORM:
        rows = connection.execute(
            select(a.currency, a.balance_minor).where(a.account == account, a.kind == LedgerKind.AT_STRIPE)
        )
        return {row.currency: row.balance_minor for row in rows}
    currencies = connection.scalars(
        select(a.currency).where(
            a.account == PLATFORM, a.partner_id == NO_PARTNER, a.kind == LedgerKind.STRIPE_BALANCE
        )
    ).all()
    return {name: platform_balance(connection, LedgerKind.STRIPE_BALANCE, name) for name in currencies}


def under_way(connection: Connection, account: str) -> dict[tuple[str, LegKind], int]:
    """What may have been done at Stripe and is not recorded yet: minor units by currency and kind of leg."""
    query = (
        select(legs.c.currency, legs.c.kind, func.sum(legs.c.amount_minor).label("total"))
        .join(leg_attempts, leg_attempts.c.leg_id == legs.c.id)
        .where(leg_attempts.c.status == AttemptStatus.OPEN)
        .group_by(legs.c.currency, legs.c.kind)
    )
    if account != PLATFORM:
        query = query.where(legs.c.account == account)
    return {(row.currency, LegKind(row.kind)): int(row.total) for row in connection.execute(query)}


def shadowed(connection: Connection) -> dict[str, int]:
    """What shadow mode decided to pay and did not send, in minor units by currency."""
    r = payout_requests.c
    query = select(r.currency, func.sum(r.amount_minor).label("total")).where(
        r.status == RequestStatus.SHADOWED
    )
    return {row.currency: int(row.total) for row in connection.execute(query.group_by(r.currency))}


def _payout(row: Sequence[object]) -> Payout:
    values = dict(zip(PAYOUT_COLUMNS, row, strict=True))
    status = values["status"]
    values["status"] = PayoutStatus(str(status)) if status is not None else None
    return Payout(**values)  # type: ignore[arg-type]  # the columns are the fields
