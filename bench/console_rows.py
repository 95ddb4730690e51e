"""How much a large installation has after half a year, and what its rows say of each other: as SQL.

Row ids are laid out as `payouts.ids` does: they grow with the time that a row tells of.
"""

from dataclasses import dataclass

from payouts.clock import now_ms
from payouts.ids import COUNTER_BITS, EPOCH_MS, NODE_BITS

DAYS = 180
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
CAUSES = 40
TYPE_OF_FEW, STATUS_OF_FEW = "payout.reconciliation_completed", "deferred"
"""So few events, all of them in the oldest twentieth."""
REQUEST_STATUS_OF_FEW = "unclear"


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is. The rest follows: three transitions a payout, five ledger transactions, …"""

    events: int
    payouts: int
    until_ms: int

    @property
    def partners(self) -> int:
        return max(self.payouts // 50, 20)

    @property
    def dead_each(self) -> int:
        return 50

    @property
    def audit(self) -> int:
        return self.payouts // 5

    @property
    def since_ms(self) -> int:
        return self.until_ms - DAYS * DAY_MS

    def at(self, number: str, count: int) -> str:
        """When the row `number` of `count` was made: evenly over DAYS."""
        return f"({self.since_ms} + {number} * {DAYS * DAY_MS} DIV {count})"

    # --- what rows of other tables name, by their number -----------------------------------------------

    def partner_of(self, payout: str) -> str:
        """Skewed: the first partner has one payout in 140 of 20,000 partners, the last one in 40,000."""
        return f"FLOOR(POW({spread(payout, 'p')}, 2) * {self.partners})"

    def partner_id(self, partner: str) -> str:
        return row_id(f"({self.since_ms - 20 * DAY_MS} + {partner})", partner)

    def request_id(self, payout: str) -> str:
        return row_id(self.at(payout, self.payouts), payout)

    def payout_id(self, payout: str) -> str:
        return row_id(f"({self.at(payout, self.payouts)} + 5000)", payout)

    def inbox_id(self, event: str) -> str:
        return row_id(self.at(event, self.events), event)

    def ledger_account(self, partner: str, kind: str) -> str:
        number = f"({partner} * 8 + {kind})"
        return row_id(f"({self.since_ms - 10 * DAY_MS} + {number})", number)

    def payout_of(self, event: str) -> str:
        return f"LEAST(({event} - 1) DIV {self.events // self.payouts} + 1, {self.payouts})"

    def request_status(self, payout: str) -> str:
        n, p = self.payouts, payout
        return (
            f"CASE WHEN {p} > {n - n // 5000} THEN 'awaiting_approval' "
            f"WHEN {p} > {n - n // 450} THEN 'queued' "
            f"WHEN {p} > {n - n // 440} THEN 'sending' WHEN {p} > {n - n // 125} THEN 'sent' "
            f"WHEN {p} <= {n // 20} AND {p} MOD {max(n // 100, 1)} = 19 THEN '{REQUEST_STATUS_OF_FEW}' "
            f"WHEN {p} MOD 500 = 7 THEN 'returned' WHEN {p} MOD 400 = 9 THEN 'failed' "
            f"WHEN {p} MOD 250 = 11 THEN 'canceled' WHEN {p} MOD 1000 = 13 THEN 'rejected' "
            f"WHEN {p} MOD 2000 = 17 THEN 'reversed' ELSE 'paid' END"
        )

    def event_status(self, event: str) -> str:
        n, e = self.events, event
        return (
            f"CASE WHEN {e} > {n - 30} THEN 'received' WHEN {e} > {n - 100} THEN 'retrying' "
            f"WHEN {e} MOD {self.dead_each} = 3 THEN 'dead' WHEN {e} MOD 10000 = 5 THEN 'dismissed' "
            f"WHEN {e} <= {n // 20} AND {e} MOD {n // 200} = 7 THEN '{STATUS_OF_FEW}' "
            f"WHEN {e} MOD 5 = 4 THEN 'ignored' ELSE 'applied' END"
        )

    def event_type(self, event: str) -> str:
        n, e = self.events, event
        return (
            f"CASE WHEN {e} <= {n // 20} AND {e} MOD {n // 100} = 7 THEN '{TYPE_OF_FEW}' "
            f"WHEN {e} MOD 10000 = 1 THEN 'payout.canceled' WHEN {e} MOD 5 = 1 THEN 'payout.created' "
            f"WHEN {e} MOD 5 = 2 THEN 'payout.updated' WHEN {e} MOD 5 = 3 THEN 'payout.paid' "
            f"WHEN {e} MOD 5 = 4 THEN 'balance.available' ELSE 'account.updated' END"
        )


def new_size(events: int, payouts: int) -> Size:
    """What lies before now."""
    return Size(events, payouts, now_ms())


def row_id(at: str, number: str) -> str:
    """An id of `payouts.ids` made at `at`, the twelve bits as if drawn by chance."""
    bits = NODE_BITS + COUNTER_BITS
    node = f"(CRC32({number}) & {(1 << NODE_BITS) - 1})"
    counter = f"({number} & {(1 << COUNTER_BITS) - 1})"
    return f"(({at} - {EPOCH_MS} << {bits}) | ({node} << {COUNTER_BITS}) | {counter})"


def account_of(partner: str) -> str:
    return f"CONCAT('acct_', LPAD({partner}, 16, '0'))"


def payout_name(payout: str) -> str:
    return f"CONCAT('po_', LEFT(SHA1({payout}), 24))"


def event_name(event: str) -> str:
    return f"CONCAT('evt_', LEFT(SHA1(CONCAT('e', {event})), 24))"


def amount(payout: str) -> str:
    return f"(CRC32({payout}) MOD 200000 + 100)"


def cause_of(event: str) -> str:
    """Of CAUSES, the first with four in ten, the last with one in 160."""
    return f"FLOOR(POW({spread(event, 'c')}, 4) * {CAUSES})"


def fingerprint(cause: str) -> str:
    return f"LPAD(LOWER(HEX({cause})), 16, '0')"


def spread(number: str, salt: str) -> str:
    """Between 0 and 1, as if by chance, and the same each time."""
    return f"(CRC32(CONCAT('{salt}', {number})) / 4294967296)"
