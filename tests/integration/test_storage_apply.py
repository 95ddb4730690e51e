"""Batches of events become payouts, each in one transaction, whatever one of the events does."""

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from payouts import batch as batch_module
from payouts.apply import Applier
from payouts.errors import GatewayError, PayoutsError
from payouts.event import PayoutObject, read_payout_object
from payouts.linking import lock_with_counterparts
from payouts.lookup import BLOCKED_WAIT_MS, UNANSWERED_WAIT_MS, Resolver
from payouts.machine import Applied, decide
from payouts.outcome import BatchResult
from payouts.pause import OPEN_MS, UNANSWERED_MOST
from payouts.storage.engine import build_engine
from payouts.storage.payout_rows import Notice, insert_notices, lock_payouts
from tests.support.lives import ENDS, ROADS, event_body, payout_object
from tests.support.servers import wait_until
from tests.support.world import MAX_ATTEMPTS, NOW_MS, World, world_on

RANK = {None: -1, "pending": 0, "in_transit": 1, "paid": 2, "reversed": 2.5, "failed": 3, "canceled": 3}


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with world_on(database_url) as made:
        yield made


@pytest.fixture
def maria(mariadb_url: str) -> Iterator[World]:
    with world_on(mariadb_url) as made:
        yield made


def body_of(name: str, status: str, payout: str | None = None, **more: Any) -> bytes:
    kind = "updated" if status in ("in_transit", "reversed") else status
    return event_body(f"evt_{name}", kind, payout_object(payout or f"po_{name}", status, **more))


def trouble(stripe_id: str, do: Callable[[], object]) -> Callable[..., Any]:
    """The machine's own decision, with `do` called for one payout."""

    def decide_with_trouble(current: Any, seen: PayoutObject, account: str, *, confirmed: bool) -> Any:
        found = decide(current, seen, account, confirmed=confirmed)
        if seen.id != stripe_id:
            return found
        return do() or found

    return decide_with_trouble


def fail() -> None:
    raise RuntimeError("out of order")


# One event's trouble is its own


@pytest.mark.parametrize("place", [0, 2, 4])
def test_one_event_that_fails_does_not_hold_up_its_neighbours(world: World, place: int) -> None:
    names = ["a", "b", "c", "d"]
    names.insert(place, "bad")
    ids = world.add(*(body_of(name, "paid") for name in names))

    result = world.apply(ids, trouble("po_bad", fail))

    assert world.statuses() == {f"evt_{n}": "retrying" if n == "bad" else "applied" for n in names}
    assert world.payouts() == {f"po_{n}": "paid" for n in "abcd"}
    assert sorted(outcome.event_id for outcome in result.outcomes) == sorted(f"evt_{n}" for n in names)


def test_a_failed_attempt_is_on_record_once_with_its_error(world: World) -> None:
    (row_id,) = world.add(body_of("bad", "paid"))

    result = world.apply([row_id], trouble("po_bad", fail))

    (attempt,) = world.rows("SELECT * FROM inbox_attempts")
    assert (attempt.inbox_id, attempt.attempt, attempt.at_ms) == (row_id, 1, NOW_MS)
    assert (attempt.worker, attempt.account) == ("tests:1", "acct_1Made")
    assert (attempt.error_class, attempt.error) == ("RuntimeError", "out of order")
    assert "in fail" in attempt.traceback
    (event,) = world.rows("SELECT attempts, last_error, due_at_ms, processed_at_ms FROM inbox")
    ((retried, delay_ms),) = result.retries
    assert retried == row_id
    assert 1000 <= delay_ms <= 2000
    assert tuple(event) == (1, "out of order", NOW_MS + delay_ms, None)


def test_an_event_that_keeps_failing_is_dead_at_the_last_attempt_and_stays_so(world: World) -> None:
    (row_id,) = world.add(body_of("bad", "paid"))
    seen = []
    for _ in range(MAX_ATTEMPTS + 2):
        result = world.apply([row_id], trouble("po_bad", fail))
        seen.append((world.statuses()["evt_bad"], len(result.retries), len(result.outcomes)))
        world.now_ms += 3_600_000

    assert seen == [("retrying", 1, 1)] * 2 + [("dead", 0, 1)] + [("dead", 0, 0)] * 2
    numbers = [row.attempt for row in world.rows("SELECT attempt FROM inbox_attempts ORDER BY id")]
    assert numbers == [1, 2, 3]
    (event,) = world.rows("SELECT attempts, last_error, processed_at_ms FROM inbox")
    assert tuple(event) == (3, "out of order", NOW_MS + 2 * 3_600_000)


