"""RabbitMQ as the queue, by its address: the same promises, and Redis for what only Redis does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dramatiq.errors import BrokerError

from payouts.clock import now_ms
from payouts.settings import Settings, load_settings
from payouts.storage.redis_view import QueueDepth
from payouts.stores import open_engine, open_redis
from tests.conftest import need
from tests.support.lives import make_lives
from tests.support.rabbit_server import RabbitServer
from tests.support.senders import Senders, check_applied_once, check_kept, wait_started
from tests.support.servers import RedisServer, wait_until
from tests.support.stack import Stack, check_promises
from workers.messages import EVENTS_QUEUE, QUEUES, open_messages


@pytest.fixture(scope="module")
def rabbit(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[RabbitServer]:
    need(request, "RabbitMQ", RabbitServer.program())
    server = RabbitServer(server_folder / "rabbit")
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.fixture
def on_rabbit(
    rabbit: RabbitServer, tmp_path: Path, mariadb_url: str, redis_server: RedisServer
) -> Iterator[Stack]:
    # The sweeper is slow here, so that what is applied soon came through the queue.
    with Stack(tmp_path, mariadb_url, redis_server.url, QUEUE_URL=rabbit.url, SWEEP_GRACE_S="600") as made:
        yield made


def settings_of(stack: Stack) -> Settings:
    return load_settings(
        database_url=stack.env["DATABASE_URL"],
        redis_url=stack.env["REDIS_URL"],
        queue_url=stack.env["QUEUE_URL"],
        stripe_webhook_secret="",
    )


def test_events_go_through_rabbitmq_and_none_through_redis(
    on_rabbit: Stack, redis_server: RedisServer
) -> None:
    lives = make_lives(120, seed=701)
    on_rabbit.start("receiver", "worker")
    wait_started(on_rabbit, "worker")

    senders = Senders(on_rabbit, lives.bodies, 8).start().join()
    assert set(senders.statuses) == {200}
    on_rabbit.wait_applied(60)

    check_promises(on_rabbit, lives.expected, lives.bodies)
    check_applied_once(on_rabbit)
    assert [key for key in redis_server.client.scan_iter() if b"events" in key] == []


def test_a_delayed_message_is_worked_on_when_its_time_has_come(on_rabbit: Stack) -> None:
    lives = make_lives(3, seed=702)
    on_rabbit.start("receiver")
    Senders(on_rabbit, lives.bodies, 2).start().join()
    settings = settings_of(on_rabbit)
    client = open_redis(settings, 5)
    messages = open_messages(settings, client)
    # Only the receiver's own messages are there; they go, so that the delayed ones alone are left.
    wait_until("the hints are there", lambda: messages.waiting(EVENTS_QUEUE))
    on_rabbit.stop("receiver")
    _empty(settings)

    sent_ms = now_ms()
    for row in on_rabbit.rows("SELECT id FROM inbox"):
        messages.apply_later(row.id, 3_000)
    messages.close()
    client.close()
    on_rabbit.start("worker")
    on_rabbit.wait_applied(60)

    [(first_ms,)] = on_rabbit.rows("SELECT MIN(processed_at_ms) FROM inbox WHERE status <> 'received'")
    assert first_ms - sent_ms >= 3_000
    check_promises(on_rabbit, lives.expected, lives.bodies)


@pytest.mark.long
def test_a_rabbitmq_killed_under_load_delays_events_and_loses_none(
    on_rabbit: Stack, rabbit: RabbitServer
) -> None:
    lives = make_lives(400, seed=703)
    on_rabbit.start("receiver", "worker", "scheduler", SWEEP_GRACE_S="2")
    wait_started(on_rabbit, "worker", "scheduler")

    senders = Senders(on_rabbit, lives.bodies, 8, pause_s=0.03).start()
    wait_until("some are applied", lambda: on_rabbit.count("SELECT COUNT(*) FROM payouts"))
    rabbit.kill()
    senders.join()
    assert set(senders.statuses) == {200}, "an acknowledgement waits for no queue"
    rabbit.start()

    on_rabbit.wait_applied(90)
    check_kept(on_rabbit, senders.acknowledged, lives.bodies)
    check_promises(on_rabbit, lives.expected, lives.bodies)
    check_applied_once(on_rabbit)


@pytest.mark.long
def test_a_worker_that_is_told_to_stop_gives_back_what_it_did_not_begin(on_rabbit: Stack) -> None:
    lives = make_lives(300, seed=704)
    on_rabbit.start("receiver", "worker:1")
    wait_started(on_rabbit, "worker:1")

    senders = Senders(on_rabbit, lives.bodies, 8, pause_s=0.01).start()
    wait_until("some are applied", lambda: on_rabbit.count("SELECT COUNT(*) FROM payouts"))
    assert on_rabbit.stop("worker:1") == 0
    on_rabbit.start("worker:2")
    senders.join()

    on_rabbit.wait_applied(60)  # the sweeper is not there to help
    check_promises(on_rabbit, lives.expected, lives.bodies)
    check_applied_once(on_rabbit)


@pytest.mark.long
def test_the_depth_of_each_queue_is_shown_and_a_queue_that_is_away_is_a_dependency(
    on_rabbit: Stack, rabbit: RabbitServer
) -> None:
    from payouts.bootstrap import open_overviewer

    settings = settings_of(on_rabbit)
    client, engine = open_redis(settings, 5), open_engine(settings)
    messages = open_messages(settings, client, 2)
    _empty(settings)
    messages.apply([1, 2])
    messages.apply([3])
    overviewer = open_overviewer(settings, engine, client, QUEUES, depths=messages.depths)

    seen = overviewer.look()
    assert seen.redis is not None
    assert seen.redis.queues[0] == QueueDepth("events", 2, None, None)
    assert {each.name: each.answers for each in seen.dependencies}["queue"] is True

    rabbit.kill()
    seen = overviewer.look()
    assert {each.name: each.answers for each in seen.dependencies}["queue"] is False
    with pytest.raises(BrokerError, match="RabbitMQ does not answer"):
        messages.apply([4])
    rabbit.start()
    messages.apply([5])
    assert messages.waiting(EVENTS_QUEUE) == 3, "durable: it has what it had"
    _empty(settings)
    messages.close()
    client.close()
    engine.dispose()


def _empty(settings: Settings) -> None:
    from workers.rabbit import SharedRabbitBroker

    broker = SharedRabbitBroker(settings.queue_url.get_secret_value(), 5, [])
    broker.declare_queue(EVENTS_QUEUE, ensure=True)
    broker.flush(EVENTS_QUEUE)
    broker.close()
