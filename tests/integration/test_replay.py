"""Replays: every event really runs, in order, on record; and what was right already stays as it is."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from payouts import replaying
from payouts.dismissing import dismiss
from payouts.errors import GatewayError, NotFoundError, RefusedError, StoreUnavailableError
from payouts.gateway import NoGateway
from payouts.machine import decide
from payouts.people import Actor, Scope
from payouts.replay import ReplayStatus, Selection
from payouts.replayer import LEASE_MS, RUN_AT_ONCE, SILENT_PAUSE_MS, TOGETHER_MS
from payouts.states import EventStatus
from tests.support.lives import Lives, event_body, make_lives, payout_object, shared_lives
from tests.support.replays import ANNA, BEN, Replays
from tests.support.world import World, world_on

PAID = ("created", "pending"), ("updated", "in_transit"), ("paid", "paid")


class Stripe(NoGateway):
    """Answers for one payout."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []

    def payout(self, payout_id: str, account: str | None) -> Any:
        self.asked.append(payout_id)
        answer = self.answers[payout_id]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with world_on(database_url) as made:
        yield made


@pytest.fixture
def replays(world: World) -> Replays:
    return Replays(world, Stripe())


def life(name: str, *road: tuple[str, str]) -> list[bytes]:
    return [
        event_body(f"evt_{name}_{number}", kind, payout_object(f"po_{name}", status))
        for number, (kind, status) in enumerate(road or PAID)
    ]


def broken(current: Any, seen: Any, account: str, *, confirmed: bool) -> Any:
    """A version of the code with a bug: it knows no payouts whose name begins with b."""
    if seen.id.startswith("po_b"):
        raise ZeroDivisionError("a bug")
    return decide(current, seen, account, confirmed=confirmed)


def bury(world: World, *bodies: bytes) -> list[int]:
    """Apply events with the bug until those that meet it are dead."""
    ids = world.add(*bodies)
    while set(world.statuses().values()) & {"received", "retrying"}:
        world.apply(ids, broken)
        world.now_ms += 3_600_000
    return ids


def test_dead_events_run_again_in_their_order_and_the_replay_says_what_came_of_each(
    world: World, replays: Replays
) -> None:
    bury(world, *life("b1"), *life("good"))
    assert Counter(world.statuses().values()) == {"dead": 3, "applied": 3}

    replay = replays.run(replays.ask(status=EventStatus.DEAD))

    assert replay.status == ReplayStatus.DONE
    assert (replay.total, replay.applied, replay.failed) == (3, 3, 0)
    assert world.payouts() == {"po_b1": "paid", "po_good": "paid"}
    assert replays.outcomes(replay) == {
        "evt_b1_0": ("applied", "new → pending"),
        "evt_b1_1": ("applied", "pending → in_transit"),
        "evt_b1_2": ("applied", "in_transit → paid"),
    }
    assert set(world.statuses().values()) == {"applied"}
    assert world.rows("SELECT * FROM inbox_failures") == []


def test_what_is_not_mended_dies_again_with_another_attempt_on_record(world: World, replays: Replays) -> None:
    ids = bury(world, *life("b1", ("paid", "paid")))

    replay = replays.run(replays.ask(events=("evt_b1_0",)), broken)

    assert (replay.status, replay.failed) == (ReplayStatus.DONE, 1)
    assert replays.outcomes(replay) == {"evt_b1_0": ("failed", "ZeroDivisionError: a bug")}
    assert world.statuses() == {"evt_b1_0": "dead"}
    attempts = world.rows("SELECT attempt FROM inbox_attempts ORDER BY id")
    assert [row.attempt for row in attempts] == [1, 2, 3, 4]
    assert [row.id for row in world.rows("SELECT id FROM inbox_failures")] == ids


def all_history(world: World, replays: Replays) -> Counter[str]:
    """Replay everything that was ever received, twice; what came of it."""
    came: Counter[str] = Counter()
    for _ in range(2):
        replay = replays.run(replays.ask(since_ms=0))
        assert replay.status == ReplayStatus.DONE
        assert replay.total == replay.done == world.rows("SELECT COUNT(*) AS n FROM inbox")[0].n
        for outcome, _detail in replays.outcomes(replay).values():
            came[outcome] += 1
    return came


