"""One transaction's worth of events: decided in memory on locked rows, then written in sets."""

import dataclasses
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from payouts.backoff import retry_delay_ms
from payouts.clock import Clock
from payouts.errors import PayoutsError
from payouts.event import THIN, PayoutObject, read_payout, read_related
from payouts.ids import IdMaker
from payouts.machine import Alert, Applied, Decision, Deferred, Ignored, Payout, decide, facts
from payouts.states import EventStatus
from payouts.storage import inbox
from payouts.storage.inbox import WorkItem
from payouts.storage.payout_rows import (
    Notice,
    TransitionRow,
    insert_notices,
    insert_payouts,
    insert_transitions,
    lock_payouts,
    transition_notice,
    update_payouts,
)

FOREIGN = "foreign"
PAYOUT_TYPES = "payout."
FOLLOWED_RELATED = frozenset({"payout", "v1.payout"})
"""Types of related objects that a thin event is looked up for."""
LOOKUP_WAIT_MS = 60_000
"""How long a deferred event waits for its look-up before the sweeper sends it again."""


class DeadEventError(Exception):
    """The machine decided that an event cannot be applied; the message is its reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one event, for the log and the caller."""

    inbox_id: int
    event_id: str
    type: str
    status: EventStatus
    detail: str


@dataclass(slots=True)
class BatchResult:
    """What came of a batch, and what must be sent on once it is committed."""

    outcomes: list[Outcome] = field(default_factory=list)
    retries: list[tuple[int, int]] = field(default_factory=list)
    """(inbox id, delay in ms) of failed events to try again."""
    lookups: list[int] = field(default_factory=list)
    """Inbox ids of events that need an answer of Stripe's."""

    def extend(self, other: "BatchResult") -> None:
        """Add what came of another part of the same batch."""
        self.outcomes += other.outcomes
        self.retries += other.retries
        self.lookups += other.lookups


@dataclass(frozen=True, slots=True)
class Rules:
    """What a batch works by, besides the database."""

    make_id: IdMaker
    clock: Clock
    worker: str
    """Who is working, for the record of failed attempts: host and process."""
    max_attempts: int
    decide: Callable[..., Decision] = decide


