"""Which days of an account are proven: proofs laid over a calendar. Pure; a day is one of UTC."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from payouts.proof import KEPT_S, Proof

DAY_S = 86_400


class DayState(StrEnum):
    """What is known of a day."""

    PROVEN = "proven"
    """All that Stripe listed of it was in the inbox."""
    FOUND = "found"
    """The same, after events that were missing had been added."""
    INCOMPLETE = "incomplete"
    """Stripe lists events of it that are missing here and cannot be added."""
    PARTLY = "partly"
    """Some hours of it are proven."""
    NOT_PROVEN = "not_proven"
    TOO_OLD = "too_old"
    """Not proven, and older than what Stripe lists: it cannot be proven any more."""
    GOING_ON = "going_on"
    """It is not over yet."""
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Day:
    """One day, with the proof to look at; how many events had been missing (`found`) and are (`lost`)."""

    on: date
    state: DayState
    proof: Proof | None = None
    found: int = 0
    lost: int = 0


def days(proofs: Sequence[Proof], first: date, until: date, now_s: int) -> Iterator[Day]:
    """Each day from `first` to before `until`, by these proofs of one account."""
    on = first
    while on < until:
        yield _day(on, proofs, now_s)
        on += timedelta(days=1)


def start_s(on: date) -> int:
    """When a day begins."""
    return int(datetime(on.year, on.month, on.day, tzinfo=UTC).timestamp())


def _day(on: date, proofs: Sequence[Proof], now_s: int) -> Day:
    since_s = start_s(on)
    until_s = since_s + DAY_S - 1
    over = sorted(
        (p for p in proofs if p.since_s <= until_s and p.until_s >= since_s), key=lambda p: p.number
    )
    if since_s > now_s:
        return Day(on, DayState.AHEAD)
    if not over:
        return Day(on, _unproven(since_s, until_s, now_s))
    lost = [proof for index, proof in enumerate(over) if _still_lacks(proof, over[index + 1 :])]
    if lost:
        missing = sum(proof.missing - proof.healed for proof in lost)
        return Day(on, DayState.INCOMPLETE, lost[-1], lost=missing)
    complete = [proof for proof in over if proof.is_complete]
    found = sum(proof.healed for proof in complete)
    newest = next((p for p in reversed(complete) if p.since_s <= since_s and p.until_s >= until_s), None)
    if newest is not None or _covers(complete, since_s, until_s):
        state = DayState.FOUND if found else DayState.PROVEN
        return Day(on, state, newest or complete[-1], found)
    if until_s >= now_s:
        return Day(on, DayState.GOING_ON, over[-1], found)
    return Day(on, DayState.PARTLY, over[-1], found)


def _still_lacks(proof: Proof, later: Sequence[Proof]) -> bool:
    """Whether what `proof` missed is missing still: no later one over the same time says otherwise."""
    if proof.is_complete:
        return False
    return not any(p.is_complete and p.since_s <= proof.since_s and p.until_s >= proof.until_s for p in later)


def _covers(proofs: Sequence[Proof], since_s: int, until_s: int) -> bool:
    reached_s = since_s
    for proof in sorted(proofs, key=lambda each: each.since_s):
        if proof.since_s > reached_s:
            return False
        reached_s = max(reached_s, proof.until_s + 1)
    return reached_s > until_s


def _unproven(since_s: int, until_s: int, now_s: int) -> DayState:
    if until_s >= now_s:
        return DayState.GOING_ON
    return DayState.TOO_OLD if until_s < now_s - KEPT_S else DayState.NOT_PROVEN