def test_replaying_all_history_twice_changes_nothing(world: World) -> None:
    lives = make_lives(60, seed=5)
    check_history(world, lives)


def test_replaying_the_shared_corpus_twice_changes_nothing(world: World) -> None:
    lives = shared_lives()
    if lives is None:
        pytest.skip("no shared corpus beside this checkout")
    check_history(world, lives)


def check_history(world: World, lives: Lives) -> None:
    # given: all of it was delivered in some order, and applied
    bodies = list(lives.bodies)
    random.Random(3).shuffle(bodies)
    stripe = Stripe()
    replays = Replays(world, stripe, confirm_above=100_000)
    ids = world.add(*{json.loads(body)["id"]: body for body in bodies}.values())
    for start in range(0, len(ids), 100):
        world.apply(ids[start : start + 100])
    before = world.snapshot()
    open_before = [row for row in before["events"] if row[1] == "deferred"]

    # when
    came = all_history(world, replays)

    # then
    assert came["applied"] == came["failed"] == 0
    after = world.snapshot()
    assert [row for row in after["events"] if row[1] != "deferred"] == [
        row for row in before["events"] if row[1] != "deferred"
    ]
    assert len([row for row in after["events"] if row[1] == "deferred"]) == len(open_before)
    for name in before.keys() - {"events"}:
        assert after[name] == before[name], name


def test_a_replay_of_what_went_well_leaves_the_event_as_it_was_noted(world: World, replays: Replays) -> None:
    world.apply(world.add(*life("1")))
    before = world.snapshot()

    replay = replays.run(replays.ask(object_id="po_1"))

    assert (replay.unchanged, replay.applied) == (3, 0)
    assert replays.outcomes(replay)["evt_1_0"] == ("unchanged", "late: pending after paid")
    assert world.snapshot() == before


def test_a_replay_that_fails_undoes_nothing_that_took_effect(world: World, replays: Replays) -> None:
    world.apply(world.add(*life("b1")))
    before = world.snapshot()

    replay = replays.run(replays.ask(object_id="po_b1"), broken)

    assert (replay.failed, replay.status) == (3, ReplayStatus.DONE)
    assert world.snapshot() == before
    assert world.rows("SELECT * FROM inbox_failures") == []


def test_a_contradiction_is_put_to_stripe_again_and_its_row_stays(world: World, replays: Replays) -> None:
    world.apply(world.add(*life("c", ("failed", "failed"), ("canceled", "canceled"))))
    stripe = replays.stripe
    stripe.answers["po_c"] = _fetched("po_c", "failed")
    replays.run(replays.ask(status=EventStatus.DEFERRED))
    assert world.statuses() == {"evt_c_0": "applied", "evt_c_1": "deferred"}  # its look-up is on its way
    settle(world, replays, "evt_c_1")
    before = world.snapshot()
    stripe.asked.clear()

    replay = replays.run(replays.ask(events=("evt_c_1",)))

    assert stripe.asked == ["po_c"]
    assert replays.outcomes(replay) == {"evt_c_1": ("unchanged", "already failed")}
    assert world.snapshot() == before


def settle(world: World, replays: Replays, event_id: str) -> None:
    replays.replayer().resolver.resolve(world.ids[event_id])


def _fetched(payout_id: str, status: str) -> Any:
    from payouts.event import read_payout_object

    return read_payout_object(json.dumps(payout_object(payout_id, status)).encode())


def contradicted(world: World, replays: Replays) -> dict[str, Any]:
    """An event that only Stripe could settle, and did; all there is then."""
    world.apply(world.add(*life("c", ("failed", "failed"), ("canceled", "canceled"))))
    replays.stripe.answers["po_c"] = _fetched("po_c", "failed")
    settle(world, replays, "evt_c_1")
    return world.snapshot()


