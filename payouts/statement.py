"""A partner's statement: what it was owed at the beginning and the end of a period, and what changed that.

The balance is what the platform owes: not paid yet, whether it was asked for (on its way), came back
(returned) or neither. It can be less than nothing. A payment counts when Stripe calls it paid; while the bank
can still return it, it is shown as unsettled.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from payouts.errors import RefusedError
from payouts.ledger import LedgerKind
from payouts.partner import Partner
from payouts.settling import WINDOW_MS, settles_at_ms
from payouts.storage import statement_queries
from payouts.storage.statement_queries import Change, Place

CLAIM = (LedgerKind.OWED, LedgerKind.IN_TRANSIT, LedgerKind.RETURNED)
"""What together is owed to a partner."""


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A transaction that changed what is owed, and what was owed after it. `unsettled`: so much of it may
    still be returned by the bank."""

    effective_at_ms: int
    kind: str
    reference: str
    description: str | None
    amount_minor: int
    balance_minor: int
    unsettled_minor: int
    transaction_id: int

    @property
    def place(self) -> Place:
        """Where the lines behind it begin."""
        return self.effective_at_ms, self.transaction_id


@dataclass(frozen=True, slots=True)
class Statement:
    """The frame of a statement; its lines are read one by one, however many there are."""

    partner: Partner
    from_ms: int
    until_ms: int
    opening_minor: int
    closing_minor: int
    owed_minor: int
    """Of the closing balance: not asked for yet."""
    in_transit_minor: int
    """Of the closing balance: requested, and neither paid nor given back."""
    returned_minor: int
    """Of the closing balance: came back from the bank."""
    unsettled_minor: int
    """Paid so shortly before the end that the bank can still return it: no part of the closing balance."""
    unsettled: dict[int, int]
    """The same by the transaction that paid it."""

    def lines(
        self, connection: Connection, behind: Place | None = None, at_once: int | None = None
    ) -> Iterator[StatementLine]:
        """The lines in the order in which they count, read page by page; those after `behind`, if given.

        `at_once`: how many transactions are read for them at a time, where few are wanted.
        """
        balance_minor = self.opening_minor
        if behind is not None:
            sums = statement_queries.sums_before(connection, self.partner.id, self.from_ms, behind)
            balance_minor = sum(sums.get(kind, 0) for kind in CLAIM)
        times = (self.from_ms, self.until_ms)
        for change in statement_queries.changes(connection, self.partner.id, *times, behind, at_once):
            amount_minor = sum(change.by_kind.get(kind, 0) for kind in CLAIM)
            if amount_minor:
                balance_minor += amount_minor
                yield self._line(change, amount_minor, balance_minor)

    def _line(self, change: Change, amount_minor: int, balance_minor: int) -> StatementLine:
        return StatementLine(
            *(change.effective_at_ms, change.kind, change.reference, change.description),
            *(amount_minor, balance_minor),
            unsettled_minor=self.unsettled.get(change.id, 0),
            transaction_id=change.id,
        )


def statement(
    connection: Connection, partner: Partner, from_ms: int, until_ms: int, now_ms: int
) -> Statement:
    """The statement of a partner from `from_ms` to before `until_ms`. RefusedError `bad_period`.

    Transactions with an earlier date that are posted later change it, until their month is closed.
    """
    if from_ms >= until_ms:
        raise RefusedError("bad_period", "a statement ends after it begins")
    opening = statement_queries.sums_before(connection, partner.id, from_ms)
    closing = statement_queries.sums_before(connection, partner.id, until_ms)
    unsettled = _unsettled(connection, partner, min(until_ms, now_ms + 1))
    return Statement(
        partner,
        *(from_ms, until_ms),
        opening_minor=sum(opening.get(kind, 0) for kind in CLAIM),
        closing_minor=sum(closing.get(kind, 0) for kind in CLAIM),
        owed_minor=closing.get(LedgerKind.OWED, 0),
        in_transit_minor=closing.get(LedgerKind.IN_TRANSIT, 0),
        returned_minor=closing.get(LedgerKind.RETURNED, 0),
        unsettled_minor=sum(unsettled.values()),
        unsettled=unsettled,
    )


def _unsettled(connection: Connection, partner: Partner, as_of_ms: int) -> dict[int, int]:
    paid = statement_queries.paid_between(connection, partner.id, as_of_ms - WINDOW_MS, as_of_ms)
    return {
        each.transaction_id: each.amount_minor for each in paid if settles_at_ms(each.paid_at_ms) > as_of_ms
    }
