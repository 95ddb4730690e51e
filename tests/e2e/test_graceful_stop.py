"""A stop that was asked for (SIGTERM) loses nothing: what was answered 2xx is stored, work in hand is
finished or given back, and the process ends by itself."""

import time

from tests.support.lives import make_lives
from tests.support.senders import Senders, check_applied_once, check_kept
from tests.support.servers import wait_until
from tests.support.stack import Stack, check_promises


def test_a_stopped_receiver_kept_what_it_acknowledged(mariadb_stack: Stack) -> None:
    lives = make_lives(400, seed=71)
    mariadb_stack.start("receiver", "worker", "scheduler")

    senders = Senders(mariadb_stack, lives.bodies, 32).start()
    wait_until("deliveries are under way", lambda: len(senders.answers) > 150)
    began = time.monotonic()
    code = mariadb_stack.stop("receiver")
    took_s = time.monotonic() - began
    senders.stop()

    assert senders.left_out, "nothing was under way any more when the receiver stopped"
    assert took_s < 15
    check_kept(mariadb_stack, senders.acknowledged, lives.bodies)
    mariadb_stack.start("receiver")
    assert Senders(mariadb_stack, senders.left_out, 16, tries=20).start().join().left_out == []
    mariadb_stack.wait_applied()
    check_promises(mariadb_stack, lives.expected, lives.bodies)
    check_applied_once(mariadb_stack)
    assert code == 0


def test_a_stopped_worker_loses_and_doubles_nothing(mariadb_stack: Stack) -> None:
    lives = make_lives(800, seed=72)
    mariadb_stack.start("receiver", "worker", "scheduler")

    senders = Senders(mariadb_stack, lives.bodies, 16, tries=3).start()
    codes = []
    for turn in (1, 2):
        wait_until(
            "the worker works", lambda turn=turn: mariadb_stack.said("worker").count("worker.started") == turn
        )
        time.sleep(0.2)
        codes.append(mariadb_stack.stop("worker"))
        mariadb_stack.start("worker")
    senders.join()

    assert codes == [0, 0]
    assert senders.left_out == []
    mariadb_stack.wait_applied(60)
    check_promises(mariadb_stack, lives.expected, lives.bodies)
    check_applied_once(mariadb_stack)
