"""Dramatiq on RabbitMQ: in place of Redis as the queue, where QUEUE_URL says so.

It wakes a consumer by itself. Sending shares one connection, under a lock: Dramatiq's own has one for each
thread, and the threads of a server come and go. A connection that the server closed meanwhile, for an idle
one sends no heartbeats, is replaced by the next that needs it.
"""

import logging
import threading
from types import SimpleNamespace
from typing import Any

import pika
import pika.exceptions
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.common import current_millis, dq_name, q_name
from dramatiq.errors import ConnectionClosed
from dramatiq.message import Message
from dramatiq.middleware import Middleware

from payouts.errors import SettingsError

TRIES = 2
"""Once on the connection that is there, which may be dead, and once on a new one."""
HEARTBEAT_S = 30
MOST_DELAY_MS = 15 * 60_000
"""RabbitMQ takes a delayed message back from the worker that holds it after 30 minutes, and closes its
channel. What is due later is not sent: its row says when, and the sweeper finds it."""
_AWAY = (pika.exceptions.AMQPConnectionError, pika.exceptions.AMQPChannelError, OSError)


class SharedRabbitBroker(RabbitmqBroker):
    """A RabbitmqBroker for many threads; each call ends within a few times `timeout_s`.

    The names of the queues are those of the service: each deployment has a virtual host of its own.
    """

    def __init__(self, url: str, timeout_s: float, middleware: list[Middleware]) -> None:
        """Raises SettingsError for an address that does not read as one; nothing connects yet."""
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # what fails is told by whoever asked
        super().__init__(confirm_delivery=True, parameters=[], middleware=middleware)
        self.parameters = _parameters(url, timeout_s)
        self.state: Any = SimpleNamespace()
        self._one_at_a_time = threading.RLock()

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        with self._one_at_a_time:
            try:
                super().declare_queue(queue_name, ensure=ensure)
            except ConnectionClosed as error:
                raise _away(error) from None

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Send, and wait until RabbitMQ has it. Raises ConnectionClosed."""
        canonical = message.queue_name
        if delay is not None:
            if delay > MOST_DELAY_MS:
                return message
            message = message.copy(queue_name=dq_name(canonical), options={"eta": current_millis() + delay})
        with self._one_at_a_time:
            for tries_left in range(TRIES - 1, -1, -1):
                try:
                    self.declare_queue(canonical, ensure=True)
                    self.emit_before("enqueue", message, delay)
                    self.channel.basic_publish(
                        exchange="",
                        routing_key=message.queue_name,
                        body=message.encode(),
                        properties=pika.BasicProperties(delivery_mode=2),
                        mandatory=True,
                    )
                    break
                except _AWAY as error:
                    if isinstance(error, pika.exceptions.UnroutableError):
                        self.queues_pending.add(q_name(canonical))  # somebody deleted it
                    self._drop_connection()
                    if not tries_left:
                        raise _away(error) from None
        self.emit_after("enqueue", message, delay)
        return message

    def waiting(self, queue_name: str) -> int:
        """How many messages of the queue no worker has fetched yet. Raises ConnectionClosed."""
        with self._one_at_a_time:
            for tries_left in range(TRIES - 1, -1, -1):
                try:
                    asked = self.channel.queue_declare(queue=queue_name, passive=True)
                    return int(asked.method.message_count)
                except pika.exceptions.ChannelClosedByBroker as error:
                    del self.channel
                    if error.reply_code == 404:  # nothing was ever sent to it
                        return 0
                    raise _away(error) from None
                except _AWAY as error:
                    self._drop_connection()
                    if not tries_left:
                        raise _away(error) from None
        raise AssertionError("a try returns or raises")

    def _drop_connection(self) -> None:
        # Not closed politely: that waits for an answer of a server that may be gone.
        state, self.state = self.state, SimpleNamespace()
        self.channels.discard(getattr(state, "channel", None))
        connection = getattr(state, "connection", None)
        self.connections.discard(connection)
        if connection is not None and connection.is_open:
            try:
                connection.close()
            except pika.exceptions.AMQPError as error:
                self.logger.debug("A lost connection did not close: %s", error)


def _away(error: BaseException) -> ConnectionClosed:
    # pika's errors say little by themselves; some say nothing at all.
    return ConnectionClosed(f"RabbitMQ does not answer: {error!r}")  # type: ignore[no-untyped-call]


def _parameters(url: str, timeout_s: float) -> pika.URLParameters:
    try:
        found = pika.URLParameters(url) if url.startswith(("amqp://", "amqps://")) else None
    except (ValueError, TypeError, IndexError):  # whatever the driver stumbles over
        found = None
    if found is None:
        raise SettingsError(
            "QUEUE_URL does not read as an address: it looks like amqp://user:password@host:5672/vhost; "
            "empty: Redis is the queue"
        )
    found.connection_attempts = 1
    found.socket_timeout = timeout_s
    found.stack_timeout = 2 * timeout_s
    found.blocked_connection_timeout = timeout_s
    found.heartbeat = HEARTBEAT_S
    return found
