"""The scheduler: every job at its interval, whatever another does."""

import itertools
import threading
import time

from workers.schedule import Job, run_jobs


def run(*jobs: Job, for_s: float) -> None:
    stop = threading.Event()
    timer = threading.Timer(for_s, stop.set)
    timer.start()
    began = time.monotonic()
    run_jobs(jobs, stop)
    assert time.monotonic() - began >= for_s - 0.05
    timer.join()


def test_every_job_runs_at_once_and_then_at_its_own_interval() -> None:
    often: list[float] = []
    seldom: list[float] = []
    began = time.monotonic()
    run(
        Job("often", 0.02, lambda: often.append(time.monotonic() - began)),
        Job("seldom", 60, lambda: seldom.append(time.monotonic() - began)),
        for_s=0.3,
    )
    assert len(seldom) == 1
    assert often[0] < 0.2
    assert seldom[0] < 0.2
    assert 3 <= len(often) <= 16
    assert min(after - before for before, after in itertools.pairwise(often)) >= 0.019


def test_a_job_that_fails_comes_again_and_holds_no_other_up() -> None:
    tries: list[int] = []
    others: list[int] = []

    def fails() -> None:
        tries.append(1)
        raise RuntimeError("out of order")

    run(Job("fails", 0.02, fails), Job("works", 0.02, lambda: others.append(1)), for_s=0.2)
    assert len(tries) >= 3
    assert len(others) >= 3


def test_jobs_never_run_at_the_same_time() -> None:
    busy, overlapped = threading.Lock(), []

    def job() -> None:
        if not busy.acquire(blocking=False):
            overlapped.append(1)
            return
        time.sleep(0.01)
        busy.release()

    ran: list[int] = []
    run(Job("a", 0.005, job), Job("b", 0.005, job), Job("c", 0.005, lambda: ran.append(1)), for_s=0.15)
    assert overlapped == []
    assert len(ran) >= 2


def test_stopping_ends_the_wait_at_once() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=run_jobs, args=([Job("seldom", 60, lambda: None)], stop))
    thread.start()
    time.sleep(0.05)
    began = time.monotonic()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - began < 1