def test_an_event_that_failed_before_its_time_is_left_alone(world: World) -> None:
    (row_id,) = world.add(body_of("bad", "paid"))
    world.apply([row_id], trouble("po_bad", fail))
    assert world.apply([row_id]).outcomes == []
    world.now_ms += 2000
    assert [outcome.status for outcome in world.apply([row_id]).outcomes] == ["applied"]


_whole = json.loads(body_of("bad", "failed"))


def _payload(**changes: Any) -> bytes:
    payout = {**_whole["data"]["object"], **changes}
    kept = {name: value for name, value in payout.items() if value is not ...}
    return json.dumps({**_whole, "data": {"object": kept}}).encode()


UNREADABLE = {
    "no amount": _payload(amount=...),
    "no id": _payload(id=...),
    "an amount in text": _payload(amount="5"),
    "an amount with a fraction": _payload(amount=5.5),
    "an amount beyond 64 bits": _payload(amount=2**63),
    "a currency of two letters": _payload(currency="eu"),
    "a currency outside of ASCII": _payload(currency="eüx"),
    "an id outside of ASCII": _payload(id="po_é"),
    "another object": _payload(object="charge"),
    "not UTF-8": _payload(failure_message="HERE").replace(b"HERE", b"\xff\xfe"),
    "deep nesting": _payload(destination="HERE").replace(b'"HERE"', b"[" * 90_000 + b"]" * 90_000),
    "not JSON": b"{",
    "nothing": b"",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_payload_that_cannot_be_read_is_dead_at_once(world: World, name: str) -> None:
    ids = world.add(
        body_of("bad", "failed"),
        body_of("good", "paid"),
        payloads=[UNREADABLE[name], body_of("good", "paid")],
    )
    result = world.apply(ids)
    assert world.statuses() == {"evt_bad": "dead", "evt_good": "applied"}
    assert result.retries == []
    assert len(world.rows("SELECT id FROM inbox_attempts")) == 1


@pytest.mark.parametrize("field", ["created", "arrival_date"])
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_a_time_that_fits_no_column_does_not_hold_up_its_neighbours(
    world: World, field: str, number: int
) -> None:
    ids = world.add(body_of("a", "paid"), body_of("odd", "paid", **{field: number}), body_of("b", "paid"))
    world.apply(ids)
    statuses = world.statuses()
    assert statuses["evt_a"] == statuses["evt_b"] == "applied"
    assert statuses["evt_odd"] != "received"


@pytest.mark.parametrize("place", range(7))
def test_what_the_database_refuses_is_cut_out_of_its_batch_and_the_rest_applied(
    maria: World, place: int
) -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    names.insert(place, "odd")
    ids = maria.add(*(body_of(name, "paid") for name in names))

    def too_long() -> Applied:
        made = decide(
            None, read_payout_object(json.dumps(payout_object("po_odd", "paid")).encode()), "acct_1Made"
        )
        assert isinstance(made, Applied)
        return dataclasses.replace(made, changes={**made.changes, "failure_code": "x" * 129})

    result = maria.apply(ids, trouble("po_odd", too_long))

    assert maria.statuses() == {f"evt_{n}": "retrying" if n == "odd" else "applied" for n in names}
    assert maria.payouts() == {f"po_{n}": "paid" for n in "abcdef"}
    (attempt,) = maria.rows("SELECT inbox_id, error_class, error FROM inbox_attempts")
    assert attempt.inbox_id == maria.ids["evt_odd"]
    assert "failure_code" in attempt.error
    assert sorted(outcome.event_id for outcome in result.outcomes) == sorted(f"evt_{n}" for n in names)
    assert len(result.retries) == 1


# Others at work at the same time


def test_a_payout_that_somebody_else_saw_first_is_decided_on_again_and_nothing_is_counted_twice(
    maria: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *ids = maria.add(
        body_of("first", "pending", "po_1"),
        body_of("then", "in_transit", "po_1"),
        body_of("other", "paid", "po_2"),
        body_of("bad", "paid", "po_bad"),
    )
    outside: list[BatchResult] = []

    def overtaken(connection: Connection, seen: Any) -> Any:
        found = lock_with_counterparts(connection, seen)
        if not outside:
            monkeypatch.setattr(batch_module, "lock_with_counterparts", lock_with_counterparts)
            outside.append(maria.apply([first]))
        return found

    monkeypatch.setattr(batch_module, "lock_with_counterparts", overtaken)
    result = maria.apply(ids, trouble("po_bad", fail))

    assert [outcome.status for outcome in outside[0].outcomes] == ["applied"]
    assert sorted((outcome.event_id, str(outcome.status)) for outcome in result.outcomes) == [
        *[("evt_bad", "retrying"), ("evt_other", "applied"), ("evt_then", "applied")]
    ]
    assert maria.payouts() == {"po_1": "in_transit", "po_2": "paid"}
    assert maria.transitions() == [(None, "pending"), ("pending", "in_transit"), (None, "paid")]
    assert maria.outbox() == ["payout.completed", "payout.created", "payout.in_transit"]
    assert [row.attempts for row in maria.rows("SELECT attempts FROM inbox WHERE event_id = 'evt_bad'")] == [
        1
    ]
    assert len(maria.rows("SELECT id FROM inbox_attempts")) == 1
    assert len(result.retries) == 1


def test_a_deadlock_is_tried_again_and_counts_no_attempt(
    maria: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria.apply(maria.add(body_of("a", "pending", "po_1")))
    (row_id,) = maria.add(body_of("b", "paid", "po_1"))
    calls = []
    other = maria.engine.connect()
    other.execute(sa.text("SELECT id FROM payouts FOR UPDATE")).all()
    for number in range(20):  # the lighter one of two is ended: make it the batch
        other.execute(sa.text(f"UPDATE payouts SET updated_at_ms = {number}"))
        other.execute(sa.text(f"INSERT INTO inbox_deliveries VALUES ({number}, 'a', 'e', 's', NULL, 0)"))
    wants = threading.Thread(
        target=lambda: (other.execute(sa.text("SELECT id FROM inbox FOR UPDATE")).all(), other.rollback())
    )

    def crossed(connection: Connection, seen: Any) -> Any:
        calls.append(seen)
        if len(calls) == 1:
            wants.start()
            wait_until("the other one waits for the event's row", _somebody_waits(maria))
        return lock_with_counterparts(connection, seen)

    monkeypatch.setattr(batch_module, "lock_with_counterparts", crossed)
    result = maria.apply([row_id])
    wants.join(10)
    other.close()

    assert len(calls) >= 2
    # Where the other one still held the event at the second try, it is left to the next message.
    outcomes = result.outcomes or maria.apply([row_id]).outcomes
    assert [outcome.status for outcome in outcomes] == ["applied"]
    assert maria.payouts() == {"po_1": "paid"}
    assert maria.rows("SELECT id FROM inbox_attempts") == []


def _somebody_waits(world: World) -> Callable[[], object]:
    return lambda: world.rows("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")


def test_a_busy_database_file_is_waited_for(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'payouts.db'}"
    with world_on(url) as world:
        (row_id,) = world.add(body_of("a", "paid"))
        hasty = build_engine(url, timeout_s=0.02, pool_size=2)
        holder = world.engine.connect()
        holder.begin()
        free = threading.Timer(0.15, holder.rollback)
        free.start()
        result = Applier(hasty, world.rules).apply([row_id])
        free.join()
        holder.close()
        hasty.dispose()
        assert [outcome.status for outcome in result.outcomes] == ["applied"]


def test_a_lost_database_is_raised_and_counts_no_attempt(maria: World) -> None:
    ids = maria.add(body_of("a", "paid"), body_of("b", "paid"))

    def cut() -> None:
        for row in maria.rows("SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx"):
            with maria.engine.connect() as connection:
                connection.execute(sa.text(f"KILL {row.id}"))

    with pytest.raises(DBAPIError):
        maria.apply(ids, trouble("po_b", cut))
    assert maria.statuses() == {"evt_a": "received", "evt_b": "received"}
    assert maria.payouts() == {}
    assert maria.rows("SELECT id FROM inbox_attempts") == []
    assert len(maria.apply(ids).outcomes) == 2


def test_an_outbox_row_whose_id_is_taken_is_not_lost_in_silence(world: World) -> None:
    world.apply(world.add(body_of("a", "paid", "po_1"), body_of("b", "paid", "po_2")))
    with world.engine.begin() as connection:
        payouts = lock_payouts(connection, ["po_1", "po_2"])
        insert_notices(connection, [Notice(77, "alert.one", payouts["po_1"], "evt_a", NOW_MS, "one")])
    try:
        with world.engine.begin() as connection:
            insert_notices(connection, [Notice(77, "alert.two", payouts["po_2"], "evt_b", NOW_MS, "two")])
    except (DBAPIError, PayoutsError):
        return  # refused as a whole: the event is tried again with another id
    assert {"alert.one", "alert.two"} <= set(world.outbox())


# What is decided is what is written


def test_a_life_in_one_batch_writes_every_step_and_the_last_state(world: World) -> None:
    steps = ["pending", "in_transit", "paid", "failed"]
    ids = world.add(*(body_of(status, status, "po_1") for status in steps))
    world.apply(ids)
    assert world.payouts() == {"po_1": "failed"}
    assert world.transitions() == list(zip([None, *steps], steps, strict=False))
    assert world.outbox() == ["payout.completed", "payout.created", "payout.failed", "payout.in_transit"]
    bodies = {row.name: json.loads(row.body) for row in world.rows("SELECT name, body FROM outbox")}
    assert bodies["payout.failed"]["failure_code"] == "account_closed"
    assert bodies["payout.failed"]["caused_by"] == "evt_failed"
    assert bodies["payout.completed"]["status"] == "paid"
    assert bodies["payout.completed"]["amount_minor"] == 12_345


def test_applying_everything_again_changes_nothing(world: World) -> None:
    ids = world.add(*(body_of(status, status, "po_1") for status in ["pending", "paid", "failed"]))
    world.apply(ids)
    tables = ("inbox", "payouts", "payout_transitions", "outbox")
    before = [world.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables]
    world.now_ms += 1000
    assert world.apply(ids).outcomes == []
    assert [world.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables] == before


def test_a_type_that_is_not_followed_is_ignored_by_name(world: World) -> None:
    ids = world.add(event_body("evt_x", "customer.created", {"id": "cus_1", "object": "customer"}))
    world.apply(ids)
    (row,) = world.rows("SELECT status, reason FROM inbox")
    assert tuple(row) == ("ignored", "event type customer.created is not followed")


@pytest.mark.parametrize(
    ("related", "status"),
    [
        ({"id": "po_1", "type": "payout", "url": "/v1/payouts/po_1"}, "deferred"),
        ({"id": "acct_1", "type": "v2.core.account", "url": "/v2/core/accounts/acct_1"}, "ignored"),
        (None, "ignored"),
    ],
)
def test_a_thin_event_is_looked_up_only_where_it_is_about_a_payout(
    world: World, related: Any, status: str
) -> None:
    thin = {"id": "evt_thin", "object": "v2.core.event", "type": "v2.x", "livemode": False}
    ids = world.add(
        json.dumps({**thin, "created": "2026-01-01T00:00:00Z", "related_object": related}).encode()
    )
    result = world.apply(ids)
    assert world.statuses() == {"evt_thin": status}
    assert result.lookups == (ids if status == "deferred" else [])


# Conflicts, settled by Stripe's answer


class Gateway:
    """Answers with one payout, or one error."""

    def __init__(self, answer: dict[str, Any] | GatewayError) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str | None]] = []

    def payout(self, payout_id: str, account: str | None) -> PayoutObject:
        self.asked.append((payout_id, account))
        if isinstance(self.answer, GatewayError):
            raise self.answer
        return read_payout_object(json.dumps(self.answer).encode())


def resolve(world: World, row_id: int, gateway: Gateway) -> BatchResult:
    return Resolver(Applier(world.engine, world.rules), gateway).resolve(row_id)


@pytest.mark.parametrize(("held", "seen"), [("failed", "canceled"), ("canceled", "failed")])
@pytest.mark.parametrize("truth", ["held", "seen"])
def test_a_conflict_ends_as_stripe_confirms(world: World, held: str, seen: str, truth: str) -> None:
    holds = {"held": held, "seen": seen}[truth]
    first, second = world.add(body_of("1", held, "po_1"), body_of("2", seen, "po_1"))

    result = world.apply([first, second])
    assert result.lookups == [second]
    assert world.statuses() == {"evt_1": "applied", "evt_2": "deferred"}
    assert world.payouts() == {"po_1": held}
    assert len([name for name in world.outbox() if name.startswith("alert.")]) == 1

    gateway = Gateway(payout_object("po_1", holds))
    resolve(world, second, gateway)
    assert gateway.asked == [("po_1", "acct_1Made")]
    assert world.payouts() == {"po_1": holds}
    assert world.statuses()["evt_2"] == ("applied" if truth == "seen" else "ignored")
    assert len(world.outbox()) == len(set(world.outbox()))
    assert resolve(world, second, gateway).outcomes == []
    assert len(gateway.asked) == 1


def test_a_conflict_that_turns_twice_leaves_each_outbox_name_once(world: World) -> None:
    ids = world.add(
        body_of("1", "failed", "po_1"), body_of("2", "canceled", "po_1"), body_of("3", "failed", "po_1")
    )
    world.apply(ids[:2])
    resolve(world, ids[1], Gateway(payout_object("po_1", "canceled")))
    world.apply(ids[2:])
    resolve(world, ids[2], Gateway(payout_object("po_1", "failed")))
    assert world.payouts() == {"po_1": "failed"}
    assert world.transitions() == [(None, "failed"), ("failed", "canceled"), ("canceled", "failed")]
    names = world.outbox()
    assert len(names) == len(set(names))
    assert {"payout.failed", "payout.canceled"} <= set(names)


def test_an_answer_that_may_come_later_is_waited_for_and_counts_no_attempt(world: World) -> None:
    first, second = world.add(body_of("1", "failed", "po_1"), body_of("2", "canceled", "po_1"))
    world.apply([first, second])
    resolve(world, second, Gateway(GatewayError("Stripe said 503", transient=True)))
    (row,) = world.rows("SELECT status, reason, attempts, due_at_ms FROM inbox WHERE event_id = 'evt_2'")
    assert (row.status, row.reason, row.attempts) == ("deferred", "Stripe said 503", 0)
    assert UNANSWERED_WAIT_MS * 0.5 <= row.due_at_ms - NOW_MS <= UNANSWERED_WAIT_MS * 1.5


def test_a_stripe_that_does_not_answer_is_left_alone_for_a_while_and_asked_again(world: World) -> None:
    bodies = [body_of(f"f{n}", "failed", f"po_{n}") for n in range(6)]
    contradictions = [body_of(f"c{n}", "canceled", f"po_{n}") for n in range(6)]
    world.apply(world.add(*bodies))
    ids = world.add(*contradictions)
    world.apply(ids)
    gateway = Gateway(GatewayError("Stripe said 503", transient=True))
    asking = Resolver(Applier(world.engine, world.rules), gateway)

    for inbox_id in ids:
        asking.resolve(inbox_id)
    assert len(gateway.asked) == UNANSWERED_MOST
    assert {row.status for row in world.rows("SELECT status FROM inbox WHERE id IN " + str(tuple(ids)))} == {
        "deferred"
    }
    world.now_ms += OPEN_MS
    asking.resolve(ids[0])
    assert len(gateway.asked) == UNANSWERED_MOST + 1


def test_an_answer_that_will_not_come_is_dead(world: World) -> None:
    first, second = world.add(body_of("1", "failed", "po_1"), body_of("2", "canceled", "po_1"))
    world.apply([first, second])
    resolve(world, second, Gateway(GatewayError("Stripe said 404", transient=False)))
    assert world.statuses()["evt_2"] == "dead"


def test_an_answer_that_waits_for_a_person_counts_no_attempt(world: World) -> None:
    first, second = world.add(body_of("1", "failed", "po_1"), body_of("2", "canceled", "po_1"))
    world.apply([first, second])
    resolve(world, second, Gateway(GatewayError("set STRIPE_API_KEY", transient=True, blocked=True)))
    (row,) = world.rows("SELECT status, reason, attempts, due_at_ms FROM inbox WHERE event_id = 'evt_2'")
    assert tuple(row) == ("deferred", "set STRIPE_API_KEY", 0, NOW_MS + BLOCKED_WAIT_MS)


# Any order, any repetition, any cut into batches


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_in_any_batches_ends_as_it_must(world: World, data: st.DataObject) -> None:
    world.clear()
    roads = data.draw(st.lists(st.sampled_from(sorted(ROADS)), min_size=1, max_size=4))
    bodies = [
        event_body(f"evt_{number}x{step}x{twin}", kind, payout_object(f"po_{number}", status))
        for number, road in enumerate(roads)
        for step, (kind, status) in enumerate(ROADS[road])
        for twin in range(data.draw(st.integers(1, 2)))
    ]
    ids = world.add(*data.draw(st.permutations(bodies)))
    while ids:
        size = data.draw(st.integers(1, 8))
        world.apply(ids[:size])
        ids = ids[size:]

    assert world.payouts() == {f"po_{at}": ENDS.get(road, road) for at, road in enumerate(roads)}
    assert set(world.statuses().values()) <= {"applied", "ignored"}
    for old, new in world.transitions():
        assert RANK[new] > RANK[old]
    keys = [row.dedupe_key for row in world.rows("SELECT dedupe_key FROM outbox")]
    assert len(keys) == len(set(keys)) == len(world.transitions())
