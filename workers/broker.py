"""Dramatiq on Redis, without the sleep: an idle consumer waits inside Redis and wakes with the message.

Stock consumers poll and sleep up to a second when nothing comes. This one blocks on the queue's list with
a BLMOVE that puts its first element back where it was: nothing is taken, the fetch that follows does that
with all of Dramatiq's guarantees. With its prefetch full it waits for an acknowledgement instead.
"""

import threading
from typing import Any

import redis
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed
from dramatiq.message import Message
from dramatiq.middleware import Middleware

IDLE_WAIT_S = 1.0
"""How long one wait lasts; then the consumer looks whether it is to stop, and keeps its heartbeat."""
FULL_WAIT_S = 0.1


class WakingRedisBroker(RedisBroker):
    """A RedisBroker whose consumers wake at once. Needs Redis 6.2 (BLMOVE)."""

    def __init__(self, client: redis.Redis, namespace: str, middleware: list[Middleware]) -> None:
        super().__init__(client=client, namespace=namespace, middleware=middleware)

    @property
    def consumer_class(self) -> type[_RedisConsumer]:
        return _WakingConsumer

    def waiting(self, queue_name: str) -> int:
        """How many messages of the queue no worker has fetched yet."""
        return int(self.client.llen(f"{self.namespace}:{queue_name}"))


class _WakingConsumer(_RedisConsumer):
    def __init__(self, broker: WakingRedisBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)
        self._list = f"{broker.namespace}:{queue_name}"
        self._freed = threading.Event()

    def ack(self, message: Any) -> None:
        try:
            super().ack(message)
        except redis.TimeoutError as error:
            raise ConnectionClosed(error) from None  # Dramatiq tries again after these
        finally:
            self._freed.set()

    def nack(self, message: Any) -> None:
        try:
            super().nack(message)
        except redis.TimeoutError as error:
            raise ConnectionClosed(error) from None
        finally:
            self._freed.set()

    def __next__(self) -> MessageProxy | None:
        try:
            if not self.message_cache:
                self._freed.clear()
                room = self.prefetch - self.outstanding_message_count
                if room <= 0:
                    self._freed.wait(FULL_WAIT_S)
                    return None
                self.message_cache = self.broker.do_fetch(self.queue_name, room)
            if not self.message_cache:
                self.broker.client.blmove(self._list, self._list, IDLE_WAIT_S, "LEFT", "LEFT")
                return None
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise ConnectionClosed(error) from None
        data = self.message_cache.pop(0)
        if data is None:
            return None  # its body is gone (a wiped Redis, restored in part): the sweeper sends what it held
        message = Message.decode(data)
        self.queued_message_ids.add(message.message_id)
        return MessageProxy(message)
