"""What failed is grouped by cause, alerts when it grows or lies there, and can be ignored and taken up."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from payouts.dismissing import dismiss, restore
from payouts.errors import PayoutsError, RefusedError
from payouts.event import read_envelope
from payouts.failure_watch import BLOCKED_LONG, DAY_MS, DEAD_LONG, FailureWatch
from payouts.machine import decide
from payouts.people import Actor, Scope
from payouts.redelivery import AGAIN_WITHIN_MS
from payouts.reopening import Reopener
from payouts.storage import dead_queries, inbox
from payouts.storage.event_queries import event, events
from payouts.storage.inbox import NewEvent
from payouts.storage.queries import Filters, reading
from tests.support.lives import event_body, payout_object
from tests.support.world import World, world_on

ANNA = Actor("anna", 1, 11, frozenset(Scope))
HOUR_MS = 3_600_000


class BadAmountError(PayoutsError):
    """Cannot heal."""


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with world_on(database_url) as made:
        yield made


def add(world: World, *names: str, account: str = "acct_1Made") -> list[int]:
    bodies = [
        event_body(f"evt_{name}", "paid", payout_object(f"po_{name}", "paid"), account=account)
        for name in names
    ]
    return world.add(*bodies)


def failing(errors: dict[str, Exception]) -> Callable[..., Any]:
    """The machine's own decision, but for payouts that are named."""

    def decide_or_raise(current: Any, seen: Any, account: str, *, confirmed: bool) -> Any:
        if seen.id in errors:
            raise errors[seen.id]
        return decide(current, seen, account, confirmed=confirmed)

    return decide_or_raise


def groups(world: World) -> list[dict[str, Any]]:
    with reading(world.engine) as connection:
        return dead_queries.groups(connection)


def test_three_causes_are_three_groups_however_many_events_died(world: World) -> None:
    names = [f"{number}" for number in range(9)]
    errors: dict[str, Exception] = {
        f"po_{n}": BadAmountError(f"amount {n} of po_{n} is odd") for n in names[:5]
    }
    errors |= {"po_5": BadAmountError("no currency"), "po_6": BadAmountError("no currency")}
    errors |= {"po_7": ValueError("heals later")}

    world.apply(add(world, *names), failing(errors))

    found = groups(world)
    assert [(g["dead"], g["retrying"], g["error_class"], g["message"]) for g in found] == [
        (5, 0, "BadAmountError", "amount <n> of <id> is odd"),
        (2, 0, "BadAmountError", "no currency"),
        (0, 1, "ValueError", "heals later"),
    ]
    assert found[0]["types"] == {"payout.paid": 5}
    assert found[0]["example"] == "amount 0 of po_0 is odd"
    assert found[0]["first_seen_ms"] == world.now_ms
    assert found[0]["last_seen_ms"] is not None


def test_a_group_shows_its_accounts_and_its_newest_attempt(world: World) -> None:
    ids = [*add(world, "1", "2"), *add(world, "3", account="acct_2")]
    world.apply(ids, failing({f"po_{n}": BadAmountError("odd") for n in (1, 2, 3)}))

    with reading(world.engine) as connection:
        found = dead_queries.group(connection, groups(world)[0]["fingerprint"])
        missing = dead_queries.group(connection, "0" * 16)

    assert found is not None
    assert (found["accounts"], found["account_count"]) == ({"acct_1Made": 2, "acct_2": 1}, 2)
    assert found["newest_attempt"]["event_id"] == "evt_3"
    assert "BadAmountError: odd" in found["newest_attempt"]["traceback"]
    assert found["newest_attempt"]["worker"] == "tests:1"
    assert missing is None


def test_the_list_of_events_finds_dead_and_ignored_ones_by_every_filter(world: World) -> None:
    ids = [*add(world, "1", "2", "well"), *add(world, "3", account="acct_2")]
    world.apply(ids, failing({f"po_{n}": BadAmountError("odd") for n in (1, 2, 3)}))
    with world.engine.begin() as connection:
        dismiss(connection, ids[:1], "evt_1", ANNA, "a test", world.make_id, world.now_ms)

    assert listed(world, status="dead") == ["evt_3", "evt_2"]
    assert listed(world, status="dead", account="acct_2") == ["evt_3"]
    assert listed(world, status="dead", object_id="po_2") == ["evt_2"]
    assert listed(world, status="dead", type="payout.failed") == []
    assert listed(world, before_id=ids[3], status="dead") == ["evt_2"]
    assert listed(world, status="dismissed", type="payout.paid") == ["evt_1"]
    assert listed(world, status="applied") == ["evt_well"]
    assert listed(world, error="ODD") == ["evt_3", "evt_2", "evt_1"]
    assert listed(world, error="odd", type="payout.paid", before_id=ids[3]) == ["evt_2", "evt_1"]
    assert listed(world, error="odd", status="applied") == []
    assert listed(world, error="even") == []


def listed(world: World, before_id: int | None = None, error: str | None = None, **equal: str) -> list[str]:
    filters = Filters(equal, before_id=before_id)
    with reading(world.engine) as connection:
        return [row["event_id"] for row in events(connection, filters, 10, error)]


