"""What the API answered last, kept in Redis for when the database cannot be asked.

An answer is kept for the token that got it, and shown to no other. There are so many places and no more, so
that Redis keeps room for what is spilled: two that fall on the same place are one too many, and the newer
one stays.
"""

import hashlib
import time
from collections.abc import Callable

import msgspec
import redis

from payouts.errors import PayloadError, PayloadUnavailableError
from payouts.logs import get_logger
from payouts.sealing import Sealer

PLACES = 1_024
BYTES_MOST = 64 * 1024
"""Of one answer; a larger one is not kept. 64 MiB in all."""
KEPT_S = 86_400
PAUSE_S = 5.0
"""So long a Redis that failed is left alone."""


class Kept(msgspec.Struct, frozen=True):
    """An answer, and when it was true."""

    name: str
    at_ms: int
    body: bytes


class KeptAnswers:
    """The kept answers of one namespace. Safe to share between threads; never in the way."""

    def __init__(
        self,
        client: redis.Redis,
        namespace: str,
        sealer: Sealer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sealer`: they say as much of people as payloads do, and are sealed as those are."""
        self._client, self._namespace, self._sealer = client, namespace, sealer
        self._monotonic, self._not_before_s = monotonic, 0.0

    def keep(self, token_digest: str, asked: str, body: bytes, at_ms: int) -> None:
        """Keep what `asked`, an address with its parameters, was answered."""
        if len(body) > BYTES_MOST or self._monotonic() < self._not_before_s:
            return
        name = _name(token_digest, asked)
        value = msgspec.msgpack.encode(Kept(name, at_ms, self._sealer.seal(body)))
        try:
            self._client.set(self._place(name), value, ex=KEPT_S)
        except redis.RedisError as error:
            self._failed(error)

    def find(self, token_digest: str, asked: str) -> Kept | None:
        """What it was answered last, for this token; None where nothing is kept."""
        if self._monotonic() < self._not_before_s:
            return None
        name = _name(token_digest, asked)
        try:
            held = self._client.get(self._place(name))
        except redis.RedisError as error:
            self._failed(error)
            return None
        if held is None:
            return None
        try:
            kept = msgspec.msgpack.decode(held, type=Kept)  # type: ignore[arg-type]
            if kept.name != name:
                return None
            return msgspec.structs.replace(kept, body=self._sealer.open(kept.body))
        except (msgspec.MsgspecError, PayloadError, PayloadUnavailableError):
            return None  # written by another version, or sealed by a key that is gone

    def _place(self, name: str) -> str:
        return f"{self._namespace}:answers:{int(name[:8], 16) % PLACES}"

    def _failed(self, error: redis.RedisError) -> None:
        self._not_before_s = self._monotonic() + PAUSE_S
        get_logger().warning("answers.not_kept", error=str(error)[:300])


def _name(token_digest: str, asked: str) -> str:
    return hashlib.sha256(f"{token_digest} {asked}".encode()).hexdigest()
