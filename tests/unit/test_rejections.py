"""Who sends rubbish is found out at once in one process, and a little later by all."""

from typing import Any

import redis

from payouts.rate_limiter import ASK_AGAIN_S, RateLimiter
from payouts.rates import WINDOW_S, Rate, RouteGroup, refused
from payouts.rejections import ADDRESSES_MOST, Rejections

GROUP = RouteGroup.RECEIVER_REFUSED


class Shared:
    """What all processes counted together, by hand."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}
        self.full: set[str] = set()

    def hit(self, group: RouteGroup, key: str, limit: int, cost: int = 1) -> Rate:
        self.counted[key] = self.counted.get(key, 0) + cost
        return refused(group, limit, 30) if key in self.full else Rate(group, limit, 1, 30)


class Scene:
    def __init__(self, limit: int = 3) -> None:
        self.now_s, self.limit = 1_000.0, limit
        self.shared = Shared()
        limiter: Any = self.shared
        self.rejections = Rejections(limiter, GROUP, lambda: self.limit, lambda: self.now_s)

    def send(self, key: str, times: int = 1) -> list[bool]:
        """Whether each was over the limit."""
        found = []
        for _ in range(times):
            over = self.rejections.over(key)
            if over is None:
                self.rejections.count(key)
            found.append(over is not None)
        return found


def test_after_the_limit_an_address_is_over_it_until_its_minute_ends() -> None:
    scene = Scene()
    assert scene.send("a", 5) == [False, False, False, True, True]
    assert scene.send("b") == [False]
    over = scene.rejections.over("a")
    assert over
    assert over.headers["Retry-After"] == str(WINDOW_S)
    scene.now_s += WINDOW_S
    assert scene.send("a") == [False]


def test_who_is_over_the_limit_of_all_processes_together_is_so_here_too() -> None:
    scene = Scene()
    scene.shared.full.add("a")
    assert scene.send("a") == [False]
    scene.rejections.share()
    assert scene.send("a") == [True]
    assert scene.shared.counted == {"a": 1}
    scene.rejections.share()
    assert scene.shared.counted == {"a": 1}, "counted twice"


def test_a_limit_of_nothing_is_no_limit() -> None:
    scene = Scene(limit=0)
    assert not any(scene.send("a", 100))
    scene.rejections.share()
    assert scene.shared.counted == {}


def test_a_limit_that_is_raised_counts_from_the_next_one_on() -> None:
    scene = Scene(limit=1)
    assert scene.send("a", 2) == [False, True]
    scene.limit, scene.now_s = 5, scene.now_s + WINDOW_S
    assert scene.send("a", 5) == [False] * 5


def test_a_flood_from_very_many_addresses_takes_a_bounded_place() -> None:
    scene = Scene(limit=1)
    for number in range(ADDRESSES_MOST * 2 + 10):
        scene.rejections.count(str(number))
    assert len(scene.rejections.barred) <= ADDRESSES_MOST


class Gone:
    """A Redis that does not answer, and how often it was asked."""

    asked = 0

    @property
    def connection_pool(self) -> Any:
        self.asked += 1
        raise redis.ConnectionError("nobody listens")


def test_without_redis_a_process_counts_for_itself_and_asks_it_rarely() -> None:
    now_s = 0.0
    gone = Gone()
    client: Any = gone
    limiter = RateLimiter(client, "payouts", lambda: now_s)
    rates = [limiter.hit(RouteGroup.API_READ, "1", 3) for _ in range(5)]
    assert [rate.allowed for rate in rates] == [True, True, True, False, False]
    assert [rate.remaining for rate in rates] == [2, 1, 0, 0, 0]
    assert limiter.hit(RouteGroup.API_READ, "2", 3).allowed
    assert gone.asked == 1
    now_s = ASK_AGAIN_S + 1
    limiter.hit(RouteGroup.API_READ, "1", 3)
    assert gone.asked == 2
