"""Running a replay, step by step: each step finds some of its events, or runs some of them.

A step is short and commits by itself, so it can be killed anywhere, and a pause, another rate or a
cancelation takes effect with the next one. Events run in the order they came in, so those of one payout do.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from payouts.clock import Clock
from payouts.errors import GatewayError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.lookup import Resolver
from payouts.outcome import BatchResult
from payouts.replay import OUTCOME_OF, ItemOutcome, Replay, ReplayStatus, Selection
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice
from payouts.storage.replay_rows import (
    REPLAYS,
    add_items,
    asked_lately,
    lock_replay,
    next_items,
    record_outcomes,
    selected,
)
from payouts.storage.unit import in_transaction
from payouts.version import VERSION

SELECT_AT_ONCE = 2_000
RUN_AT_ONCE = 500
STEP_MS = 500
"""How much of a limited rate one step takes: the less, the smoother."""
LEASE_MS = 60_000
"""How long a step may take before another worker goes on. Outcomes are noted once, whoever comes second."""
ASK_MS = 20_000
"""How long one step asks Stripe questions: together with one slow answer shorter than the lease."""
LOCKED_PAUSE_MS = 1_000
TROUBLE_PAUSE_MS = 5_000
SILENT_PAUSE_MS = 30_000
"""How long a replay waits for a Stripe that does not answer."""
DEATHS_MOST = 2
"""Workers that may die over a replay. After the first it runs one event at a time: then it was this one."""
TOGETHER_MS = 24 * 3_600_000
"""What one person or program asks for within this time counts together: many small ones are a large one."""
AWAITS = "alert.replay_awaits_confirmation"


@dataclass(frozen=True, slots=True)
class Taken:
    """What one step has to do: some events, in order, by inbox id."""

    replay: Replay
    inbox_ids: list[int]


@dataclass(frozen=True, slots=True)
class StepResult:
    """`again_ms`: when the next step may come; None: none follows by itself. `results`: to be sent on."""

    again_ms: int | None
    results: list[BatchResult]


@dataclass(frozen=True, slots=True)
class Replayer:
    """Takes replays further. Any number may run at once: each replay has one at a time."""

    engine: Engine
    resolver: Resolver
    make_id: IdMaker
    clock: Clock
    confirm_above: int
    """A replay of more events than this needs a second person."""

    def step(self, replay_id: int, most: int = RUN_AT_ONCE) -> StepResult:
        """Take a replay one step further, by `most` events. Raises what a lost database raises."""
        began_ms = self.clock()
        taken = in_transaction(self.engine, lambda connection: self._take(connection, replay_id, most))
        if taken is None:
            return StepResult(None, [])
        if taken.replay.status == ReplayStatus.SELECTING:
            go_on = in_transaction(self.engine, lambda connection: self._select(connection, taken.replay))
            return StepResult(0 if go_on else None, [])
        if not taken.inbox_ids:
            in_transaction(self.engine, lambda connection: self._end(connection, taken.replay))
            return StepResult(None, [])
        try:
            results, silent = self._run(taken)
        except Exception as error:
            self._give_back(taken.replay, TROUBLE_PAUSE_MS, f"{type(error).__name__}: {error}")
            raise
        if silent is not None:
            self._give_back(taken.replay, SILENT_PAUSE_MS, str(silent))
            return StepResult(SILENT_PAUSE_MS, results)
        done = len({outcome.inbox_id for result in results for outcome in result.outcomes})
        took_ms = self.clock() - began_ms
        wait_ms = _wait_ms(taken.replay.rate_per_s, done, took_ms) if done else LOCKED_PAUSE_MS
        self._give_back(taken.replay, wait_ms, None)
        return StepResult(wait_ms, results)

    def _take(self, connection: Connection, replay_id: int, most: int = RUN_AT_ONCE) -> Taken | None:
        replay = lock_replay(connection, replay_id)
        now_ms = self.clock()
        worked_on = (ReplayStatus.SELECTING, ReplayStatus.RUNNING)
        if replay is None or replay.status not in worked_on or replay.lease_until_ms > now_ms:
            return None
        # A lease that was never given back: its worker died, perhaps of one of the events.
        deaths = replay.deaths + (replay.lease is not None and replay.status == ReplayStatus.RUNNING)
        ids: list[int] = []
        if replay.status == ReplayStatus.RUNNING:
            at_once = min(most, _most(replay.rate_per_s))
            ids = next_items(connection, replay.id, 1 if deaths else at_once)
            if deaths > DEATHS_MOST and ids:
                died = {ids[0]: (ItemOutcome.FAILED, "its workers died over it")}
                record_outcomes(connection, replay.id, died, VERSION, now_ms)
                replay = lock_replay(connection, replay.id) or replay
                ids, deaths = next_items(connection, replay.id, at_once), 0
        leased = dataclasses.replace(
            replay, lease=str(self.make_id()), lease_until_ms=now_ms + LEASE_MS, deaths=deaths
        )
        REPLAYS.save(connection, [leased])
        return Taken(leased, ids)

    def _select(self, connection: Connection, taken: Replay) -> bool:
        """Put some more events on the list; whether there is more to do at once."""
        replay = self._mine(connection, taken)
        if replay is None:
            return False
        selection = Selection.from_json(replay.selection)
        found = selected(connection, selection, replay.position, replay.until_id, SELECT_AT_ONCE)
        add_items(connection, replay.id, found)
        changes: dict[str, Any] = {"total": replay.total + len(found), "lease": None, "lease_until_ms": 0}
        if found:
            changes["position"] = found[-1].id
        if len(found) < SELECT_AT_ONCE:
            before = asked_lately(connection, replay, self.clock() - TOGETHER_MS)
            large = before + changes["total"] > self.confirm_above
            changes["status"] = ReplayStatus.AWAITING_CONFIRMATION if large else ReplayStatus.RUNNING
        changed = dataclasses.replace(replay, **changes)
        REPLAYS.save(connection, [changed])
        if changed.status == ReplayStatus.AWAITING_CONFIRMATION:
            self._tell_that_it_waits(connection, changed)
            return False
        return True

    def _tell_that_it_waits(self, connection: Connection, replay: Replay) -> None:
        text = (
            f"{replay.requested_by} asks for a replay of {replay.total} events ({replay.reason}): a second "
            f"person confirms it by `payouts replay confirm {replay.public_id}`"
        )
        notice = PlatformNotice(AWAITS, self.clock(), text, replay.public_id)
        insert_platform_notice(connection, notice, self.make_id)

    def _run(self, taken: Taken) -> tuple[list[BatchResult], GatewayError | None]:
        """Run these events; and why Stripe could not be asked, if it was so: what it concerns comes again."""
        applier = self.resolver.applier.replaying(_Recording(taken.replay.id, self.clock).record)
        results = [applier.apply(taken.inbox_ids)]
        resolver = dataclasses.replace(self.resolver, applier=applier)
        late_ms = self.clock() + ASK_MS
        silent = None
        for inbox_id in results[0].asked_again:
            if self.clock() >= late_ms:  # the others come again with the next step
                break
            try:
                results.append(resolver.resolve(inbox_id))
            except GatewayError as error:
                silent = error
                break
        seen = {outcome.inbox_id for result in results for outcome in result.outcomes}
        gone = set(taken.inbox_ids) - seen - {inbox_id for inbox_id, _ in results[0].retries}
        if gone:
            lost = dict.fromkeys(gone, (ItemOutcome.FAILED, "the event is no longer in the inbox"))
            in_transaction(
                self.engine,
                lambda connection: record_outcomes(connection, taken.replay.id, lost, VERSION, self.clock()),
            )
        return results, silent

    def _end(self, connection: Connection, taken: Replay) -> None:
        replay = self._mine(connection, taken)
        if replay is None or replay.status != ReplayStatus.RUNNING:
            return
        ended = dataclasses.replace(
            replay,
            status=ReplayStatus.DONE,
            ended_at_ms=self.clock(),
            lease=None,
            lease_until_ms=0,
            trouble=None,
        )
        REPLAYS.save(connection, [ended])
        counts = {
            name: getattr(ended, name) for name in ("total", "applied", "unchanged", "waiting", "failed")
        }
        get_logger().info("replay.done", replay=ended.public_id, **counts)

    def _give_back(self, taken: Replay, wait_ms: int, trouble: str | None) -> None:
        def give_back(connection: Connection) -> None:
            replay = self._mine(connection, taken)
            if replay is not None:
                free_at_ms = self.clock() + wait_ms if wait_ms else 0
                changed = dataclasses.replace(
                    replay, lease=None, lease_until_ms=free_at_ms, trouble=trouble and trouble[:255]
                )
                REPLAYS.save(connection, [changed])

        in_transaction(self.engine, give_back)

    def _mine(self, connection: Connection, taken: Replay) -> Replay | None:
        """The replay as it is now, locked, while it is this step's; a cancelation or pause takes it away."""
        replay = lock_replay(connection, taken.id)
        if replay is None or replay.lease != taken.lease:
            return None
        if taken.status == ReplayStatus.SELECTING and replay.status != ReplayStatus.SELECTING:
            return None
        return replay


@dataclass(frozen=True, slots=True)
class _Recording:
    """Notes outcomes in the transaction that they come from."""

    replay_id: int
    clock: Clock

    def record(self, connection: Connection, result: BatchResult) -> None:
        asked = set(result.asked_again)  # what comes of these is noted once Stripe has answered
        not_run = set(result.not_run)
        outcomes = {
            outcome.inbox_id: (ItemOutcome.FAILED, f"not run: {outcome.detail}")
            if outcome.inbox_id in not_run
            else (OUTCOME_OF[outcome.status], outcome.detail)
            for outcome in result.outcomes
            if outcome.inbox_id not in asked
        }
        record_outcomes(connection, self.replay_id, outcomes, VERSION, self.clock())


def _most(rate_per_s: int) -> int:
    return RUN_AT_ONCE if not rate_per_s else max(1, min(RUN_AT_ONCE, rate_per_s * STEP_MS // 1000))


def _wait_ms(rate_per_s: int, done: int, took_ms: int) -> int:
    return 0 if not rate_per_s else max(0, done * 1000 // rate_per_s - took_ms)
