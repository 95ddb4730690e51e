"""Where events go while the database is down: a Redis stream, drained into the inbox when it is back.

Only on a Redis that keeps what it takes. Each append asks, in the same trip, how Redis persists and what
it evicts; where the answer is not good enough the append does not count, and nothing is acknowledged.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from payouts.crash import crash_point
from payouts.errors import SpillRefusedError, StoreUnavailableError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.storage.engine import is_unavailable
from payouts.storage.inbox import NewEvent, add_events

STREAM = "payouts:spill"
REFUSED_STREAM = "payouts:spill:refused"
DRAIN_STEP = 200
_FSYNC_WAIT_MS = 700

Trust = Literal["auto", "trusted", "off"]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(NewEvent).decode


class Spill:
    """The stream, for writing by receivers and draining by whoever sees the database come back."""

    def __init__(self, client: redis.Redis, trust: Trust) -> None:
        self._client = client
        self._trust = trust
        self._log = get_logger()

    def append(self, events: Sequence[NewEvent]) -> None:
        """Keep `events` until they are drained. Returns only once they are durable.

        Raises SpillRefusedError where Redis does not promise to keep them, StoreUnavailableError where it
        does not answer or is full.
        """
        if self._trust == "off":
            raise SpillRefusedError("spilling is switched off (REDIS_SPILL=off)")
        try:
            with self._client.pipeline(transaction=False) as pipe:
                if self._trust == "auto":
                    pipe.config_get("appendonly", "appendfsync", "maxmemory-policy")
                for event in events:
                    pipe.xadd(STREAM, {"event": _encode(event)})
                answers = pipe.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, redis.RedisError):
                    raise answer
            if self._trust == "auto" and not _keeps(answers[0]):
                self._wait_for_disk(answers[0])
        except redis.RedisError as error:
            raise StoreUnavailableError(f"Redis did not take {len(events)} events: {error}") from None
        crash_point("spill.after_append")

    def waiting(self) -> int:
        """How many events wait to be drained."""
        return int(self._client.xlen(STREAM))

    def drain(self, engine: Engine, make_id: IdMaker) -> list[int]:
        """Move what was spilled into the inbox and return the ids of new rows.

        Safe to run twice at once or to be cut short anywhere: an event is removed from the stream only
        after its row is committed, and a row that is there already is left as it is.
        """
        new_ids: list[int] = []
        while True:
            entries: Any = self._client.xrange(STREAM, count=DRAIN_STEP)
            if not entries:
                return new_ids
            events = [(fields, event) for key, fields in entries if (event := self._read(key, fields))]
            try:
                new_ids += self._add([event for _, event in events], engine, make_id)
            except DBAPIError as error:
                if is_unavailable(error):
                    raise
                for fields, event in events:
                    new_ids += self._add_or_set_aside(fields, event, engine, make_id)
            crash_point("drain.after_commit")
            self._client.xdel(STREAM, *(key for key, _ in entries))
            self._log.info("spill.drained", events=len(events))

    def _add(self, events: Sequence[NewEvent], engine: Engine, make_id: IdMaker) -> list[int]:
        if not events:
            return []
        with engine.begin() as connection:
            return add_events(connection, events, make_id)

    def _add_or_set_aside(
        self, fields: dict[Any, Any], event: NewEvent, engine: Engine, make_id: IdMaker
    ) -> list[int]:
        try:
            return self._add([event], engine, make_id)
        except DBAPIError as error:
            if is_unavailable(error):
                raise
            self._set_aside(fields, event.envelope.event_id, error)
            return []

    def _read(self, key: bytes, fields: dict[Any, Any]) -> NewEvent | None:
        try:
            return _decode(fields[b"event"])
        except (KeyError, msgspec.MsgspecError) as error:
            self._set_aside(fields, key.decode(), error)
            return None

    def _set_aside(self, fields: dict[Any, Any], what: str, error: Exception) -> None:
        # Never dropped: an operator can look at it, and it must not block what comes behind it.
        self._client.xadd(REFUSED_STREAM, {**fields, b"error": str(error)[:1000]})
        self._log.error("spill.set_aside", what=what, moved_to=REFUSED_STREAM, error=str(error)[:300])

    def _wait_for_disk(self, config: dict[Any, Any]) -> None:
        said = {_text(name): _text(value) for name, value in config.items()}
        if said.get("maxmemory-policy") != "noeviction" or said.get("appendonly") != "yes":
            raise SpillRefusedError(
                "Redis does not promise to keep events "
                "(needs appendonly yes and maxmemory-policy noeviction; has "
                f"{said.get('appendonly')} and {said.get('maxmemory-policy')})"
            )
        try:
            flushed: Any = self._client.execute_command(  # type: ignore[no-untyped-call]
                "WAITAOF", 1, 0, _FSYNC_WAIT_MS
            )
        except redis.ResponseError:
            raise SpillRefusedError(
                "Redis may lose its last second: set appendfsync always, "
                "or use Redis 7.2+ or Valkey, which can wait for their disk"
            ) from None
        if not flushed or int(flushed[0]) < 1:
            raise StoreUnavailableError("Redis did not reach its disk in time")


def _keeps(config: dict[Any, Any]) -> bool:
    said = {_text(name): _text(value) for name, value in config.items()}
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    return all(said.get(name) == value for name, value in wanted.items())


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
