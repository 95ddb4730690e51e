"""Who is signed in: sessions kept in Redis, so that any of them can be ended at once.

The browser has a random secret in a cookie; Redis has its SHA-256 as the name of the session. A session
ends after a time unused, after a time altogether, when it is signed out, and when its person or token may no
longer act: that is looked up with each request.
"""

import dataclasses
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import redis

from console.web.flash import Flash
from payouts.clock import Clock

SECRET_BYTES = 32
SEEN_NOTED_EVERY_MS = 60_000
TOLD_WITHIN_S = 120
SIGNING_IN_S = 600
"""How long a sign-in by a provider may take, from the first page to the last."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in."""

    id: str
    """The digest of the cookie's secret; good for naming a session, not for being let in."""
    person_id: int
    name: str
    token_id: int | None
    """The token it was opened with; None: a provider said who it is."""
    began_at_ms: int
    seen_at_ms: int
    csrf: str = field(repr=False)
    """What every form that changes something must bring back."""


class Sessions:
    """The sessions of one installation. Every method raises redis.RedisError where Redis does not answer."""

    def __init__(
        self, client: redis.Redis, namespace: str, clock: Clock, idle_s: int, absolute_s: int
    ) -> None:
        self._client, self._prefix, self._clock = client, namespace, clock
        self._idle_s, self._absolute_s = idle_s, absolute_s

    def open(self, person_id: int, name: str, token_id: int | None) -> tuple[Session, str]:
        """A new session, and the secret for the browser's cookie."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        now_ms = self._clock()
        csrf = secrets.token_urlsafe(SECRET_BYTES)
        session = Session(_digest(secret), person_id, name, token_id, now_ms, now_ms, csrf)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.set(self._key(session.id), _write(session), ex=self._idle_s)
            pipe.sadd(self._of(person_id), session.id)
            pipe.expire(self._of(person_id), self._absolute_s)
            pipe.execute()
        return session, secret

    def find(self, secret: str) -> Session | None:
        """The session of a cookie, kept alive by being asked for; None where it has ended."""
        session = self._read(_digest(secret))
        if session is None:
            return None
        now_ms = self._clock()
        left_s = self._absolute_s - (now_ms - session.began_at_ms) // 1000
        if left_s <= 0:
            self.end(session)
            return None
        if now_ms - session.seen_at_ms >= SEEN_NOTED_EVERY_MS:
            session = dataclasses.replace(session, seen_at_ms=now_ms)
            # Only where it is still there: one that was ended meanwhile must not come back.
            self._client.set(self._key(session.id), _write(session), ex=min(self._idle_s, left_s), xx=True)
        return session

    def end(self, session: Session) -> None:
        """Sign out."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.delete(self._key(session.id))
            pipe.srem(self._of(session.person_id), session.id)
            pipe.execute()

    def end_all(self, person_id: int) -> int:
        """Sign a person out everywhere; how many sessions that were."""
        ids = self._ids(person_id)
        ended = self._client.delete(*[self._key(one) for one in ids]) if ids else 0
        self._client.delete(self._of(person_id))
        return int(ended)

    def of(self, person_id: int) -> Sequence[Session]:
        """A person's sessions, the newest first."""
        found = [self._read(one) for one in self._ids(person_id)]
        return sorted((one for one in found if one), key=lambda one: -one.began_at_ms)

    def tell(self, session: Session, flash: Flash) -> None:
        """Keep what an action said for the session's next page."""
        self._client.set(f"{self._key(session.id)}:told", msgspec.json.encode(flash), ex=TOLD_WITHIN_S)

    def told(self, session: Session) -> Flash | None:
        """What the last action said, once."""
        found: Any = self._client.getdel(f"{self._key(session.id)}:told")
        return None if found is None else msgspec.json.decode(found, type=Flash)

    def keep_signing_in(self, kept: dict[str, Any]) -> str:
        """Keep what a provider's sign-in began with; the secret for the cookie that leads back to it."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self._client.set(self._signing_in(secret), msgspec.json.encode(kept), ex=SIGNING_IN_S)
        return secret

    def take_signing_in(self, secret: str) -> dict[str, Any] | None:
        """What was kept, once: a second answer with it finds nothing."""
        found: Any = self._client.getdel(self._signing_in(secret))
        return None if found is None else dict(msgspec.json.decode(found))

    def _read(self, session_id: str) -> Session | None:
        found: Any = self._client.get(self._key(session_id))
        return None if found is None else msgspec.json.decode(found, type=Session)

    def _ids(self, person_id: int) -> list[str]:
        found: Any = self._client.smembers(self._of(person_id))
        return [one.decode() for one in found]

    def _key(self, session_id: str) -> str:
        return f"{self._prefix}:session:{session_id}"

    def _of(self, person_id: int) -> str:
        return f"{self._prefix}:sessions:{person_id}"

    def _signing_in(self, secret: str) -> str:
        return f"{self._prefix}:signing-in:{_digest(secret)}"


def _write(session: Session) -> bytes:
    return msgspec.json.encode(session)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
