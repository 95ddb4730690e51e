"""Nothing acknowledged is lost and nothing is applied twice, wherever a process is killed: kill -9 at each
named crash point, on the process that passes it."""

import time

import pytest

from payouts.crash import POINTS
from tests.support.lives import Lives, make_lives
from tests.support.senders import Senders, check_applied_once, check_kept, storable_ids, wait_started
from tests.support.servers import RedisServer, SqlServer, wait_until
from tests.support.stack import Stack, check_promises

RECEIVER_POINTS = ["intake.before_commit", "intake.after_commit", "intake.after_hint"]
WORKER_POINTS = ["apply.before_commit", "apply.after_commit"]
ELSEWHERE = {"send.before_commit", "send.after_commit", "send.after_call"}
ELSEWHERE |= {"request.before_commit", "schedule.between_partners", "tell.before_record", "api.after_commit"}
ELSEWHERE |= {"catch_up.before_commit", "catch_up.after_commit", "unit.before_commit", "unit.after_commit"}
ELSEWHERE |= {
    f"archive.{place}" for place in ("after_write", "before_commit", "after_commit", "before_replace")
}
"""Tried by the tests of sending, of requesting, of notices, of the API, of catch-up, of the archive, and of
what people do."""
OTHER_POINTS = ["sweep.before_send", "spill.after_append", "drain.after_commit"]
DIED = -9


def test_every_crash_point_is_tried_here() -> None:
    assert {*RECEIVER_POINTS, *WORKER_POINTS, *OTHER_POINTS} | ELSEWHERE == POINTS


def test_nobody_is_answered_before_the_commit(mariadb_stack: Stack, mariadb: SqlServer) -> None:
    lives = make_lives(20, seed=80)
    to_store = storable_ids(lives.bodies)
    mariadb_stack.start("receiver")
    assert set(mariadb_stack.deliver(make_lives(5, seed=79).bodies)) == {200}

    holder = mariadb.connect(mariadb_stack.engine.url.database)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLES inbox WRITE")
        senders = Senders(mariadb_stack, lives.bodies, 8, tries=40).start()
        time.sleep(0.4)
        assert senders.acknowledged & to_store == set()
        mariadb_stack.kill("receiver")
        assert senders.acknowledged & to_store == set()
        cursor.execute("UNLOCK TABLES")
    holder.close()
    mariadb_stack.start("receiver")
    senders.join()

    assert senders.left_out == []
    check_kept(mariadb_stack, senders.acknowledged, lives.bodies)


def wait_dead(stack: Stack, name: str) -> None:
    wait_until(f"{name} dies at its crash point", lambda: not stack.is_running(name), 30)
    assert stack.processes.pop(name).wait() == DIED


def check_end(stack: Stack, lives: Lives, senders: Senders) -> None:
    assert senders.left_out == []
    check_kept(stack, senders.acknowledged, lives.bodies)
    stack.wait_applied(60)
    check_promises(stack, lives.expected, lives.bodies)
    check_applied_once(stack)


@pytest.mark.parametrize("point", RECEIVER_POINTS)
def test_a_receiver_killed_at_a_commit_keeps_what_it_acknowledged(mariadb_stack: Stack, point: str) -> None:
    lives = make_lives(80, seed=81)
    mariadb_stack.start("receiver", CRASH_AT=f"{point}:5")
    mariadb_stack.start("worker", "scheduler")

    senders = Senders(mariadb_stack, lives.bodies, 8, tries=40).start()
    wait_dead(mariadb_stack, "receiver")
    acknowledged_before = senders.acknowledged
    mariadb_stack.start("receiver")
    senders.join()

    assert acknowledged_before, "it died before it acknowledged anything: the test proves too little"
    check_end(mariadb_stack, lives, senders)


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_a_worker_killed_at_a_commit_applies_each_event_once(stack: Stack, point: str) -> None:
    lives = make_lives(80, seed=82)
    stack.start("worker", CRASH_AT=f"{point}:3")
    stack.start("receiver", "scheduler")

    senders = Senders(stack, lives.bodies, 8, tries=3).start()
    wait_dead(stack, "worker")
    stack.start("worker")
    senders.join()

    check_end(stack, lives, senders)


def test_a_scheduler_killed_before_it_sends_leaves_the_work_to_the_next(
    mariadb_stack: Stack, redis_server: RedisServer
) -> None:
    lives = make_lives(60, seed=83)
    mariadb_stack.start("receiver")
    senders = Senders(mariadb_stack, lives.bodies, 8).start().join()
    redis_server.client.flushall()  # every hint is gone, so that the sweeper alone can find the rows

    mariadb_stack.start("worker")
    mariadb_stack.start("scheduler", CRASH_AT="sweep.before_send:6")
    wait_dead(mariadb_stack, "scheduler")
    mariadb_stack.start("scheduler")

    check_end(mariadb_stack, lives, senders)


def test_a_receiver_killed_after_it_spilled_lost_and_doubled_nothing(
    breakable: Stack, breakable_mariadb: SqlServer, own_redis: RedisServer
) -> None:
    lives = make_lives(60, seed=84)
    breakable.start("receiver", CRASH_AT="spill.after_append:4")
    breakable.start("worker", "scheduler")
    wait_started(breakable, "worker", "scheduler")
    breakable_mariadb.kill()
    breakable.engine.dispose()

    senders = Senders(breakable, lives.bodies, 8, tries=40).start()
    wait_dead(breakable, "receiver")
    assert own_redis.client.xlen("payouts:spill") > 0
    breakable.start("receiver")
    senders.join()
    breakable_mariadb.start()

    wait_until("the spill is drained", lambda: not own_redis.client.xlen("payouts:spill"))
    check_end(breakable, lives, senders)


@pytest.mark.parametrize("role", ["receiver", "scheduler"])
def test_whoever_is_killed_while_draining_stores_each_event_once(
    breakable: Stack, breakable_mariadb: SqlServer, own_redis: RedisServer, role: str
) -> None:
    lives = make_lives(120, seed=85)
    breakable.start("receiver", **({"CRASH_AT": "drain.after_commit"} if role == "receiver" else {}))
    breakable.start("worker")
    wait_started(breakable, "worker")
    breakable_mariadb.kill()
    breakable.engine.dispose()
    senders = Senders(breakable, lives.bodies, 8, tries=5).start().join()
    spilled = own_redis.client.xlen("payouts:spill")
    assert spilled > 200, "more than one step of the drain"

    if role == "scheduler":
        breakable.kill("receiver")
        breakable_mariadb.start()
        breakable.start("scheduler", CRASH_AT="drain.after_commit")
    else:
        breakable_mariadb.start()
    wait_dead(breakable, role)
    assert own_redis.client.xlen("payouts:spill") == spilled, "it died before it removed anything"
    breakable.start("scheduler")

    wait_until("the spill is drained", lambda: not own_redis.client.xlen("payouts:spill"))
    check_end(breakable, lives, senders)
