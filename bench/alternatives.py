"""What the service is measured against, as processes of their own:

- `verify-only`: the same endpoint, server and limits, which verifies and decodes and then just answers
- `groups-of-one`: the same receiver, with one commit for every delivery
- `commit-per-request`: the same endpoint, with a transaction and a message for every delivery, on twenty
  threads with a connection each: the database may then group what commits at the same time
- `empty-actor`: the same broker, middleware and worker threads, with an actor that does nothing
"""

import asyncio
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dramatiq
from dramatiq.middleware import Retries
from starlette.applications import Starlette
from starlette.routing import Route

from payouts.clock import now_ms
from payouts.ids import IdMaker
from payouts.settings import Settings, load_settings
from payouts.storage.inbox import NewEvent, add_events
from payouts.stores import open_engine, open_redis
from webhooks import intake
from webhooks.app import WEBHOOK_PATH, build_app
from webhooks.endpoint import Endpoint
from webhooks.server import serve
from webhooks.signature import current_secrets
from workers.broker import WakingRedisBroker
from workers.messages import EVENTS_QUEUE, Messages

THREADS = 20


class VerifyOnly:
    async def accept(self, event: NewEvent) -> None:
        """Acknowledge; keep nothing."""


class CommitPerRequest:
    def __init__(self, settings: Settings) -> None:
        self._engine = open_engine(settings)
        self._messages = Messages(open_redis(settings, 5), settings.queue_namespace)
        self._make_id = IdMaker()
        self._pool = ThreadPoolExecutor(THREADS)

    async def accept(self, event: NewEvent) -> None:
        """Store in a transaction of its own, then send a message for it."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self._store, event)

    def _store(self, event: NewEvent) -> None:
        with self._engine.begin() as connection:
            ids = add_events(connection, [event], self._make_id)
        self._messages.apply(ids)


def serve_with(taker: Any, settings: Settings) -> None:
    secrets = current_secrets(settings)
    endpoint = Endpoint(taker, secrets, settings.livemode, IdMaker(), now_ms)
    serve(Starlette(routes=[Route(WEBHOOK_PATH, endpoint, methods=["POST"])]), settings)


def work_empty(settings: Settings) -> None:
    broker = WakingRedisBroker(open_redis(settings, 5), settings.queue_namespace, [Retries()])

    @dramatiq.actor(broker=broker, actor_name="empty", queue_name=EVENTS_QUEUE)
    def empty(_: int) -> None:
        """Nothing."""

    worker = dramatiq.Worker(broker, worker_threads=settings.worker_threads)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker.start()
    stop.wait()
    worker.stop()


def main() -> None:
    settings = load_settings()
    name = sys.argv[1]
    if name == "verify-only":
        serve_with(VerifyOnly(), settings)
    elif name == "groups-of-one":
        intake.FLUSH_MAX_EVENTS = 1
        serve(build_app(settings), settings)
    elif name == "commit-per-request":
        serve_with(CommitPerRequest(settings), settings)
    else:
        work_empty(settings)


if __name__ == "__main__":
    main()
