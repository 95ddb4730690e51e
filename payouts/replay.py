"""A replay: events that are run once more because a person says so, and what came of each.

Deliberate, so it really runs the code on every event, whatever is kept about it; and yet it changes nothing
that was right already, for the state machine and the ledger take nothing twice.
"""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from payouts.clock import iso
from payouts.errors import RefusedError
from payouts.states import EventStatus

RATE_PER_S = 100
"""The usual rate of a replay: well below what live traffic is handled at."""
RATE_MOST_PER_S = 100_000
EVENTS_MOST = 1_000
"""How many events a replay may name one by one."""
PUBLIC_PREFIX = "rep_"


class ReplayStatus(StrEnum):
    """Where a replay stands."""

    SELECTING = "selecting"
    """Its events are being found. Left by a worker."""
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    """So many events that a second person must confirm it."""
    RUNNING = "running"
    """Workers go through its events, in order."""
    PAUSED = "paused"
    """An operator paused it."""
    DONE = "done"
    """Every event had its turn. Final."""
    CANCELED = "canceled"
    """Called off; what had its turn stays as it is. Final."""


OPEN_REPLAY_STATUSES = (
    ReplayStatus.SELECTING,
    ReplayStatus.AWAITING_CONFIRMATION,
    ReplayStatus.RUNNING,
    ReplayStatus.PAUSED,
)
WORKED_ON = (ReplayStatus.SELECTING, ReplayStatus.RUNNING)
"""A worker has something to do for these."""


class ItemOutcome(StrEnum):
    """What came of one event of a replay."""

    TODO = "todo"
    """It was not its turn yet."""
    APPLIED = "applied"
    """It changed something."""
    UNCHANGED = "unchanged"
    """It ran, and all was right already; the detail says why."""
    WAITING = "waiting"
    """It is blocked, or failed and is tried again by itself: the event's own row says what becomes of it."""
    FAILED = "failed"
    """It failed for good: dead (again), or it was through and could not be run, as the detail says."""


OUTCOME_OF: dict[EventStatus, ItemOutcome] = {
    EventStatus.APPLIED: ItemOutcome.APPLIED,
    EventStatus.IGNORED: ItemOutcome.UNCHANGED,
    EventStatus.DEFERRED: ItemOutcome.WAITING,
    EventStatus.RETRYING: ItemOutcome.WAITING,
    EventStatus.DEAD: ItemOutcome.FAILED,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events. All that is set must fit; nothing set: none (that would be everything by accident)."""

    events: tuple[str, ...] = ()
    """Stripe's ids."""
    fingerprint: str | None = None
    """Events that stand failed now, by the cause of their last failure."""
    status: str | None = None
    type: str | None = None
    account: str | None = None
    object_id: str | None = None
    error: str | None = None
    """A part of the cause's class, place or message, in whatever case."""
    since_ms: int | None = None
    until_ms: int | None = None
    """When they were received; `until_ms` itself is not included."""

    def __post_init__(self) -> None:
        if not any(getattr(self, f.name) not in (None, ()) for f in dataclasses.fields(self)):
            raise RefusedError("no_selection", "say which events: by id, group, filter or time")
        if len(self.events) > EVENTS_MOST:
            text = f"{len(self.events)} events by name are too many, {EVENTS_MOST} may be named: use a filter"
            raise RefusedError("too_many_events", text)
        if self.status is not None and self.status not in set(EventStatus):
            text = f"an event's status is one of {', '.join(EventStatus)}, not {self.status!r}"
            raise RefusedError("bad_status", text)

    @property
    def about_failures(self) -> bool:
        """Whether only events that stand failed now can fit."""
        failed = (EventStatus.DEAD, EventStatus.RETRYING, EventStatus.DISMISSED)
        return self.fingerprint is not None or self.error is not None or self.status in failed

    def as_json(self) -> str:
        """What is set, as JSON."""
        return msgspec.json.encode(self._set()).decode()

    @classmethod
    def from_json(cls, text: str) -> "Selection":
        """What `as_json` wrote."""
        known: dict[str, Any] = msgspec.json.decode(text)
        return cls(**{**known, "events": tuple(known.get("events", ()))})

    def __str__(self) -> str:
        said = {name: _short(value) for name, value in self._set().items()}
        for bound in ("since", "until"):
            at_ms = getattr(self, f"{bound}_ms")
            if at_ms is not None:
                said[bound] = iso(at_ms) or ""
                del said[f"{bound}_ms"]
        return ", ".join(f"{name} {value}" for name, value in said.items())

    def _set(self) -> dict[str, Any]:
        found = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in found.items() if value not in (None, ())}


@dataclass(frozen=True, slots=True)
class Replay:
    """A row of `replays`; the fields are its columns."""

    id: int
    account: str
    status: ReplayStatus
    selection: str
    reason: str
    requested_by: str
    requested_by_person: int | None
    version: str
    rate_per_s: int
    position: int
    until_id: int
    created_at_ms: int
    total: int = 0
    applied: int = 0
    unchanged: int = 0
    waiting: int = 0
    failed: int = 0
    confirmed_by: str | None = None
    confirmed_at_ms: int | None = None
    ended_by: str | None = None
    ended_at_ms: int | None = None
    lease: str | None = None
    lease_until_ms: int = 0
    trouble: str | None = None
    deaths: int = 0
    """Workers that died over it and did not give their lease back."""

    @property
    def public_id(self) -> str:
        return f"{PUBLIC_PREFIX}{self.id}"

    @property
    def done(self) -> int:
        """How many events had their turn."""
        return self.applied + self.unchanged + self.waiting + self.failed


def replay_id_of(key: str) -> int:
    """The row id in `rep_…` or a plain number. RefusedError for anything else."""
    digits = key.removeprefix(PUBLIC_PREFIX)
    if digits.isascii() and digits.isdigit() and len(digits) < 20:
        return int(digits)
    raise RefusedError("bad_replay", f"a replay is named {PUBLIC_PREFIX}…, not {key[:40]!r}")


def check_rate(rate_per_s: int) -> int:
    """`rate_per_s` if a replay may have it; 0: no limit."""
    if not 0 <= rate_per_s <= RATE_MOST_PER_S:
        text = f"a rate is 1 to {RATE_MOST_PER_S} events a second, or 0 for no limit, not {rate_per_s}"
        raise RefusedError("bad_rate", text)
    return rate_per_s


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        more = f" and {len(value) - 3} more" if len(value) > 3 else ""
        return ", ".join(value[:3]) + more
    return str(value)
