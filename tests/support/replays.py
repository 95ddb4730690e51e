"""Replays run to their end in a test's process."""

from typing import Any

from payouts.lookup import Resolver
from payouts.people import Actor, Scope
from payouts.replay import Replay, Selection
from payouts.replayer import Replayer, StepResult
from payouts.replaying import ask
from payouts.storage.replay_rows import find_replay, item_list
from tests.support.world import World

ANNA = Actor("anna", 1, 11, frozenset(Scope))
BEN = Actor("ben", 2, 12, frozenset(Scope))


class Replays:
    """A world whose events can be replayed; `stripe` answers look-ups."""

    def __init__(self, world: World, stripe: Any, confirm_above: int = 1_000) -> None:
        self.world = world
        self.stripe = stripe
        self.confirm_above = confirm_above

    def replayer(self, decide: Any = None) -> Replayer:
        world = self.world
        applier = world.applier() if decide is None else world.applier(decide)
        resolver = Resolver(applier, self.stripe)
        return Replayer(
            world.engine, resolver, world.make_id, lambda: world.now_ms, confirm_above=self.confirm_above
        )

    def ask(
        self, reason: str = "the bug is mended", by: Actor = ANNA, rate: int = 0, **wanted: Any
    ) -> Replay:
        world = self.world
        with world.engine.begin() as connection:
            return ask(connection, Selection(**wanted), by, reason, world.make_id, world.now_ms, rate)

    def step(self, replay: Replay, decide: Any = None) -> StepResult:
        return self.replayer(decide).step(replay.id)

    def run(self, replay: Replay, decide: Any = None) -> Replay:
        """Take it as far as it goes by itself."""
        while (step := self.step(replay, decide)).again_ms is not None:
            self.world.now_ms += step.again_ms
        return self.now(replay)

    def now(self, replay: Replay) -> Replay:
        with self.world.engine.connect() as connection:
            found = find_replay(connection, replay.id)
        assert found is not None
        return found

    def outcomes(self, replay: Replay) -> dict[str, tuple[str, str | None]]:
        with self.world.engine.connect() as connection:
            rows = item_list(connection, replay.id, -1, 10_000)
        return {row["event_id"]: (row["outcome"], row["detail"]) for row in rows}
