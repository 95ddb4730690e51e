"""What is open is gone after until it is finished, and what stands in its way holds up nobody else."""

import time
from typing import Any

import sqlalchemy as sa

from payouts import lookup
from payouts.apply import Applier
from payouts.errors import GatewayError
from payouts.event import PayoutObject
from payouts.lookup import Resolver
from payouts.storage import inbox
from payouts.storage.spill import Spill
from tests.integration.test_storage_apply import World, body_of, maria, world
from tests.support.servers import RedisServer
from workers.sweep import Sweeper

__all__ = ["maria", "world"]

HOUR_MS = 3_600_000


class Queue:
    """Messages that were sent and not yet worked on."""

    def __init__(self) -> None:
        self.apply_ids: list[int] = []

    def waiting(self, _: str) -> int:
        return 0

    def apply(self, ids: list[int]) -> None:
        self.apply_ids += ids

    def apply_alone(self, inbox_id: int) -> None:
        self.apply_ids.append(inbox_id)


class Gateway:
    """Fails in one way, and counts how often it was asked."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def payout(self, payout_id: str, account: str | None) -> PayoutObject:
        self.asked += 1
        raise self.error


def live_on(world: World, gateway: Gateway, for_ms: int, step_ms: int = 30_000) -> None:
    """Let sweeper and workers do their work while the clock runs on; delayed messages are all lost."""
    applier, queue = Applier(world.engine, world.rules), Queue()
    sweeper = Sweeper(world.engine, queue, lambda: world.now_ms, 10_000, 200)  # type: ignore[arg-type]
    for _ in range(for_ms // step_ms):
        world.now_ms += step_ms
        sweeper.sweep()
        ids, queue.apply_ids = queue.apply_ids, []
        for inbox_id in applier.apply(ids).lookups if ids else []:
            Resolver(applier, gateway).resolve(inbox_id)


def contradiction(world: World) -> int:
    """An event that only Stripe can settle."""
    world.apply(world.add(body_of("a", "failed", "po_1")))
    return world.add(body_of("b", "canceled", "po_1"))[0]


def test_an_event_that_waits_for_an_api_key_is_asked_about_for_as_long_as_it_takes(world: World) -> None:
    contradiction(world)
    gateway = Gateway(GatewayError("waits for an API key", transient=True, blocked=True))
    live_on(world, gateway, 6 * HOUR_MS)
    first_hours = gateway.asked
    live_on(world, gateway, 6 * HOUR_MS)
    assert first_hours >= 6 * HOUR_MS // (lookup.BLOCKED_WAIT_MS * 2)
    assert gateway.asked - first_hours >= first_hours - 2
    assert world.rows("SELECT status, attempts FROM inbox WHERE event_id = 'evt_b'") == [("deferred", 0)]


def test_an_event_that_stripe_does_not_answer_for_hours_is_asked_about_and_never_dies(world: World) -> None:
    contradiction(world)
    gateway = Gateway(GatewayError("Stripe said 500", transient=True))
    live_on(world, gateway, 6 * HOUR_MS)
    assert gateway.asked >= 6 * HOUR_MS // (lookup.UNANSWERED_WAIT_MS * 4)
    assert world.rows("SELECT status, attempts FROM inbox WHERE event_id = 'evt_b'") == [("deferred", 0)]


def test_an_event_whose_delayed_message_is_lost_is_tried_again_until_it_is_dead(world: World) -> None:
    contradiction(world)
    live_on(world, Gateway(ValueError("no answer makes sense")), 6 * HOUR_MS)
    assert world.rows("SELECT status, attempts FROM inbox WHERE event_id = 'evt_b'") == [("dead", 3)]
    assert len(world.rows("SELECT 1 FROM inbox_attempts")) == 3


def test_an_event_sent_more_often_than_the_column_can_count_stops_no_sweep(world: World) -> None:
    ids = world.add(body_of("a", "paid"), body_of("b", "paid"))
    with world.engine.begin() as connection:
        connection.execute(sa.text("UPDATE inbox SET resends = 32767 WHERE event_id = 'evt_a'"))
        inbox.note_resend(connection, dict.fromkeys(ids, world.now_ms))
    assert world.rows("SELECT resends FROM inbox ORDER BY id") == [(32767,), (1,)]


def test_a_payout_that_somebody_has_locked_holds_up_only_its_own_event(maria: World) -> None:
    maria.apply(maria.add(body_of("x", "pending", "po_locked")))
    ids = maria.add(body_of("y", "paid", "po_locked"), *(body_of(f"n{i}", "paid") for i in range(7)))
    with maria.engine.begin() as other:
        other.execute(sa.text("SELECT 1 FROM payouts WHERE stripe_id = 'po_locked' FOR UPDATE"))
        began = time.monotonic()
        result = maria.apply(ids)
        assert time.monotonic() - began < 10
        assert {name for name, status in maria.statuses().items() if status == "received"} == {"evt_y"}
    assert [inbox_id for inbox_id, _ in result.retries] == [ids[0]]
    assert maria.rows("SELECT 1 FROM inbox_attempts") == []
    maria.apply(ids)
    assert set(maria.statuses().values()) == {"applied"}
    assert maria.payouts()["po_locked"] == "paid"


def test_a_taken_row_id_on_sqlite_leaves_no_half_of_a_batch(tmp_path: Any) -> None:
    from tests.integration.test_storage_apply import world_on

    with world_on(f"sqlite:///{tmp_path}/a.db") as world:
        world.apply(world.add(body_of("first", "pending")))
        taken = world.rows("SELECT id FROM payouts")[0][0]
        drawn = iter([world.make_id(), world.make_id(), world.make_id(), taken])
        make_id = world.make_id

        def draw() -> int:
            return next(drawn, None) or make_id()

        ids = world.add(*(body_of(f"m{i}", "pending") for i in range(3)))
        world.rules = world.rules.__class__(draw, lambda: world.now_ms, "tests:1", 3)  # type: ignore[arg-type]
        world.apply(ids)
        assert set(world.statuses().values()) == {"applied"}
        assert len(world.transitions()) == 4
        assert world.outbox() == ["payout.created"] * 4


def test_environments_that_share_a_redis_do_not_drain_each_other(
    world: World, redis_server: RedisServer
) -> None:
    from tests.integration.test_storage import new_event

    with redis_server.client as client:
        staging, production = (Spill(client, "auto", name) for name in ("staging", "production"))
        production.append([new_event(number, f"evt_{number}") for number in range(1, 451)])
        assert staging.drain(world.engine, world.make_id, lambda ids: None) == 0
        assert production.waiting() == 450
        steps: list[int] = []
        assert production.drain(world.engine, world.make_id, lambda ids: steps.append(len(ids))) == 450
        assert steps == [200, 200, 50]
        assert production.waiting() == 0
