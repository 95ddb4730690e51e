"""Walks: which account's events are walked next, why, and from when to when.

An account has a mark: everything that was created before was walked. A walk begins a little before the mark,
because an event may be listed minutes after it was created, and goes on page by page, each page a message of
its own. Where a gap shows, all accounts are walked at once, only through what an endpoint did not take.
"""

import dataclasses
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from payouts.clock import Clock
from payouts.errors import GatewayError, RefusedError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.proof import KEPT_S, OVERLAP_S
from payouts.storage import catch_up_rows, mark_rows
from payouts.storage.catch_up_rows import WALKS
from payouts.storage.mark_rows import HOUR_S, Mark
from payouts.storage.unit import in_transaction
from payouts.walk import Cause, Recipe, Walk, WalkStatus
from payouts.walking import AGAIN_MS, Walker, ended

CLOCKS_DIFFER_S = 60
BY_SCHEDULE = "system:catch-up"
"""The actor of walks that the scheduler begins, and goes on with."""
DAY_S = 86_400
DAY_MS = DAY_S * 1000
SCHEDULED, COMMANDED, PROOF, DAILY = "schedule", "command", "proof", "daily"
"""Who goes on with a walk that is open: one of each kind for an account. The keys of the
scheduler's own have the recipe or the day behind it."""
ASKED = "asked"
"""Begins the keys of walks that somebody asked for and does not walk: the scheduler goes on with them."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A walk that somebody wants. Times by Stripe's clock, both included."""

    account: str
    cause: Cause
    open_key: str
    actor: str
    since_s: int
    until_s: int
    recipe: Recipe = Recipe.ALL
    all_types: bool = False


def begin(connection: Connection, wish: Wish, make_id: IdMaker, now_ms: int) -> Walk:
    """The walk that fulfils `wish`: one that was cut short where there is one, else a new one.

    One for the same key that asks for something else is given up. Raises RefusedError `nothing_to_walk`
    where the time is empty.
    """
    horizon_s = now_ms // 1000 - KEPT_S
    since_s = max(wish.since_s, horizon_s)
    if since_s > wish.until_s:
        raise RefusedError(
            "nothing_to_walk",
            "nothing to walk: the time ends before it begins, or more than "
            f"{KEPT_S // DAY_S} days ago, which is as far as Stripe lists events",
        )
    held = catch_up_rows.lock_open_walk(connection, wish.account, wish.open_key)
    if held is not None and _goes_as_far(held, wish, since_s):
        return held
    if held is not None:
        WALKS.save(connection, [ended(held, WalkStatus.GIVEN_UP, now_ms)])
    mark_new(connection, make_id, now_ms)
    mark = mark_rows.find_mark(connection, wish.account)
    walk = Walk(
        id=make_id(),
        account=wish.account,
        open_key=wish.open_key,
        cause=wish.cause,
        actor=wish.actor,
        recipe=wish.recipe,
        all_types=wish.all_types,
        since_s=since_s,
        until_s=wish.until_s,
        cut=since_s > wish.since_s + CLOCKS_DIFFER_S,
        advances=since_s <= max(mark.walked_until_s if mark else 0, horizon_s),
        position=None,
        reached_s=wish.until_s,
        listed=0,
        known=0,
        added=0,
        unreadable=0,
        reads=0,
        tries=0,
        error=None,
        tally=None,
        status=WalkStatus.UNDER_WAY,
        due_at_ms=now_ms + AGAIN_MS,
        began_at_ms=now_ms,
        ended_at_ms=None,
    )
    WALKS.insert(connection, [walk])
    if walk.cut:
        get_logger().warning("catch_up.cut", account=walk.account, wanted_s=wish.since_s, since_s=since_s)
    return walk


def _goes_as_far(held: Walk, wish: Wish, since_s: int) -> bool:
    if (held.recipe, held.all_types) != (wish.recipe, wish.all_types):
        return False
    if wish.cause == Cause.PROOF:
        return (held.since_s, held.until_s) == (since_s, wish.until_s)
    return held.since_s <= since_s