@dataclass(slots=True)
class _Work:
    """What a batch decided so far and has yet to write."""

    born: dict[str, Payout] = field(default_factory=dict)
    changed: dict[str, Payout] = field(default_factory=dict)
    transitions: list[TransitionRow] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    final: list[tuple[int, EventStatus, str | None]] = field(default_factory=list)
    failures: list[inbox.Failure] = field(default_factory=list)
    deferrals: list[tuple[int, str]] = field(default_factory=list)
    result: BatchResult = field(default_factory=BatchResult)

    def fork(self) -> "_Work":
        """A copy to go on with, that can be thrown away."""
        copies = {f.name: copy(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "result"}
        result = BatchResult(*(list(getattr(self.result, f.name)) for f in dataclasses.fields(BatchResult)))
        return _Work(**copies, result=result)


class Batch:
    """One transaction's worth of events: decided in memory on locked rows, then written in sets."""

    def __init__(self, rules: Rules, connection: Connection) -> None:
        self.rules = rules
        self.connection = connection
        self.now_ms = rules.clock()
        self.work = _Work()

    def run(self, items: Sequence[WorkItem]) -> BatchResult:
        """Decide on `items` in order and write what came of them."""
        about_payouts: list[tuple[WorkItem, PayoutObject]] = []
        for item in items:
            try:
                seen = self._payout_in(item)
            except Exception as error:  # noqa: BLE001 - whatever one event does, its neighbours go on
                self._fail(item, error)
                continue
            if seen is not None:
                about_payouts.append((item, seen))
        return self.settle(about_payouts)

    def settle(
        self, pairs: Sequence[tuple[WorkItem, PayoutObject]], *, confirmed: bool = False
    ) -> BatchResult:
        """Decide on each pair in order and write what came of it. `confirmed`: fetched from Stripe."""
        stripe_ids = {seen.id for _, seen in pairs}
        held = lock_payouts(self.connection, stripe_ids)
        before = self.work
        while True:
            self.work = before.fork()
            for item, seen in pairs:
                self._decide_one(item, seen, held, confirmed)
            try:
                insert_payouts(self.connection, list(self.work.born.values()))
                break
            except IntegrityError:
                # Somebody else saw a new payout first. Only this statement is undone: read what is there
                # now, and decide again.
                found = lock_payouts(self.connection, self.work.born)
                if not found:
                    raise
                held |= found
        self._write()
        return self.work.result

    def fail_one(self, item: WorkItem, error: BaseException) -> BatchResult:
        """Record a failed attempt at `item`, and nothing else."""
        self._fail(item, error)
        self._write()
        return self.work.result

    def defer_one(self, item: WorkItem, reason: str, wait_ms: int) -> BatchResult:
        """Put `item` off for `wait_ms`, and nothing else; no attempt is counted."""
        self._defer(item, Deferred(reason))
        self._write(wait_ms)
        return self.work.result

    def _write(self, deferred_ms: int = LOOKUP_WAIT_MS) -> None:
        work = self.work
        update_payouts(self.connection, list(work.changed.values()))
        insert_transitions(self.connection, work.transitions)
        insert_notices(self.connection, work.notices)
        for failure in work.failures:
            inbox.record_failure(self.connection, failure, self.rules.make_id())
        for inbox_id, reason in work.deferrals:
            inbox.defer(self.connection, inbox_id, reason, self.now_ms + deferred_ms)
        inbox.finish(self.connection, work.final, self.now_ms)

    def _payout_in(self, item: WorkItem) -> PayoutObject | None:
        """The payout to decide on; None where the event is settled without one."""
        if item.kind == THIN:
            related = read_related(item.payload)
            if related and related.type in FOLLOWED_RELATED:
                self._defer(item, Deferred(f"thin event: {related.type} is fetched", ask_stripe=True))
            else:
                about = related.type if related else "nothing"
                self._finish(item, EventStatus.IGNORED, f"thin event {item.type} about {about}: not followed")
            return None
        if item.type.startswith(PAYOUT_TYPES):
            return read_payout(item.payload)
        self._finish(item, EventStatus.IGNORED, f"event type {item.type} is not followed")
        return None

    def _decide_one(
        self, item: WorkItem, seen: PayoutObject, held: dict[str, Payout], confirmed: bool
    ) -> None:
        current = self.work.born.get(seen.id) or self.work.changed.get(seen.id) or held.get(seen.id)
        try:
            decision = self.rules.decide(current, seen, item.account, confirmed=confirmed)
            if isinstance(decision, Applied):
                self._apply(item, seen, current, decision)
            elif isinstance(decision, Ignored):
                self._finish(item, EventStatus.IGNORED, decision.reason)
            elif isinstance(decision, Deferred):
                self._defer(item, decision)
                if current is not None:
                    self._alert(item, current, decision.alerts)
            else:
                self._fail(item, DeadEventError(decision.reason))
        except Exception as error:  # noqa: BLE001 - whatever one event does, its neighbours go on
            self._fail(item, error)

    def _apply(self, item: WorkItem, seen: PayoutObject, current: Payout | None, decision: Applied) -> None:
        work, make_id = self.work, self.rules.make_id
        changes: dict[str, Any] = {**decision.changes, "updated_at_ms": self.now_ms}
        if current is None:
            payout = _new_payout(make_id(), item, seen, changes, self.now_ms)
        else:
            payout = dataclasses.replace(current, **changes)
        is_new = current is None or seen.id in work.born
        (work.born if is_new else work.changed)[seen.id] = payout
        reason = detail = "details only"
        if decision.transition:
            move = decision.transition
            row = TransitionRow(make_id(), payout, move, item.id, item.event_id, self.now_ms)
            work.transitions.append(row)
            work.notices.append(transition_notice(row, make_id()))
            reason = move.reason
            detail = f"{payout.stripe_id} {move.from_status or 'new'} → {move.to_status}"
        self._alert(item, payout, decision.alerts)
        self._finish(item, EventStatus.APPLIED, reason, detail)

    def _alert(self, item: WorkItem, payout: Payout, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            notice = Notice(self.rules.make_id(), alert.name, payout, item.event_id, self.now_ms, alert.text)
            self.work.notices.append(notice)

    def _finish(self, item: WorkItem, status: EventStatus, reason: str, detail: str = "") -> None:
        self.work.final.append((item.id, status, reason))
        self._note(item, status, detail or reason)

    def _defer(self, item: WorkItem, decision: Deferred) -> None:
        self.work.deferrals.append((item.id, decision.reason))
        if decision.ask_stripe:
            self.work.result.lookups.append(item.id)
        self._note(item, EventStatus.DEFERRED, decision.reason)

    def _fail(self, item: WorkItem, error: BaseException) -> None:
        """A failed attempt: tried again later, or dead where that cannot help."""
        attempt = item.attempts + 1
        hopeless = isinstance(error, DeadEventError) or (
            isinstance(error, PayoutsError) and not error.transient
        )
        heals = not hopeless and attempt < self.rules.max_attempts
        delay_ms = retry_delay_ms(attempt) if heals else None
        due_at_ms = None if delay_ms is None else self.now_ms + delay_ms
        self.work.failures.append(inbox.Failure(item, error, self.rules.worker, self.now_ms, due_at_ms))
        if delay_ms is not None:
            self.work.result.retries.append((item.id, delay_ms))
        status = EventStatus.RETRYING if heals else EventStatus.DEAD
        self._note(item, status, f"{type(error).__name__}: {error}"[:300])

    def _note(self, item: WorkItem, status: EventStatus, detail: str) -> None:
        self.work.result.outcomes.append(Outcome(item.id, item.event_id, item.type, status, detail))


def _new_payout(
    payout_id: int, item: WorkItem, seen: PayoutObject, changes: dict[str, Any], at_ms: int
) -> Payout:
    values: dict[str, Any] = {
        **facts(seen),
        "id": payout_id,
        "stripe_id": seen.id,
        "account": item.account,
        "status": None,
        "amount_minor": seen.amount,
        "currency": seen.currency.lower(),
        "origin": FOREIGN,
        "livemode": seen.livemode,
        "unknown_status": None,
        "created_at_ms": at_ms,
    }
    return Payout(**{**values, **changes})
