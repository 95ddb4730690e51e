"""Health: degraded and unhealthy, what hangs, what was asked just now, and readiness beside it."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from serving.health import About, Health, Result

ABOUT = About("1.2.3", "staging", lambda: "2026-01-10T12:00:00.000Z", lambda: {"received": 7})
RUNBOOK = {"status", "timestamp", "version", "environment", "uptime", "checks"}


@dataclass
class Found:
    status: Any = "pass"
    note: str = ""
    latency_ms: float | None = None


@dataclass
class FakeCheck:
    """A check whose answer the test chooses; it counts how often it was asked."""

    name: str
    answer: Callable[[], Found] = Found
    every_s: float = 5.0
    within_s: float = 60.0
    asked: int = 0
    ask: Callable[[], Any] = field(init=False)

    def __post_init__(self) -> None:
        self.ask = self._ask

    def _ask(self) -> Found:
        self.asked += 1
        return self.answer()


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def site(clock: Clock, told: list[tuple[str, str]]) -> Callable[..., TestClient]:
    def made(*checks: FakeCheck, fatal: Any = ()) -> TestClient:
        def tell(name: str, result: Result, error: BaseException | None) -> None:
            told.append((name, result.status))

        health = Health(ABOUT, checks, fatal, tell, monotonic=clock)
        return TestClient(Starlette(routes=health.routes()))

    return made


def fails() -> Found:
    return Found("fail", "it does not answer")


def test_all_well_is_told_as_the_runbook_shows_it(site: Any, clock: Clock) -> None:
    client = site(
        FakeCheck("database", lambda: Found(latency_ms=14.2)),
        FakeCheck("redis", lambda: Found(latency_ms=0.2)),
        FakeCheck("auth"),
    )
    clock.now_s += 86_400.9
    answer = client.get("/api/health")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "status": "healthy",
        "timestamp": "2026-01-10T12:00:00.000Z",
        "version": "1.2.3",
        "environment": "staging",
        "uptime": 86_400,
        "checks": {
            "database": {"status": "pass", "latency": 15},
            "redis": {"status": "pass", "latency": 1},
            "auth": {"status": "pass"},
        },
    }


@pytest.mark.parametrize(
    ("failing", "status", "code"),
    [
        ((), "healthy", 200),
        (("email",), "degraded", 200),
        (("redis",), "degraded", 200),
        (("redis", "email"), "degraded", 200),
        (("database", "redis"), "unhealthy", 503),
    ],
)
def test_degraded_and_unhealthy_are_two_things(
    failing: tuple[str, ...], status: str, code: int, site: Any
) -> None:
    names = ("database", "redis", "email")
    checks = [FakeCheck(name, fails if name in failing else Found) for name in names]
    client = site(*checks, fatal=[{"database", "redis"}])
    answer, head = client.get("/api/health"), client.head("/api/health")
    assert (answer.json()["status"], answer.status_code, head.status_code) == (status, code, code)
    assert head.content == b""
    assert set(answer.json()) == RUNBOOK
    for name in failing:
        assert answer.json()["checks"][name] == {"status": "fail", "note": "it does not answer"}


def test_a_warning_degrades(site: Any) -> None:
    client = site(FakeCheck("queue", lambda: Found("warn", "late")), fatal=[{"queue"}])
    assert client.get("/api/health").json()["status"] == "degraded"


def test_nothing_is_asked_again_before_its_time(site: Any, clock: Clock) -> None:
    well, ill = FakeCheck("database"), FakeCheck("redis", fails)
    client = site(well, ill)
    for _ in range(5):
        client.get("/api/health")
    assert (well.asked, ill.asked) == (1, 1)
    clock.now_s += 5
    client.get("/api/health")
    assert (well.asked, ill.asked) == (2, 2)


def test_a_change_is_told_once(site: Any, clock: Clock, told: list[tuple[str, str]]) -> None:
    check = FakeCheck("redis")
    client = site(check)
    for answer in (Found, fails, fails, Found, Found):
        check.answer = answer
        client.get("/api/health")
        clock.now_s += 5
    assert told == [("redis", "fail"), ("redis", "pass")]


def test_what_a_check_raises_is_a_failure_without_its_text(site: Any) -> None:
    def raises() -> Found:
        raise ValueError("mysql://root:hunter2@db")

    said = site(FakeCheck("database", raises)).get("/api/health")
    assert said.json()["checks"]["database"]["status"] == "fail"
    assert "hunter2" not in said.text


def test_what_hangs_fails_in_time_holds_one_thread_and_is_seen_again_when_it_answers(
    site: Any, clock: Clock
) -> None:
    released = threading.Event()

    def hangs() -> Found:
        released.wait(60)
        return Found()

    check = FakeCheck("database", hangs, within_s=0.05)
    client = site(check, FakeCheck("redis"))
    for _ in range(3):
        answer = client.get("/api/health").json()
        assert answer["checks"]["database"] == {"status": "fail", "note": "no answer within 0.05 s"}
        assert answer["checks"]["redis"]["status"] == "pass"
        clock.now_s += 5
    assert check.asked == 1
    released.set()
    check.within_s = 60
    assert client.get("/api/health").json()["status"] == "healthy"


def test_who_asks_at_the_same_time_is_told_the_same_by_one_question() -> None:
    begun, released = threading.Event(), threading.Event()

    def slow() -> Found:
        begun.set()
        released.wait(60)
        return Found(latency_ms=1)

    check = FakeCheck("database", slow)
    health = Health(ABOUT, [check], [])

    async def ask_at_once() -> list[dict[str, Result]]:
        asking = [asyncio.create_task(health.look()) for _ in range(20)]
        await asyncio.to_thread(begun.wait, 60)
        released.set()
        return await asyncio.gather(*asking)

    answers = asyncio.run(ask_at_once())
    assert all(answer == answers[0] for answer in answers)
    assert check.asked == 1


def test_a_check_may_be_a_coroutine(site: Any) -> None:
    async def ask() -> Found:
        await asyncio.sleep(0)
        return Found(note="by the loop")

    check = FakeCheck("auth")
    check.ask = ask
    assert site(check).get("/api/health").json()["checks"]["auth"]["note"] == "by the loop"


def test_liveness_asks_nothing(site: Any) -> None:
    check = FakeCheck("database", fails)
    client = site(check, fatal=[{"database"}])
    answer = client.get("/api/live")
    assert answer.status_code == client.head("/api/live").status_code == 200
    assert answer.json() == {"status": "live", "version": "1.2.3", "uptime": 0, "counts": {"received": 7}}
    assert check.asked == 0


def test_readiness_begins_with_the_first_answer_of_the_stores_and_does_not_end_with_a_failure(
    site: Any, clock: Clock
) -> None:
    check = FakeCheck("database", fails)
    client = site(check, fatal=[{"database"}])
    answer = client.get("/api/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "starting")
    check.answer = Found
    clock.now_s += 5
    assert client.get("/api/ready").json()["status"] == "ready"
    check.answer = fails
    clock.now_s += 5
    assert client.get("/api/health").status_code == 503
    assert client.get("/api/ready").status_code == client.head("/api/ready").status_code == 200


def test_who_is_to_stop_is_not_ready_and_still_alive(site: Any) -> None:
    client = site(FakeCheck("database"))
    assert client.get("/api/ready").status_code == 200
    client.app.state.stopping = True
    answer = client.get("/api/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "stopping")
    assert client.get("/api/live").status_code == client.get("/api/health").status_code == 200
