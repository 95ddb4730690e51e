"""What is to be done next about a requested payout: a pure decision from its rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from payouts.calls import KEY_LIFE_MS, Doubt
from payouts.leg import Attempt, Leg
from payouts.request import PayoutRequest
from payouts.states import AttemptStatus, LegKind, LegStatus, RequestStatus


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """Make a new attempt, at `leg` or at a new leg of this kind."""

    kind: LegKind
    leg: Leg | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send the same frozen call with the same key again: its outcome is not known."""

    leg: Leg
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask Stripe whether the object is there. The call is not sent again."""

    leg: Leg
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing is left to be called."""


Step = NewAttempt | Repeat | LookUp | Nothing


def next_step(
    request: PayoutRequest,
    legs: Sequence[Leg],
    attempts: Sequence[Attempt],
    now_ms: int,
    *,
    pays_out_by_itself: bool = False,
) -> Step:
    """The next call for a request that may be sent now; `legs` and `attempts` oldest first.

    `pays_out_by_itself`: Stripe pays the account out on a schedule of its own, so the transfer is all.
    """
    by_id = {leg.id: leg for leg in legs}
    for attempt in attempts:
        if attempt.status == AttemptStatus.OPEN:
            only_look = (
                now_ms - attempt.first_sent_at_ms >= KEY_LIFE_MS
                or attempt.error_code in (Doubt.REPEATED_ERROR, Doubt.RESTORED)
                or request.status == RequestStatus.UNCLEAR
            )
            leg = by_id[attempt.leg_id]
            return LookUp(leg, attempt) if only_look else Repeat(leg, attempt)
    if request.status == RequestStatus.REVERSING:
        reversal = _unless_done(LegKind.REVERSAL, legs)
        last = last_leg(legs, LegKind.REVERSAL)
        # One that was refused is no end: whoever takes back again means a new one.
        return NewAttempt(LegKind.REVERSAL, None) if last and last.status == LegStatus.FAILED else reversal
    transfer = _unless_done(LegKind.TRANSFER, legs)
    if not isinstance(transfer, Nothing) or pays_out_by_itself:
        return transfer
    return _unless_done(LegKind.PAYOUT, legs)


def goes_out(step: Step, legs: Sequence[Leg]) -> bool:
    """Whether a step sends money that no call before it sent."""
    if not isinstance(step, NewAttempt):
        return False
    if step.leg is None:
        return step.kind == LegKind.TRANSFER
    return takes_money_out(step.leg, legs)


def takes_money_out(leg: Leg, legs: Sequence[Leg]) -> bool:
    """Whether a leg sends money out anew: the transfer does, and the payout of a retry. The first payout only
    sends on what the transfer brought."""
    if leg.kind == LegKind.PAYOUT:
        return any(other.kind == LegKind.PAYOUT and other.id < leg.id for other in legs)
    return leg.kind == LegKind.TRANSFER


def _unless_done(kind: LegKind, legs: Sequence[Leg]) -> NewAttempt | Nothing:
    last = last_leg(legs, kind)
    if last is None or last.status == LegStatus.OPEN:
        return NewAttempt(kind, last)
    return Nothing()


def last_leg(legs: Sequence[Leg], kind: LegKind) -> Leg | None:
    """The newest leg of a kind."""
    return next((leg for leg in reversed(legs) if leg.kind == kind), None)
