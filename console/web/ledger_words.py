"""The kinds of ledger accounts in words, in the order in which people read them."""

from collections.abc import Mapping
from dataclasses import dataclass

from payouts.ledger import PLATFORM_KINDS, LedgerKind

WORDS: dict[LedgerKind, tuple[str, str]] = {
    LedgerKind.OWED: ("Owed", "earned, and not asked for yet"),
    LedgerKind.IN_TRANSIT: ("In transit", "requested, and neither paid nor given back"),
    LedgerKind.RETURNED: ("Returned", "came back from the bank: a person sends it again or takes it back"),
    LedgerKind.PAID: ("Paid", "arrived at the bank, as far as Stripe knows"),
    LedgerKind.OVERPAID: (
        "Overpaid",
        "at the bank, and of no request: it is given back out of what is earned",
    ),
    LedgerKind.AT_STRIPE: ("At Stripe", "our money in the balance of the Stripe account"),
    LedgerKind.AT_BANK: ("At the bank", "left the Stripe account for the bank"),
    LedgerKind.CREDITS: ("Credits", "where credits come from and debits go to"),
    LedgerKind.FUNDING: ("Funding", "where the balance at Stripe is filled up from"),
    LedgerKind.STRIPE_BALANCE: ("Balance at Stripe", "the platform's own"),
    LedgerKind.FEES: ("Fees", "what Stripe kept"),
}


@dataclass(frozen=True, slots=True)
class Pot:
    """One balance with its words."""

    kind: LedgerKind
    currency: str
    amount_minor: int

    @property
    def name(self) -> str:
        return WORDS[self.kind][0]

    @property
    def meaning(self) -> str:
        return WORDS[self.kind][1]

    @property
    def is_platform(self) -> bool:
        return self.kind in PLATFORM_KINDS


def money_of(balances: Mapping[tuple[str, LedgerKind], int]) -> list[Pot]:
    """Balances by currency and kind, in the order of WORDS."""
    order = list(WORDS)
    pots = [Pot(kind, currency, amount) for (currency, kind), amount in balances.items()]
    return sorted(pots, key=lambda pot: (pot.currency, order.index(pot.kind)))
