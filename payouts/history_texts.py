"""How the longer entries of a payout's history read. Pure."""

from collections.abc import Mapping
from typing import Any

from payouts.clock import iso
from payouts.holds import Hold, HoldScope
from payouts.ledger import LedgerKind
from payouts.leg import Attempt, Leg
from payouts.money import format_money
from payouts.states import AttemptStatus, EventStatus

_CASH = frozenset(
    {
        *(LedgerKind.FUNDING, LedgerKind.STRIPE_BALANCE, LedgerKind.AT_STRIPE, LedgerKind.AT_BANK),
        LedgerKind.FEES,
    }
)
"""Where the money lies; the other kinds say whose claim it is. No movement goes from one to the other."""


def movements_text(sums: Mapping[str, int], currency: str) -> str:
    """`({"in_transit": -100, "paid": 100}, "eur")` as `in_transit → paid 1.00 EUR`.

    `sums`: what a transaction added to each ledger account; the movements are read back from them.
    """
    texts = []
    for cash in (False, True):
        flow = {kind: amount for kind, amount in sums.items() if (kind in _CASH) == cash}
        texts += [
            f"{source} → {target} {format_money(amount, currency)}" for source, target, amount in _moves(flow)
        ]
    return ", ".join(texts)


def _moves(flow: Mapping[str, int]) -> list[tuple[str, str, int]]:
    left = dict(flow)
    found = []
    for source, amount in flow.items():
        if amount >= 0:
            continue
        for target in flow:
            moved = min(-left[source], left[target])
            if moved > 0:
                left[source], left[target] = left[source] + moved, left[target] - moved
                found.append((source, target, moved))
    return found


def attempt_text(attempt: Attempt, leg: Leg | None) -> str:
    """The call with its key, how often it was sent, and why its outcome is open, or was for a while."""
    money = f" of {format_money(leg.amount_minor, leg.currency)}" if leg else ""
    text = f"{attempt.call}{money}, key {attempt.idempotency_key}, {_sent(attempt)}"
    doubt = doubt_of(attempt)
    after = f", in doubt after {doubt}" if doubt else ""
    return f"{text}{after}{'; open' if attempt.status == AttemptStatus.OPEN else ''}"


def doubt_of(attempt: Attempt) -> str | None:
    """Why the last sending that got no clear answer left the outcome open. A refusal is clear."""
    if attempt.status == AttemptStatus.REFUSED or attempt.error_code is None:
        return None
    return f"{attempt.error_code}: {attempt.error}"


def _sent(attempt: Attempt) -> str:
    if not attempt.sends:
        return "sent at least once"
    if attempt.sends == 1:
        return "sent once"
    return f"sent {attempt.sends} times, last {iso(attempt.last_sent_at_ms)}"


def answer_text(attempt: Attempt, made: str | None) -> str:
    """What came of a call; `made`: the id of what Stripe made."""
    if attempt.status == AttemptStatus.SUCCEEDED:
        return f"{attempt.call}: Stripe has made {made or 'it'}"
    if attempt.status == AttemptStatus.RELEASED:
        return f"{attempt.call}: a person found that nothing was made"
    return f"{attempt.call} refused: {attempt.error_code}: {attempt.error}"


def event_text(row: Mapping[str, Any]) -> str:
    """An event of Stripe's, with what was decided about it and why."""
    why = row["last_error"] if row["status"] in (EventStatus.DEAD, EventStatus.RETRYING) else row["reason"]
    said = f"{row['status']}: {why}" if why else row["status"]
    return f"{row['event_id']} {row['type']} of {row['object_id']}, {said}"


def hold_text(hold: Hold) -> str:
    """Why and what a hold over a payout holds back."""
    wide = {
        HoldScope.ALL: "everything",
        HoldScope.CURRENCY: f"all in {hold.scope_key.upper()}",
        HoldScope.PARTNER: "the partner",
        HoldScope.ACCOUNT: "the partner's account",
        HoldScope.REQUEST: "this payout",
    }
    return f"{hold.kind} on {wide[hold.scope]}"
