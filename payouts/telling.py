"""Telling others: each notice of the outbox is delivered by each of its channels, at least once.

A set is claimed under a lease, delivered outside of any transaction, and recorded. Whoever is killed in
between leaves the lease to run out, and the notice is delivered again. A notice that fails comes again,
later and later; the others of its payout wait for it, all the rest goes on.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from payouts.backoff import retry_delay_ms
from payouts.cleaning import cleaned
from payouts.clock import Clock
from payouts.crash import crash_point
from payouts.errors import PayloadError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.notices import Channel, NoticeError, Order, Route, channels_for
from payouts.storage import delivery_rows, outbox_rows
from payouts.storage.delivery_rows import Delivery, Result
from payouts.storage.notice_tables import ERROR_CHARS
from payouts.storage.outbox_rows import Claimed
from payouts.storage.unit import in_transaction

SET_MOST = 500
LEASE_MS = 60_000
SET_WITHIN_MS = 10_000
"""What a slow channel has not taken of a set by then goes back, well before the lease ends."""
RUN_WITHIN_MS = 5_000
"""After so long a run ends, so that a worker can stop and others get their turn."""
PAUSE_MOST_S = 3_600.0
"""A channel that asks for a longer pause is tried again after so long all the same."""
PRUNE_MOST = 1_000
PRUNE_STEPS = 10


@dataclass(frozen=True, slots=True)
class TellingRules:
    """What telling works by, besides the database and the channels."""

    make_id: IdMaker
    clock: Clock
    routes: Sequence[Route]
    max_attempts: int
    max_attempts_by: Mapping[str, int] = field(default_factory=dict)
    """Of channels that give up sooner."""
    clean: Callable[[str], str] = cleaned
    """Takes out of what a channel said what must not be kept: the other side may repeat what it was sent."""

    def most_attempts(self, channel: str) -> int:
        """After how many attempts a delivery by `channel` is dead."""
        return min(self.max_attempts, self.max_attempts_by.get(channel, self.max_attempts))


class Teller:
    """Delivers notices. Safe to use from several threads and processes at once."""

    def __init__(self, engine: Engine, channels: Mapping[str, Channel], rules: TellingRules) -> None:
        self._engine = engine
        self._channels = channels
        self._rules = rules
        self._log = get_logger()
        # One thread of a process for each channel: a slow one must not take all the threads.
        self._turns = {name: threading.Lock() for name in channels}
        self._paused_until_ms = dict.fromkeys(channels, 0)

    def tell(self) -> bool:
        """Deliver what is due, for a bounded time. True: there is more. Raises what a lost database raises.

        A channel that another thread is busy with is left to that thread.
        """
        end_ms = self._rules.clock() + RUN_WITHIN_MS
        more = self._route_until(end_ms)
        for name, turn in self._turns.items():
            if turn.acquire(blocking=False):
                try:
                    more = self._tell_until(name, end_ms) or more
                finally:
                    turn.release()
        return more

    def _route_until(self, end_ms: int) -> bool:
        while True:
            found = in_transaction(
                self._engine,
                lambda connection: outbox_rows.route(
                    *(connection, self._channels_of, self._rules.make_id, self._rules.clock(), SET_MOST)
                ),
            )
            if found < SET_MOST:
                return False
            if self._rules.clock() >= end_ms:
                return True

    def _channels_of(self, name: str) -> tuple[str, ...]:
        return channels_for(name, self._rules.routes)

    def _tell_until(self, name: str, end_ms: int) -> bool:
        while self._paused_until_ms[name] <= self._rules.clock():
            claim = in_transaction(
                self._engine,
                lambda connection: outbox_rows.claim(
                    connection, name, self._rules.clock(), LEASE_MS, SET_MOST
                ),
            )
            if claim.claimed:
                self._deliver_and_record(name, claim.claimed)
            if claim.found < SET_MOST:
                return False
            if self._rules.clock() >= end_ms:
                return True
        return False  # it is paused: the sweeper asks again

    def _deliver_and_record(self, name: str, claimed: Sequence[Claimed]) -> None:
        delivering = _Delivering(self._channels[name], self._rules)
        results = delivering.deliver(claimed)
        self._paused_until_ms[name] = delivering.paused_until_ms
        crash_point("tell.before_record")
        now_ms = self._rules.clock()
        in_transaction(self._engine, lambda connection: delivery_rows.record(connection, results, now_ms))
        self._report(claimed, results)

    def _report(self, claimed: Sequence[Claimed], results: Sequence[Result]) -> None:
        failed = [(one, result) for one, result in zip(claimed, results, strict=True) if result.error]
        again = [result.error for _, result in failed if result.due_at_ms is not None]
        if again:
            name = claimed[0].delivery.channel
            self._log.warning("notices.retrying", channel=name, notices=len(again), error=again[0])
        for one, result in failed:
            if result.due_at_ms is None:
                self._log.error(
                    "notice.dead",
                    notice_id=str(one.notice.id),
                    name=one.notice.name,
                    channel=one.delivery.channel,
                    attempts=one.delivery.attempts + 1,
                    error=result.error,
                )


def prune(engine: Engine, before_ms: int) -> int:
    """Delete what was delivered before `before_ms`, in bounded steps; returns how many notices went.

    With them goes the memory that they were told. Events old enough to be told of again must not be
    replayed: keep notices for longer than Stripe repeats its events (30 days).
    """
    gone = 0
    for _ in range(PRUNE_STEPS):
        found = in_transaction(engine, lambda c: outbox_rows.prune(c, before_ms, PRUNE_MOST))
        gone += found
        if found < PRUNE_MOST:
            break
    return gone


class _Delivering:
    """One set, delivered in order. What fails holds back what follows it about the same payout."""

    def __init__(self, channel: Channel, rules: TellingRules) -> None:
        self._channel = channel
        self._rules = rules
        self._order = Order()
        self.paused_until_ms = 0
        """Until when the channel takes nothing."""

    def deliver(self, claimed: Sequence[Claimed]) -> list[Result]:
        """A result for each of `claimed`."""
        end_ms = self._rules.clock() + SET_WITHIN_MS
        return [self._one(one, end_ms) for one in claimed]

    def _one(self, one: Claimed, end_ms: int) -> Result:
        delivery, notice = one.delivery, one.notice
        now_ms = self._rules.clock()
        held_ms = self._order.held_until_ms(notice.subjects)
        if held_ms is not None:
            return Result(delivery.id, notice.id, held_ms)
        if now_ms >= end_ms or now_ms < self.paused_until_ms:
            later_ms = max(now_ms, self.paused_until_ms)
            self._order.hold(notice.subjects, later_ms)
            return Result(delivery.id, notice.id, later_ms)
        try:
            self._channel.deliver(notice)
        except Exception as error:  # noqa: BLE001 - whatever one notice does, the others go on
            return self._failed(one, error)
        return Result(delivery.id, notice.id)

    def _failed(self, one: Claimed, error: Exception) -> Result:
        can_heal = not isinstance(error, PayloadError)  # whatever else it is, it may
        known = error if isinstance(error, NoticeError) else NoticeError("", transient=can_heal)
        if known.pause_s is not None:
            pause_ms = round(min(max(known.pause_s, 0), PAUSE_MOST_S) * 1000)
            self.paused_until_ms = self._rules.clock() + pause_ms
        due_at_ms = self._next_try(one.delivery, known)
        if due_at_ms is not None:
            self._order.hold(one.notice.subjects, due_at_ms)
        said = self._rules.clean(str(error) or type(error).__name__)[:ERROR_CHARS]
        return Result(one.delivery.id, one.notice.id, due_at_ms, said, counts=known.counts)

    def _next_try(self, delivery: Delivery, error: NoticeError) -> int | None:
        if not error.transient:
            return None
        if not error.counts:
            return max(self.paused_until_ms, self._rules.clock())
        attempt = delivery.attempts + 1
        if attempt >= self._rules.most_attempts(delivery.channel):
            return None
        return max(self.paused_until_ms, self._rules.clock() + retry_delay_ms(attempt))
