"""The service notices by itself that its database was restored to an earlier time, and stops all sending."""

from collections.abc import Iterator

import pytest
import redis

from payouts.calls import Answer, FrozenCall
from payouts.lookout import Lookout
from payouts.sending import Sender
from payouts.storage.recovery_rows import Newest, open_recovery
from payouts.storage.trail import Noted, Trail
from tests.support.restoring import Restorer
from tests.support.servers import RedisServer

NAMESPACE = "tests"


class Watched(Restorer):
    """A restorer whose workers watch the database, each with a lookout of its own."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        super().__init__(url)
        self.client = client
        self.sender = self.worker()

    def lookout(self) -> Lookout:
        """One that asks for the trail each time."""
        seconds = iter(range(10_000))
        trail = Trail(self.client, NAMESPACE)
        return Lookout(self.engine, trail, self.make_id, self.clock, lambda: float(next(seconds)))

    def worker(self) -> Sender:
        return Sender(self.engine, self.gateway, self.rules, self.lookout())

    def is_recovering(self) -> bool:
        with self.engine.connect() as connection:
            return open_recovery(connection) is not None


@pytest.fixture
def bench(database_url: str, redis_server: RedisServer) -> Iterator[Watched]:
    made = Watched(database_url, redis_server.client)
    yield made
    made.engine.dispose()


@pytest.mark.parametrize("who", ["the same worker", "another worker"])
def test_a_worker_on_a_restored_database_sends_nothing_and_begins_a_recovery(
    bench: Watched, who: str
) -> None:
    request_id = bench.sent()
    waiting = bench.request(bench.first())
    taken = bench.backup()
    bench.sender.send(waiting)
    assert bench.made() == (2, 2)
    bench.restore(taken)

    (bench.sender if who == "the same worker" else bench.worker()).send(waiting)

    assert bench.made() == (2, 2)
    assert bench.blocked(waiting) == "recovery"
    [held] = bench.rows("SELECT * FROM recoveries")
    sent_at_ms = bench.value("SELECT sent_at_ms FROM payout_requests WHERE id = :id", id=request_id)
    assert (held.began_by, held.gap_from_ms) == ("system:lookout", sent_at_ms)
    assert "an earlier state was restored" in held.reason
    assert bench.value("SELECT COUNT(*) FROM outbox WHERE name = 'alert.recovery_begun'") == 1


@pytest.mark.parametrize("known", [True, False], ids=["known then", "asked for since"])
def test_an_answer_that_comes_after_the_restore_is_no_trouble(
    bench: Watched, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    bench.sent()
    if known:
        request_id = bench.request(bench.first())
        taken = bench.backup()
    else:
        taken = bench.backup()
        request_id = bench.request(bench.first())
    send = bench.stripe.send

    def send_and_restore(call: FrozenCall) -> Answer:
        answer = send(call)
        bench.restore(taken)
        return answer

    monkeypatch.setattr(bench.stripe, "send", send_and_restore)
    bench.sender.send(request_id)
    monkeypatch.undo()

    assert bench.is_recovering()
    assert len(bench.stripe.calls) == 3
    assert bench.blocked(request_id) == ("recovery" if known else None)
    assert bench.close_the_gap().attached == (1 if known else 0)


def test_a_decision_that_was_lost_is_noticed_too(bench: Watched) -> None:
    bench.lookout().look()
    taken = bench.backup()
    bench.sender.send(bench.request(bench.partner()))
    bench.lookout().look()
    bench.restore(taken)

    bench.lookout().look()

    assert bench.is_recovering()


def test_a_redis_that_was_wiped_begins_no_recovery(bench: Watched) -> None:
    bench.sent()
    bench.client.flushall()

    bench.worker().send(bench.request(bench.first()))
    bench.lookout().look()

    assert not bench.is_recovering()
    assert bench.made() == (2, 2)


def test_a_redis_that_does_not_answer_stops_nothing(bench: Watched) -> None:
    bench.client = redis.Redis(port=1, socket_connect_timeout=0.1, retry=None)
    request_id = bench.request(bench.partner())

    bench.worker().send(request_id)
    bench.lookout().look()

    assert bench.status(request_id) == "sent"
    assert not bench.is_recovering()


def test_a_redis_that_knows_another_database_begins_no_recovery(bench: Watched) -> None:
    bench.sent()
    bench.restore({name: [] for name in bench.backup()})

    bench.worker().send(bench.request(bench.partner()))

    assert not bench.is_recovering()
    assert bench.made() == (2, 2)


def test_what_is_known_outside_only_grows_whoever_writes_last(redis_server: RedisServer) -> None:
    trail = Trail(redis_server.client, NAMESPACE)
    newest = 9_007_199_254_740_993  # one more than a float can tell apart

    trail.note("this", Newest(newest, 5))
    trail.note("this", Newest(newest - 1, 10))

    assert trail.note("this", Newest()) == Noted("this", Newest(newest, 10))
    assert trail.note("other", Newest(7, 7)) == Noted("this", Newest(7, 7))


def test_what_a_recovery_was_about_begins_no_other_one(bench: Watched) -> None:
    idle = bench.worker()
    idle.send(bench.request(bench.partner()))
    waiting = bench.request(bench.first())
    taken = bench.backup()
    idle.send(waiting)
    bench.restore(taken)
    bench.lookout().look()
    bench.close_the_gap()
    bench.finish()

    bench.pass_(hours=1)
    bench.sender.send(waiting)
    another = bench.request(bench.first())
    idle.send(another)
    bench.lookout().look()

    assert not bench.is_recovering()
    assert bench.status(another) == "sent"
    assert bench.made() == (3, 3)


def test_a_restore_after_a_recovery_is_noticed_as_well(bench: Watched) -> None:
    bench.recover(bench.clock())
    bench.pass_(hours=1)
    bench.lookout().look()
    taken = bench.backup()
    bench.sender.send(bench.request(bench.partner()))
    bench.restore(taken)

    bench.lookout().look()

    assert bench.is_recovering()
