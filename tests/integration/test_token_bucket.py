"""The rates that Stripe allows, shared by all workers through Redis."""

import threading
import time

from payouts.storage.token_bucket import TokenBucket
from tests.support.servers import RedisServer


def test_workers_together_never_take_more_than_the_rate_and_the_burst(redis_server: RedisServer) -> None:
    taken: list[float] = []
    began = time.monotonic()

    def work() -> None:
        with redis_server.client as client:
            bucket = TokenBucket(client, "calls", rate=50, burst=5)
            for _ in range(15):
                assert bucket.take()
                taken.append(time.monotonic() - began)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 60
    # The first five at once, each later one a fiftieth of a second after the one before.
    assert max(taken) >= 55 / 50 * 0.98


def test_who_would_wait_too_long_is_sent_away_and_takes_nothing(redis_server: RedisServer) -> None:
    with redis_server.client as client:
        bucket = TokenBucket(client, "calls", rate=0.1, burst=2, patience_s=1)

        assert [bucket.take() for _ in range(4)] == [True, True, False, False]
        assert TokenBucket(client, "others", rate=0.1, burst=1).take()