def test_an_event_that_gets_through_after_all_stands_failed_no_longer(world: World) -> None:
    ids = add(world, "1")
    world.apply(ids, failing({"po_1": ValueError("passing")}))
    assert [group["retrying"] for group in groups(world)] == [1]
    world.now_ms += HOUR_MS

    world.apply(ids)

    assert groups(world) == []
    assert world.rows("SELECT COUNT(*) AS n FROM inbox_attempts")[0].n == 1  # what happened stays on record


def test_an_event_keeps_one_place_among_the_failures_and_moves_to_its_newest_cause(world: World) -> None:
    ids = add(world, "1")
    for text in ("first cause", "second cause"):
        world.apply(ids, failing({"po_1": ValueError(text)}))
        world.now_ms += HOUR_MS

    rows = world.rows("SELECT error, first_failed_at_ms, failed_at_ms FROM inbox_failures")
    assert [row.error for row in rows] == ["second cause"]
    assert rows[0].failed_at_ms - rows[0].first_failed_at_ms == HOUR_MS
    assert [group["message"] for group in groups(world)] == ["second cause"]


def test_the_list_narrows_to_a_part_of_the_cause(world: World) -> None:
    world.apply(
        add(world, "1", "2"), failing({"po_1": BadAmountError("odd 100%"), "po_2": BadAmountError("even")})
    )
    with reading(world.engine) as connection:
        found = dead_queries.failure_list(connection, Filters({"status": "dead"}), 10, error="ODD 100%")
        by_place = dead_queries.failure_list(connection, Filters({}), 10, error="decide_or_raise")
        none = dead_queries.failure_list(connection, Filters({}), 10, error="100_")
    assert [row["event_id"] for row in found] == ["evt_1"]
    assert by_place == []  # the place is in this project's code, which called what raised
    assert none == []


def test_ignoring_takes_a_reason_is_on_record_and_can_be_taken_back(world: World) -> None:
    ids = add(world, "1", "2")
    world.apply(ids, failing({"po_1": BadAmountError("odd")}))
    with world.engine.begin() as connection, pytest.raises(RefusedError, match="say why"):
        dismiss(connection, ids, "two events", ANNA, " ", world.make_id, world.now_ms)

    with world.engine.begin() as connection:
        assert dismiss(connection, ids, "two events", ANNA, "a test payout", world.make_id, world.now_ms) == 1

    assert world.statuses() == {"evt_1": "dismissed", "evt_2": "applied"}
    with reading(world.engine) as connection:
        shown = event(connection, "evt_1")
    assert shown is not None
    assert shown["dismissed"] == {
        "dismissed_by": "anna",
        "dismissed_at_ms": world.now_ms,
        "reason": "a test payout",
    }
    assert [(g["dead"], g["dismissed"]) for g in groups(world)] == [(0, 1)]

    with world.engine.begin() as connection:
        assert restore(connection, ids, "evt_1", ANNA, "it was none", world.make_id, world.now_ms) == 1
    assert world.statuses()["evt_1"] == "dead"
    audited = world.rows("SELECT actor, action, reason, details FROM audit ORDER BY number")
    assert [(row.action, row.reason, json.loads(row.details)) for row in audited] == [
        ("event.dismiss", "a test payout", {"events": 1}),
        ("event.restore", "it was none", {"events": 1}),
    ]


def test_who_may_only_look_ignores_nothing(world: World) -> None:
    viewer = Actor("vera", 3, 13, frozenset({Scope.READ}))
    with world.engine.begin() as connection, pytest.raises(RefusedError, match="operate"):
        dismiss(connection, [1], "evt_1", viewer, "why", world.make_id, world.now_ms)


def deliver_again(world: World, name: str, after_ms: int) -> list[int]:
    """Stripe delivers an event once more; the scheduler looks, and says what is to be applied."""
    body = event_body(f"evt_{name}", "paid", payout_object(f"po_{name}", "paid"))
    world.now_ms += after_ms
    delivery = NewEvent(world.make_id(), read_envelope(body), inbox.WEBHOOK, None, world.now_ms, body)
    with world.engine.begin() as connection:
        assert inbox.add_events(connection, [delivery], world.make_id) == []
    return Reopener(world.engine, lambda: world.now_ms).look()


def test_a_dead_event_that_is_resent_at_stripe_runs_again(world: World) -> None:
    ids = add(world, "1")
    world.apply(ids, failing({"po_1": BadAmountError("odd")}))

    assert deliver_again(world, "1", after_ms=1_000) == []  # Stripe's own duplicate wakes nothing
    resent = deliver_again(world, "1", after_ms=AGAIN_WITHIN_MS + 1)

    assert resent == ids
    assert Reopener(world.engine, lambda: world.now_ms).look() == []
    assert [(g["dead"], g["retrying"]) for g in groups(world)] == [(0, 1)]
    world.apply(resent)
    assert world.statuses() == {"evt_1": "applied"}
    assert groups(world) == []
    with reading(world.engine) as connection:
        shown = event(connection, "evt_1")
    assert shown is not None
    assert [delivery["kind"] for delivery in shown["deliveries_again"]] == ["duplicate", "resend"]


