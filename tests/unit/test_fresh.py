"""A dependency is asked seldom, waited for briefly, and never believed once it failed."""

import threading

import pytest

from payouts.fresh import Fresh
from tests.support.servers import wait_until


def test_many_askers_ask_once_until_it_is_old() -> None:
    now_s, asked = [100.0], []

    def read() -> int:
        asked.append(now_s[0])
        return len(asked)

    fresh = Fresh(read, every_s=15, wait_s=10, monotonic=lambda: now_s[0])

    assert [said.value for said in (fresh.now(), fresh.now(), fresh.now()) if said] == [1, 1, 1]
    now_s[0] += 14
    said = fresh.now()
    assert said is not None
    assert (said.value, said.age_s) == (1, 14)
    now_s[0] += 1
    said = fresh.now()
    assert said is not None
    assert (said.value, said.age_s) == (2, 0)
    assert asked == [100, 115]


def test_one_that_hangs_holds_up_nobody_and_is_asked_once() -> None:
    now_s, asked, go = [0.0], [], threading.Event()

    def read() -> str:
        asked.append(now_s[0])
        if len(asked) > 1:
            go.wait(30)
        return f"answer {len(asked)}"

    fresh = Fresh(read, every_s=15, wait_s=0.01, kept_s=60, monotonic=lambda: now_s[0])
    wait_until("the first answer is there", lambda: fresh.now() is not None)

    now_s[0] = 20
    stale = fresh.now()  # the second question hangs: the first answer, with its age
    now_s[0] = 50
    older = fresh.now()
    now_s[0] = 61
    gone = fresh.now()
    assert stale is not None
    assert older is not None
    assert (stale.age_s, older.age_s, gone, len(asked)) == (20, 50, None, 2)

    go.set()
    wait_until("it answers again", lambda: fresh.now() is not None)


def test_after_a_failure_there_is_no_answer_until_there_is_one() -> None:
    now_s, works = [0.0], [True]

    def read() -> str:
        if not works[0]:
            raise ConnectionError("away")
        return "here"

    fresh = Fresh(read, every_s=15, wait_s=10, monotonic=lambda: now_s[0])
    assert fresh.now() is not None

    works[0], now_s[0] = False, 15
    assert fresh.now() is None
    assert isinstance(fresh.error, ConnectionError)

    works[0], now_s[0] = True, 30
    assert fresh.now() is not None
    assert fresh.error is None


def test_where_no_thread_can_be_started_it_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    fresh = Fresh(lambda: "here", every_s=15, wait_s=10, monotonic=lambda: now_s[0])

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert fresh.now() is None
        assert isinstance(fresh.error, RuntimeError)

    now_s[0] = 15
    said = fresh.now()
    assert said is not None
    assert said.value == "here"