def mark_new(connection: Connection, make_id: IdMaker, now_ms: int) -> None:
    """Mark accounts that have no mark: walked until this service knew of them, and due at once."""
    new = []
    for account, known_ms in mark_rows.unmarked(connection):
        known_s = (known_ms or now_ms) // 1000
        midnight_s = (known_s // DAY_S + 1) * DAY_S
        new.append(Mark(make_id(), account, known_s, 0, now_ms, midnight_s))
    if new:
        mark_rows.insert_marks(connection, new)


@dataclass(frozen=True, slots=True)
class Walks:
    """Which walk is next. Any number may ask at once.

    `every_ms`: between two walks of an account; 0: none. `gap_ms`: without an event, or without the
    scheduler, for so long, all are walked; 0: never. `reads_most`: pages in an hour. `daily`: prove each day.
    """

    engine: Engine
    make_id: IdMaker
    clock: Clock
    every_ms: int
    gap_ms: int
    reads_most: int
    daily: bool

    def due(self) -> int | None:
        """The row id of the walk to send a message for: one that stands still, or a new one."""
        return in_transaction(self.engine, self._due)

    def step(self, walk_id: int, walker: Walker) -> int | None:
        """Walk a page; the walk to go on with, None where nothing follows now."""
        try:
            walk = walker.step(walk_id)
        except GatewayError as error:
            get_logger().warning("catch_up.no_answer", walk_id=walk_id, error=str(error))
            return None  # no haste: the scheduler goes on with it
        if walk is None:
            return None
        if walk.is_open:
            return walk.id
        counts = {"listed": walk.listed, "added": walk.added, "reads": walk.reads}
        about = {"account": walk.account, "cause": walk.cause, "recipe": walk.recipe, "error": walk.error}
        get_logger().info(f"catch_up.{walk.status}", **about, **counts)
        return self.due()

    def look(self) -> None:
        """Look whether there was a gap; then all accounts are due at once. Called every little while."""
        in_transaction(self.engine, self._look)

    def _look(self, connection: Connection) -> None:
        now_ms = self.clock()
        held = mark_rows.change_watch(
            connection, self.make_id, lambda watch: dataclasses.replace(watch, looked_at_ms=now_ms)
        )
        if not self.gap_ms or held.hurried_at_ms + self.gap_ms > now_ms:
            return
        away_ms = now_ms - held.looked_at_ms if held.looked_at_ms else 0
        if away_ms < self.gap_ms and not self._is_too_quiet(connection, now_ms):
            return
        mark_rows.change_watch(
            connection, self.make_id, lambda watch: dataclasses.replace(watch, hurried_at_ms=now_ms)
        )
        get_logger().warning("catch_up.gap", away_s=away_ms // 1000, next="every account is walked")

    def _is_too_quiet(self, connection: Connection, now_ms: int) -> bool:
        """Whether no event came for long, although in the day before the last one they came more often."""
        last_ms = mark_rows.last_received_ms(connection)
        if last_ms is None or now_ms - last_ms < self.gap_ms:
            return False
        usual = max(DAY_MS // self.gap_ms, 1)
        return mark_rows.count_received(connection, last_ms - DAY_MS, usual) >= usual

    def _due(self, connection: Connection) -> int | None:
        now_ms = self.clock()
        watch = mark_rows.change_watch(connection, self.make_id, lambda held: held)
        if watch.hour_s + HOUR_S > now_ms // 1000 and watch.hour_reads >= self.reads_most:
            return None
        standing = catch_up_rows.due_walk(connection, BY_SCHEDULE, ASKED, now_ms)
        if standing is not None:
            catch_up_rows.put_off(connection, standing, now_ms + AGAIN_MS)
            return standing
        if catch_up_rows.is_walking(connection, BY_SCHEDULE):
            return None
        mark_new(connection, self.make_id, now_ms)
        wish = (
            self._after_gap(connection, now_ms, watch.hurried_at_ms)
            or self._whole(connection, now_ms)
            or self._proof(connection, now_ms)
        )
        return None if wish is None else begin(connection, wish, self.make_id, now_ms).id

    def _after_gap(self, connection: Connection, now_ms: int, hurried_at_ms: int) -> Wish | None:
        mark = mark_rows.oldest_failed(connection, hurried_at_ms)
        if mark is None:
            return None
        mark_rows.save_mark(connection, dataclasses.replace(mark, failed_at_ms=now_ms))
        return self._from_mark(mark, Cause.GAP, Recipe.FAILED, now_ms)

    def _whole(self, connection: Connection, now_ms: int) -> Wish | None:
        if not self.every_ms:
            return None
        mark = mark_rows.oldest_walked(connection, now_ms - self.every_ms + 1)
        if mark is None:
            return None
        mark_rows.save_mark(connection, dataclasses.replace(mark, walked_at_ms=now_ms))
        return self._from_mark(mark, Cause.SCHEDULE, Recipe.ALL, now_ms)

    def _proof(self, connection: Connection, now_ms: int) -> Wish | None:
        if not self.daily:
            return None
        now_s = now_ms // 1000
        midnight_s = (now_s - OVERLAP_S) // DAY_S * DAY_S
        mark = mark_rows.oldest_proved(connection, midnight_s)
        if mark is None:
            return None
        oldest_s = (now_s - KEPT_S) // DAY_S * DAY_S + DAY_S
        since_s = max(mark.proved_until_s, oldest_s)
        mark_rows.save_mark(connection, dataclasses.replace(mark, proved_until_s=since_s + DAY_S))
        key = f"{DAILY}:{since_s // DAY_S}"
        return Wish(mark.account, Cause.PROOF, key, BY_SCHEDULE, since_s, since_s + DAY_S - 1)

    def _from_mark(self, mark: Mark, cause: Cause, recipe: Recipe, now_ms: int) -> Wish:
        until_s = now_ms // 1000
        since_s = min(mark.walked_until_s - OVERLAP_S, until_s)  # a clock may be set back
        return Wish(mark.account, cause, f"{SCHEDULED}:{recipe}", BY_SCHEDULE, since_s, until_s, recipe)
