"""A request is posted when it is made, and what it set aside is given back once when it comes to nothing.

The references are those that make each of these postings happen once.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from payouts.request import public_id
from payouts.states import RequestStatus
from payouts.storage.invariants import Invariant, Violation
from payouts.storage.money_tables import ledger_transactions, payout_requests
from payouts.storage.walk import ranges, within

ENDS = {
    RequestStatus.CANCELED: "back",
    RequestStatus.REJECTED: "back",
    RequestStatus.FAILED: "back",
    RequestStatus.REVERSED: "taken_back",
    RequestStatus.SHADOWED: "shadowed",
}
"""What the last posting of a request in a final state is called."""


def _find(connection: Connection) -> Iterator[Violation]:
    r, t = payout_requests.c, ledger_transactions.c
    query = (
        select(r.id, r.status, t.reference)
        .select_from(payout_requests)
        .outerjoin(ledger_transactions, t.request_id == r.id)
        .order_by(r.id)
    )
    for bounds in ranges(connection, r.id):
        references: dict[tuple[int, str], set[str]] = {}
        for row in connection.execute(query.where(within(r.id, bounds))):
            references.setdefault((row.id, row.status), set()).add(row.reference)
        for (request_id, status), posted in references.items():
            made = f"request:{request_id}"
            end = ENDS.get(RequestStatus(status))
            ends = {f"{made}:{name}" for name in ENDS.values()} & posted
            if made not in posted:
                yield Violation(public_id(request_id), f"{made!r} was not posted")
            if ends != ({f"{made}:{end}"} if end else set()):
                said = ", ".join(sorted(ends)) or "nothing"
                yield Violation(public_id(request_id), f"is {status}, and of its end {said} was posted")


INVARIANT = Invariant(
    promise="every request was posted, and those that ended without a payment gave back what they set aside",
    remedy="compare the request's history (`payouts payout show`) with its postings "
    "(`payouts ledger journal`)",
    find=_find,
)
