"""Where a requested payout's amount stands in the ledger, by the state of the request. Pure."""

from payouts.ledger import LedgerKind
from payouts.states import RequestStatus

PLACES: dict[RequestStatus, LedgerKind] = {
    RequestStatus.AWAITING_APPROVAL: LedgerKind.IN_TRANSIT,
    RequestStatus.QUEUED: LedgerKind.IN_TRANSIT,
    RequestStatus.SENDING: LedgerKind.IN_TRANSIT,
    RequestStatus.SENT: LedgerKind.IN_TRANSIT,
    RequestStatus.PAID: LedgerKind.PAID,
    RequestStatus.SHADOWED: LedgerKind.PAID,
    RequestStatus.RETURNED: LedgerKind.RETURNED,
    RequestStatus.REVERSING: LedgerKind.RETURNED,
}
"""Not here: unclear, which depends, and the states in which the amount is owed again."""
CLAIM_KINDS = (LedgerKind.IN_TRANSIT, LedgerKind.PAID, LedgerKind.RETURNED)


def place_of(status: RequestStatus, *, taking_back: bool) -> LedgerKind | None:
    """The kind of ledger account that holds a request's amount; None: it is owed again.

    `taking_back`: a reversal of its transfer was begun, and its outcome is open. It tells what is unclear
    about an unclear request: its payment, or the taking back of what was returned.
    """
    if status == RequestStatus.UNCLEAR:
        return LedgerKind.RETURNED if taking_back else LedgerKind.IN_TRANSIT
    return PLACES.get(status)
