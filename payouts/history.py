"""The history of one payout: all that is kept about it in many tables. Pure, no database."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from payouts.holds import Hold
from payouts.ledger import LedgerKind
from payouts.leg import Attempt, Leg
from payouts.partner import Partner
from payouts.request import PayoutRequest
from payouts.states import RequestStatus

Row = Mapping[str, Any]
"""A row of a table, by the names of its columns."""


@dataclass(frozen=True, slots=True)
class Rows:
    """All that is kept about one payout. Every list is in the order of its ids, the oldest first."""

    request: PayoutRequest | None = None
    """None: a foreign payout, not asked for through this service."""
    partner: Partner | None = None
    payouts: Sequence[Row] = ()
    legs: Sequence[Leg] = ()
    attempts: Sequence[Attempt] = ()
    request_moves: Sequence[Row] = ()
    payout_moves: Sequence[Row] = ()
    holds: Sequence[Hold] = ()
    approvals: Sequence[Row] = ()
    transactions: Sequence[Row] = ()
    """Each with its `sums`: minor units by kind of ledger account."""
    notices: Sequence[Row] = ()
    audit: Sequence[Row] = ()
    events: Sequence[Row] = ()
    """Without their payloads."""
    deliveries: Sequence[Row] = ()
    """Of these events, after the first one of each."""
    failures: Sequence[Row] = ()
    """Failed attempts at these events, each with its `event_id`."""
    balances: Mapping[tuple[str, LedgerKind], int] = field(default_factory=dict)
    """The partner's, by currency and kind, in minor units."""
    cut: Sequence[str] = ()
    """The lists that had more rows than are shown: their oldest are missing."""
    not_kept: Sequence[str] = ()
    """As of a time in the past: what can no longer be told."""


STOPPABLE = (RequestStatus.AWAITING_APPROVAL, RequestStatus.QUEUED, RequestStatus.SENDING)
"""States in which a hold keeps a request from going on."""


def covering(holds: Sequence[Hold], request: PayoutRequest, moves: Sequence[Row]) -> list[Hold]:
    """The holds among `holds`, all on something that `request` belongs to, that lay over it while it could be
    stopped."""
    spans = list(_spans(request, moves))
    return [
        hold
        for hold in holds
        if any(
            status in STOPPABLE
            and (until_ms is None or hold.placed_at_ms < until_ms)
            and (hold.released_at_ms is None or hold.released_at_ms > from_ms)
            for status, from_ms, until_ms in spans
        )
    ]


def _spans(request: PayoutRequest, moves: Sequence[Row]) -> Iterator[tuple[str, int, int | None]]:
    """The states a request was in, each with when it was entered and left."""
    status = moves[0]["from_status"] if moves else request.status
    since_ms = request.created_at_ms
    for move in moves:
        if status is not None:
            yield status, since_ms, move["at_ms"]
        status, since_ms = move["to_status"], move["at_ms"]
    yield status, since_ms, None
