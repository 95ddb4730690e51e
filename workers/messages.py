"""The messages of the queue: their names, their queues, and the one way to send them.

A message carries row ids and nothing else. The queue is a hint: any message may be lost or come twice.
Receiver, API and console send through here and never meet an actor.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import redis
from dramatiq import Broker, Message
from dramatiq.middleware import Middleware

from payouts.settings import Settings
from payouts.storage.redis_view import QueueDepth
from workers.broker import WakingRedisBroker

if TYPE_CHECKING:
    from workers.rabbit import SharedRabbitBroker

EVENTS_QUEUE = "events"
LOOKUPS_QUEUE = "lookups"
"""Apart from `events`, so that what waits for Stripe is never in line before what needs no answer."""
PAYOUTS_QUEUE = "payouts"
NOTIFY_QUEUE = "notify"
MAINTENANCE_QUEUE = "maintenance"
REPLAYS_QUEUE = "replays"
QUEUES = (EVENTS_QUEUE, LOOKUPS_QUEUE, PAYOUTS_QUEUE, NOTIFY_QUEUE, MAINTENANCE_QUEUE, REPLAYS_QUEUE)

APPLY = "apply_events"
APPLY_ALONE = "apply_event_alone"
RESOLVE = "resolve_event"
SEND = "send_payout"
REFRESH = "refresh_partner"
DELIVER_NOTICES = "deliver_notices"
RECONCILE = "reconcile_account"
COMPARE = "compare_account"
CHECK_LEDGER = "check_ledger"
REPLAY = "go_on_with_replay"
ARCHIVE = "archive_payloads"
CATCH_UP = "catch_up"


class Carrier(Protocol):
    """What carries messages: Dramatiq on Redis, or on RabbitMQ."""

    def enqueue(self, message: Message[None], *, delay: int | None = None) -> Message[None]:
        """Send one, to be worked on in `delay` ms."""
        ...

    def waiting(self, queue_name: str, /) -> int:
        """How many messages of the queue no worker has fetched yet."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class Messages:
    """Sends messages to the workers."""

    def __init__(self, client: redis.Redis, namespace: str, broker: Carrier | None = None) -> None:
        """`broker`: what carries them where it is not Redis."""
        self._broker: Carrier = broker or WakingRedisBroker(client, namespace, middleware=[])
        self._on_redis = broker is None

    def apply(self, ids: Sequence[int]) -> None:
        """Ask for these events to be applied, soon."""
        self._send(EVENTS_QUEUE, APPLY, list(ids))

    def apply_later(self, inbox_id: int, delay_ms: int) -> None:
        """Ask for one event to be applied in `delay_ms`."""
        self._send(EVENTS_QUEUE, APPLY, [inbox_id], delay_ms=delay_ms)

    def apply_alone(self, inbox_id: int) -> None:
        """Ask for one event to be applied in a transaction of its own: it may be what kills its workers."""
        self._send(EVENTS_QUEUE, APPLY_ALONE, inbox_id)

    def resolve(self, inbox_id: int) -> None:
        """Ask for one event to be settled by an answer of Stripe's."""
        self._send(LOOKUPS_QUEUE, RESOLVE, inbox_id)

    def resolve_later(self, inbox_id: int, delay_ms: int) -> None:
        """The same, in `delay_ms`."""
        self._send(LOOKUPS_QUEUE, RESOLVE, inbox_id, delay_ms=delay_ms)

    def send_payout(self, request_id: int) -> None:
        """Ask for a requested payout to be taken as far as it goes now."""
        self._send(PAYOUTS_QUEUE, SEND, request_id)

    def refresh_partner(self, account: str) -> None:
        """Ask for a partner's Stripe account to be looked at."""
        self._send(LOOKUPS_QUEUE, REFRESH, account)

    def deliver_notices(self) -> None:
        """Ask for the notices that are due to be delivered, unless a message that waits asks for it."""
        if not self.waiting(NOTIFY_QUEUE):
            self._send(NOTIFY_QUEUE, DELIVER_NOTICES)

    def reconcile_account(self, account: str) -> None:
        """Ask for an account to be compared with Stripe a step further."""
        self._send(MAINTENANCE_QUEUE, RECONCILE, account)

    def compare_account(self, account: str) -> None:
        """Ask for an account to be compared with Stripe by itself, apart from any round."""
        self._send(MAINTENANCE_QUEUE, COMPARE, account)

    def catch_up(self, walk_id: int) -> None:
        """Ask for a walk through Stripe's list of events to go a page further."""
        self._send(MAINTENANCE_QUEUE, CATCH_UP, walk_id)

    def check_ledger(self) -> None:
        """Ask for the books to be checked."""
        self._send(MAINTENANCE_QUEUE, CHECK_LEDGER)

    def replay(self, replay_id: int) -> None:
        """Ask for a replay to be taken further."""
        self._send(REPLAYS_QUEUE, REPLAY, replay_id)

    def archive(self) -> None:
        """Ask for a step's worth of old payloads to be archived."""
        self._send(MAINTENANCE_QUEUE, ARCHIVE)

    def waiting(self, queue: str) -> int:
        """How many messages of `queue` no worker has fetched yet."""
        return self._broker.waiting(queue)

    def ping(self) -> None:
        """Ask the queue for anything. Raises redis.RedisError or dramatiq's BrokerError."""
        self._broker.waiting(EVENTS_QUEUE)

    def close(self) -> None:
        """Close the connection to RabbitMQ; that to Redis is its client's."""
        if not self._on_redis:
            self._broker.close()

    def depths(self) -> Sequence[QueueDepth] | None:
        """How deep each queue is, as far as RabbitMQ tells; None where they are in Redis.

        Raises dramatiq's BrokerError.
        """
        if self._on_redis:
            return None
        return [QueueDepth(name, self._broker.waiting(name), None, None) for name in QUEUES]

    def _send(self, queue: str, actor: str, *arguments: object, delay_ms: int | None = None) -> None:
        message: Message[None] = Message(
            queue_name=queue, actor_name=actor, args=arguments, kwargs={}, options={}
        )
        self._broker.enqueue(message, delay=delay_ms)


def open_messages(settings: Settings, client: redis.Redis, timeout_s: float | None = None) -> Messages:
    """The way to send, over Redis or over what QUEUE_URL names; nothing connects yet.

    `timeout_s`: of each answer of RabbitMQ's; not given: as for Redis. `client` has its own.
    """
    broker = _open_rabbit(settings, [], timeout_s) if settings.queue_url.get_secret_value() else None
    return Messages(client, settings.queue_namespace, broker)


def open_broker(settings: Settings, client: redis.Redis, middleware: list[Middleware]) -> Broker:
    """What workers take messages from; nothing connects yet."""
    if settings.queue_url.get_secret_value():
        return _open_rabbit(settings, middleware)
    return WakingRedisBroker(client, settings.queue_namespace, middleware=middleware)


def _open_rabbit(
    settings: Settings, middleware: list[Middleware], timeout_s: float | None = None
) -> "SharedRabbitBroker":
    from workers.rabbit import SharedRabbitBroker

    url = settings.queue_url.get_secret_value()
    return SharedRabbitBroker(url, timeout_s or settings.redis_timeout_s, middleware)
