"""Where events go while the database is down: a Redis stream, drained into the inbox when it is back.

Only on a Redis that keeps what it takes. Each append asks, in the same trip, how Redis persists and what
it evicts; where the answer is not good enough the append does not count, and nothing is acknowledged.
"""

from collections.abc import Callable, Mapping, Sequence
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

DRAIN_STEP = 200
KEPT_BY = ("appendonly", "appendfsync", "maxmemory-policy")
"""The settings of Redis that say whether it keeps what it takes."""
_FSYNC_WAIT_MS = 700

Trust = Literal["auto", "trusted", "off"]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(NewEvent).decode


class Spill:
    """The stream, for writing by receivers and draining by whoever sees the database come back."""

    def __init__(self, client: redis.Redis, trust: Trust, namespace: str) -> None:
        """`namespace` keeps environments apart that share a Redis, as it does for their queues."""
        self._client = client
        self.stream = f"{namespace}:spill"
        self.refused_stream = f"{namespace}:spill:refused"
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
            self._append(events)
        except redis.RedisError as error:
            raise StoreUnavailableError(f"Redis did not take {len(events)} events: {error}") from None
        crash_point("spill.after_append")

    def _append(self, events: Sequence[NewEvent]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            if self._trust == "auto":
                pipe.config_get(*KEPT_BY)
            for event in events:
                pipe.xadd(self.stream, {"event": _encode(event)})
            if self._trust == "auto":
                # In the same trip: Redis waits for its disk by what this very connection wrote.
                pipe.execute_command("WAITAOF", 1, 0, _FSYNC_WAIT_MS)  # type: ignore[no-untyped-call]
            answers = pipe.execute(raise_on_error=False)
        flushed = answers.pop() if self._trust == "auto" else None
        for answer in answers:
            if isinstance(answer, redis.RedisError):
                raise answer
        if self._trust == "auto":
            require_kept(answers[0], flushed)

    def waiting(self) -> int:
        """How many events wait to be drained."""
        return int(self._client.xlen(self.stream))

    def set_aside(self) -> int:
        """How many were taken out of the way because the inbox refused them."""
        return int(self._client.xlen(self.refused_stream))

    def oldest_ms(self) -> int | None:
        """When the oldest that waits was spilled, by Redis's clock; None where none waits."""
        entries: Any = self._client.xrange(self.stream, count=1)
        return int(entries[0][0].split(b"-")[0]) if entries else None

    def drain(self, engine: Engine, make_id: IdMaker, hint: Callable[[Sequence[int]], object]) -> int:
        """Move what was spilled into the inbox, step by step, and `hint` at the new rows of each.

        Safe to run twice at once or to be cut short anywhere: an event is removed from the stream only
        after its row is committed, and a row that is there already is left as it is.
        """
        drained = 0
        while True:
            entries: Any = self._client.xrange(self.stream, count=DRAIN_STEP)
            if not entries:
                return drained
            events = [(fields, event) for key, fields in entries if (event := self._read(key, fields))]
            new_ids: list[int] = []
            try:
                new_ids += self._add([event for _, event in events], engine, make_id)
            except DBAPIError as error:
                if is_unavailable(error):
                    raise
                for fields, event in events:
                    new_ids += self._add_or_set_aside(fields, event, engine, make_id)
            crash_point("drain.after_commit")
            self._client.xdel(self.stream, *(key for key, _ in entries))
            self._log.info("spill.drained", events=len(events))
            drained += len(events)
            if new_ids:
                hint(new_ids)

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
        self._client.xadd(self.refused_stream, {**fields, b"error": str(error)[:1000]})
        self._log.error("spill.set_aside", what=what, moved_to=self.refused_stream, error=str(error)[:300])


def require_kept(config: Mapping[Any, Any], flushed: Any) -> None:
    """Raise unless Redis keeps what it took: by its configuration, and on its disk already.

    `config`: its answer to CONFIG GET of KEPT_BY; `flushed`: that to WAITAOF, or the error in its place.
    Raises SpillRefusedError where it does not promise to, StoreUnavailableError where it was too slow.
    """
    said = {_text(name): _text(value) for name, value in config.items()}
    if said.get("maxmemory-policy") != "noeviction" or said.get("appendonly") != "yes":
        raise SpillRefusedError(
            "Redis does not promise to keep events "
            "(needs appendonly yes and maxmemory-policy noeviction; has "
            f"{said.get('appendonly')} and {said.get('maxmemory-policy')})"
        )
    if said.get("appendfsync") == "always":
        return  # it answered, so it is on disk
    if isinstance(flushed, redis.ResponseError):
        raise SpillRefusedError(
            "Redis may lose its last second: set appendfsync always, "
            "or use Redis 7.2+ or Valkey, which can wait for their disk"
        )
    if isinstance(flushed, redis.RedisError) or not flushed or int(flushed[0]) < 1:
        raise StoreUnavailableError("Redis did not reach its disk in time")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