def test_while_stripe_does_not_answer_a_replay_waits_and_says_so(world: World, replays: Replays) -> None:
    before = contradicted(world, replays)
    replays.stripe.answers["po_c"] = GatewayError("time-out", transient=True)
    replay = replays.ask(events=("evt_c_1",))
    replays.step(replay)

    step = replays.step(replay)

    waiting = replays.now(replay)
    assert (waiting.status, waiting.done, waiting.trouble) == (ReplayStatus.RUNNING, 0, "time-out")
    assert step.again_ms == SILENT_PAUSE_MS
    assert world.snapshot() == before
    replays.stripe.answers["po_c"] = _fetched("po_c", "failed")
    world.now_ms += SILENT_PAUSE_MS
    replays.run(replay)
    assert replays.outcomes(replay) == {"evt_c_1": ("unchanged", "already failed")}


@pytest.mark.parametrize(
    "how", [{"transient": True, "blocked": True}, {"transient": False, "no_access": True}]
)
def test_what_could_not_be_run_is_not_said_to_wait(world: World, replays: Replays, how: Any) -> None:
    before = contradicted(world, replays)
    replays.stripe.answers["po_c"] = GatewayError("no way in", **how)

    replay = replays.run(replays.ask(events=("evt_c_1",)))

    assert replays.outcomes(replay) == {"evt_c_1": ("failed", "not run: no way in")}
    assert world.snapshot() == before


def test_an_event_that_kills_its_workers_does_not_stop_the_replay(world: World, replays: Replays) -> None:
    many(world, 4)
    replay = replays.ask(type="payout.paid")
    replays.step(replay)
    killer = list(world.ids.values())[2]

    def worker() -> bool:
        """One life of a worker; whether it died."""
        while True:
            with world.engine.begin() as connection:
                taken = replays.replayer()._take(connection, replay.id)
            if taken is None:
                return False
            if killer in taken.inbox_ids:
                return True  # with its lease
            with world.engine.begin() as connection:  # as it was before: the step below takes it again
                connection.exec_driver_sql("UPDATE replays SET lease_until_ms = 0, lease = NULL")
            if replays.step(replay).again_ms is None:
                return False

    deaths = 0
    while worker():
        deaths += 1
        assert deaths < 10
        world.now_ms += LEASE_MS

    replays.run(replay)
    now = replays.now(replay)
    assert (now.status, now.unchanged, now.failed) == (ReplayStatus.DONE, 3, 1)
    assert replays.outcomes(replay)["evt_2_0"] == ("failed", "its workers died over it")
    assert deaths == 3


def test_many_small_replays_of_one_person_count_as_a_large_one(world: World) -> None:
    replays = Replays(world, Stripe(), confirm_above=4)
    world.apply(world.add(*life("1"), *life("2")))
    assert replays.run(replays.ask(object_id="po_1")).status == ReplayStatus.DONE
    assert replays.run(replays.ask(object_id="po_2", by=BEN)).status == ReplayStatus.DONE

    second = replays.run(replays.ask(object_id="po_2"))
    assert second.status == ReplayStatus.AWAITING_CONFIRMATION

    world.now_ms += TOGETHER_MS
    verb(world, replaying.confirm, second.id, actor=BEN)
    assert replays.run(second).status == ReplayStatus.DONE


def test_a_group_is_replayed_without_what_an_operator_ignored_of_it(world: World, replays: Replays) -> None:
    ids = bury(world, *life("b1", ("paid", "paid")), *life("b2", ("paid", "paid")))
    with world.engine.begin() as connection:
        dismiss(connection, ids[:1], "evt_b1_0", ANNA, "paid by hand", world.make_id, world.now_ms)

    replay = replays.run(replays.ask(error="zerodivision"))

    assert set(replays.outcomes(replay)) == {"evt_b2_0"}
    assert world.statuses() == {"evt_b1_0": "dismissed", "evt_b2_0": "applied"}


