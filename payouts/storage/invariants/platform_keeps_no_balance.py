"""The platform's ledger accounts keep no balance: one row that every payment changes would be waited for by
all. And what is the platform's never belongs to a partner, nor the other way round."""

from collections.abc import Iterator

from sqlalchemy import Connection, and_, or_, select

from payouts.ledger import PLATFORM_KINDS
from payouts.storage.columns import PLATFORM
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.ledger_rows import NO_PARTNER
from payouts.storage.money_tables import ledger_accounts
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    a = ledger_accounts.c
    own = a.kind.in_(sorted(PLATFORM_KINDS))
    wrong = or_(
        and_(own, or_(a.balance_minor != 0, a.partner_id != NO_PARTNER, a.account != PLATFORM)),
        and_(~own, or_(a.partner_id == NO_PARTNER, a.account == PLATFORM)),
    )
    query = select(a.id, a.account, a.kind, a.partner_id, a.balance_minor).where(wrong).order_by(a.id)
    for bounds in ranges(connection, a.id):
        for row in connection.execute(query.where(within(a.id, bounds))).all():
            yield Violation(
                f"{row.account} {row.kind}",
                f"belongs to partner {row.partner_id} and keeps {row.balance_minor}",
            )


INVARIANT = Invariant(
    promise="the platform's ledger accounts are its own and keep no balance",
    remedy="a ledger account was changed by hand: set balance_minor back to 0 and its owner to what it was",
    find=_find,
)
