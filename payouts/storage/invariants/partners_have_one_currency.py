"""A partner is credited and paid in one currency: nothing is converted, so nothing else is ever posted."""

from collections.abc import Iterator

from sqlalchemy import Connection, or_, select

from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import ledger_accounts, partners
from payouts.storage.walk import ranges, within


def _find(connection: Connection) -> Iterator[Violation]:
    a, p = ledger_accounts.c, partners.c
    query = (
        select(a.id, a.account, a.kind, a.currency, p.reference, p.currency.label("own"))
        .join(partners, p.id == a.partner_id)
        .where(or_(a.currency != p.currency, a.account != p.account))
        .order_by(a.id)
    )
    for bounds in ranges(connection, a.id):
        for row in connection.execute(query.where(within(a.id, bounds))).all():
            yield Violation(
                f"{row.account} {row.kind} {row.currency}",
                f"is a ledger account of {row.reference!r}, which is paid in {row.own}",
            )


INVARIANT = Invariant(
    promise="a partner has ledger accounts in its own currency and of its own Stripe account only",
    remedy="a partner's currency or account was changed by hand: change it back, and register another "
    "partner",
    find=_find,
)