def test_a_replayed_event_that_fails_by_what_passes_is_tried_again_by_itself(
    world: World, replays: Replays
) -> None:
    bury(world, *life("b1", ("paid", "paid")))

    def unlucky(*_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("just now")

    replay = replays.run(replays.ask(events=("evt_b1_0",)), unlucky)

    assert replays.outcomes(replay) == {"evt_b1_0": ("waiting", "StoreUnavailableError: just now")}
    assert world.statuses() == {"evt_b1_0": "retrying"}


def test_events_that_come_after_it_was_asked_for_are_no_part_of_it(world: World, replays: Replays) -> None:
    world.apply(world.add(*life("1")))
    replay = replays.ask(type="payout.paid")
    world.apply(world.add(*life("2")))
    assert replays.run(replay).total == 1


def test_a_selection_narrows_by_all_that_it_names(world: World, replays: Replays) -> None:
    world.apply(world.add(*life("1")))
    world.now_ms += 10_000
    bury(world, *life("b2"))

    def found(**wanted: Any) -> set[str]:
        replay = replays.run(replays.ask(**wanted), broken)
        return set(replays.outcomes(replay))

    assert found(type="payout.paid") == {"evt_1_2", "evt_b2_2"}
    assert found(type="payout.paid", status="dead") == {"evt_b2_2"}
    assert found(error="zerodivision", account="acct_1Made") == {"evt_b2_0", "evt_b2_1", "evt_b2_2"}
    assert found(error="zerodivision", account="acct_other") == set()
    assert found(events=("evt_1_0", "evt_nowhere")) == {"evt_1_0"}
    fingerprint = world.rows("SELECT fingerprint FROM inbox_failures")[0].fingerprint
    assert found(fingerprint=fingerprint, object_id="po_b2") == {"evt_b2_0", "evt_b2_1", "evt_b2_2"}


def test_nothing_selected_is_refused_instead_of_everything(replays: Replays) -> None:
    with pytest.raises(RefusedError, match="say which events"):
        replays.ask()


def test_a_replay_of_nothing_is_over_at_once(replays: Replays) -> None:
    replay = replays.run(replays.ask(events=("evt_nowhere",)))
    assert (replay.status, replay.total) == (ReplayStatus.DONE, 0)


def test_a_large_replay_waits_for_a_second_person(world: World) -> None:
    replays = Replays(world, Stripe(), confirm_above=2)
    world.apply(world.add(*life("1")))
    replay = replays.run(replays.ask(object_id="po_1"))
    assert replay.status == ReplayStatus.AWAITING_CONFIRMATION
    said = world.rows("SELECT body FROM outbox WHERE name = 'alert.replay_awaits_confirmation'")
    assert f"payouts replay confirm {replay.public_id}" in json.loads(said[0].body)["text"]

    program = Actor("program:cron", None, 9, frozenset(Scope))
    same_person = Actor("anna", 1, 99, frozenset(Scope))
    for nobody in (same_person, program):
        with pytest.raises(RefusedError, match="another person"):
            verb(world, replaying.confirm, replay.id, actor=nobody)
    verb(world, replaying.confirm, replay.id, actor=BEN)

    done = replays.run(replay)
    assert (done.status, done.confirmed_by, done.unchanged) == (ReplayStatus.DONE, "ben", 3)


def verb(world: World, do: Any, replay_id: int, actor: Actor = ANNA, **more: Any) -> Any:
    with world.engine.begin() as connection:
        return do(connection, replay_id, actor=actor, make_id=world.make_id, now_ms=world.now_ms, **more)


def many(world: World, count: int) -> None:
    ids = world.add(*(body for number in range(count) for body in life(str(number), ("paid", "paid"))))
    world.apply(ids)


def test_a_paused_replay_stands_still_and_goes_on_where_it_was(world: World, replays: Replays) -> None:
    many(world, RUN_AT_ONCE + 5)
    replay = replays.ask(type="payout.paid")
    replays.step(replay)  # finds its events
    replays.step(replay)
    verb(world, replaying.pause, replay.id, reason="look at it first")
    assert replays.step(replay).again_ms is None
    assert replays.now(replay).done == RUN_AT_ONCE

    verb(world, replaying.resume, replay.id)

    assert replays.run(replay).done == RUN_AT_ONCE + 5


def test_a_canceled_replay_leaves_the_rest_alone(world: World, replays: Replays) -> None:
    many(world, RUN_AT_ONCE + 5)
    replay = replays.ask(type="payout.paid")
    replays.step(replay)
    replays.step(replay)

    verb(world, replaying.cancel, replay.id, reason="wrong filter")

    assert replays.step(replay).again_ms is None
    replays.step(replay)
    now = replays.now(replay)
    assert (now.status, now.ended_by, now.done, now.total) == (
        "canceled",
        "anna",
        RUN_AT_ONCE,
        RUN_AT_ONCE + 5,
    )
    assert Counter(outcome for outcome, _ in replays.outcomes(replay).values())["todo"] == 5
    with pytest.raises(RefusedError, match="is over"):
        verb(world, replaying.cancel, replay.id, reason="again")


def test_a_rate_is_kept_and_can_be_changed_while_it_runs(world: World, replays: Replays) -> None:
    many(world, 60)
    replay = replays.ask(type="payout.paid", rate=20)
    replays.step(replay)
    began_ms = world.now_ms
    first = replays.step(replay)
    assert (replays.now(replay).done, first.again_ms) == (10, 500)
    assert replays.step(replay).again_ms is None  # before its time
    world.now_ms += 500
    replays.step(replay)
    verb(world, replaying.set_rate, replay.id, rate_per_s=80)
    world.now_ms += 500
    assert replays.step(replay).again_ms == 500
    assert replays.now(replay).done == 60
    assert world.now_ms - began_ms == 1_000


def test_a_worker_that_died_over_a_replay_is_followed_by_another_one(world: World, replays: Replays) -> None:
    many(world, 3)
    replay = replays.ask(type="payout.paid")
    replays.step(replay)
    with world.engine.begin() as connection:
        replays.replayer()._take(connection, replay.id)  # and never comes back
    assert replays.step(replay).again_ms is None
    world.now_ms += LEASE_MS
    assert replays.run(replay).done == 3


def test_what_is_killed_between_effect_and_outcome_is_undone_together(
    world: World, replays: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    from payouts import apply as apply_module

    bury(world, *life("b1", ("paid", "paid")))
    replay = replays.ask(events=("evt_b1_0",))
    replays.step(replay)

    def die(point: str) -> None:
        if point == "apply.before_commit":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(apply_module, "crash_point", die)
        with pytest.raises(KeyboardInterrupt):
            replays.step(replay)
    assert (world.payouts(), replays.now(replay).done) == ({}, 0)
    world.now_ms += LEASE_MS
    assert replays.run(replay).applied == 1
    assert world.payouts() == {"po_b1": "paid"}


def test_every_step_that_a_person_takes_is_audited(world: World, replays: Replays) -> None:
    many(world, 3)
    replay = replays.ask("look again", type="payout.paid")
    replays.step(replay)
    verb(world, replaying.pause, replay.id, reason="wait")
    verb(world, replaying.set_rate, replay.id, rate_per_s=7)
    verb(world, replaying.resume, replay.id)
    verb(world, replaying.cancel, replay.id, reason="enough")

    rows = world.rows("SELECT actor, action, subject, reason, details FROM audit ORDER BY number")
    assert [(row.action, row.reason) for row in rows] == [
        ("replay.ask", "look again"),
        ("replay.pause", "wait"),
        ("replay.rate", None),
        ("replay.resume", None),
        ("replay.cancel", "enough"),
    ]
    assert {(row.actor, row.subject) for row in rows} == {("anna", replay.public_id)}
    assert json.loads(rows[0].details) == {"rate_per_s": 0, "selection": "type payout.paid"}


def test_a_replay_that_does_not_exist_is_named(world: World) -> None:
    with pytest.raises(NotFoundError, match="there is no replay 7"):
        verb(world, replaying.cancel, 7, reason="why")


def test_a_selection_survives_being_stored() -> None:
    made = Selection(events=("evt_1", "evt_2"), status="dead", since_ms=5)
    assert Selection.from_json(made.as_json()) == made
    assert str(made) == "events evt_1, evt_2, status dead, since 1970-01-01T00:00:00.005Z"