def test_a_resent_event_that_dies_again_is_not_taken_up_by_the_same_delivery(world: World) -> None:
    ids = add(world, "1")
    world.apply(ids, failing({"po_1": BadAmountError("odd")}))
    world.apply(deliver_again(world, "1", after_ms=HOUR_MS), failing({"po_1": BadAmountError("odd")}))

    assert Reopener(world.engine, lambda: world.now_ms).look() == []
    assert world.statuses() == {"evt_1": "dead"}
    assert [(g["dead"], g["retrying"]) for g in groups(world)] == [(1, 0)]


def test_a_delivery_of_what_somebody_has_locked_waits_for_nobody(world: World) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the whole file")
    ids = add(world, "1")
    world.apply(ids, failing({"po_1": BadAmountError("odd")}))
    with world.engine.begin() as other:
        inbox.lock_any(other, ids)
        began = time.monotonic()
        assert deliver_again(world, "1", after_ms=HOUR_MS) == []
        assert time.monotonic() - began < 0.9
    assert deliver_again(world, "1", after_ms=HOUR_MS) == ids


def test_what_an_operator_ignored_stays_ignored_when_it_is_resent(world: World) -> None:
    ids = add(world, "1")
    world.apply(ids, failing({"po_1": BadAmountError("odd")}))
    with world.engine.begin() as connection:
        dismiss(connection, ids, "evt_1", ANNA, "a test", world.make_id, world.now_ms)

    assert deliver_again(world, "1", after_ms=HOUR_MS) == []
    assert world.statuses() == {"evt_1": "dismissed"}


@pytest.fixture
def watch(world: World) -> FailureWatch:
    return FailureWatch(world.engine, world.make_id, lambda: world.now_ms, HOUR_MS, HOUR_MS)


def alerts(world: World, name: str = "alert.events_dying") -> list[str]:
    rows = world.rows(f"SELECT body FROM outbox WHERE name LIKE '{name}' ORDER BY id")
    return [json.loads(row.body)["text"] for row in rows]


def test_an_alert_comes_when_a_cause_appears_and_when_it_grows_tenfold(
    world: World, watch: FailureWatch
) -> None:
    def die(first: int, count: int) -> None:
        names = [str(number) for number in range(first, first + count)]
        world.apply(add(world, *names), failing({f"po_{n}": BadAmountError("odd") for n in names}))
        watch.look()

    die(0, 1)
    die(1, 3)
    assert [text.partition(" died")[0] for text in alerts(world)] == ["an event"]
    die(4, 8)
    world.now_ms += 3 * DAY_MS
    watch.look()
    assert [text.partition(" died")[0] for text in alerts(world)] == ["an event", "12 events"]
    assert "BadAmountError: odd (`payouts dead show " in alerts(world)[1]


def test_a_cause_that_is_mended_alerts_no_more_and_anew_when_it_comes_back(
    world: World, watch: FailureWatch
) -> None:
    ids = add(world, *(str(number) for number in range(12)))
    errors = {f"po_{number}": BadAmountError("odd") for number in range(12)}
    world.apply(ids, failing(errors))
    watch.look()
    replayed = world.applier().replaying(lambda connection, result: None)
    for some in (ids[:8], ids[8:]):
        replayed.apply(some)
        watch.look()
    assert len(alerts(world)) == 1

    world.apply(add(world, "99"), failing({"po_99": BadAmountError("odd")}))
    watch.look()
    assert [text.partition(" died")[0] for text in alerts(world)] == ["12 events", "an event"]


def test_what_nobody_decides_on_is_told_once_a_day(world: World, watch: FailureWatch) -> None:
    world.apply(add(world, "1"), failing({"po_1": BadAmountError("odd")}))
    world.now_ms += HOUR_MS - 1
    watch.look()
    assert alerts(world, DEAD_LONG) == []
    world.now_ms += 1
    for _ in range(3):
        watch.look()
    assert len(alerts(world, DEAD_LONG)) == 1
    world.now_ms += DAY_MS
    watch.look()
    assert len(alerts(world, DEAD_LONG)) == 2


def test_a_blocked_event_alerts_by_its_age_and_never_dies_of_it(world: World, watch: FailureWatch) -> None:
    world.apply(world.add(*_conflict()))
    assert world.statuses()["evt_conflict"] == "deferred"
    watch.look()
    assert alerts(world, BLOCKED_LONG) == []
    world.now_ms += 2 * HOUR_MS
    watch.look()
    [said] = alerts(world, BLOCKED_LONG)
    assert "is blocked" in said
    assert groups(world) == []


def _conflict() -> list[bytes]:
    failed, canceled = payout_object("po_c", "failed"), payout_object("po_c", "canceled")
    return [event_body("evt_first", "failed", failed), event_body("evt_conflict", "canceled", canceled)]
