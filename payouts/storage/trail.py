"""The trail: how far the database had come, kept outside of it, in Redis.

Ids of the newest rows that say what was sent and what was decided, written after they were committed. A
database that lacks one of them was restored to an earlier time, or has lost it. Ids only grow here, whoever
writes first; a trail about another database is begun anew. Nothing else depends on it: where Redis was wiped
there is no trail, and nothing is noticed.
"""

from dataclasses import dataclass
from typing import Any

import redis

from payouts.storage.recovery_rows import Newest

_SCRIPT = """
local held = redis.call('HMGET', KEYS[1], 'generation', 'attempt', 'transition')
if held[1] ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'attempt', ARGV[2], 'transition', ARGV[3])
  return {held[1] or '', ARGV[2], ARGV[3]}
end
local attempt, transition = held[2], held[3]
if ARGV[2] > attempt then attempt = ARGV[2] end
if ARGV[3] > transition then transition = ARGV[3] end
redis.call('HSET', KEYS[1], 'attempt', attempt, 'transition', transition)
return {held[1], attempt, transition}
"""
_DIGITS = 19
"""Ids are compared as texts of one length: a number of Redis's scripts has room for fewer digits."""


@dataclass(frozen=True, slots=True)
class Noted:
    """The trail as it is after a note. `generation`: which database it was about before; empty: none."""

    generation: str
    newest: Newest


class Trail:
    """The trail of one namespace. Safe to share between threads."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._key = f"{namespace}:trail"
        self._client = client
        self._script = client.register_script(_SCRIPT)

    def note(self, generation: str, newest: Newest) -> Noted:
        """Note that a database has come this far; the trail as it is then. Raises redis.RedisError."""
        ids = [f"{row_id:0{_DIGITS}d}" for row_id in (newest.attempt_id, newest.transition_id)]
        said: Any = self._script(keys=[self._key], args=[generation, *ids])
        before, attempt, transition = (each.decode() for each in said)
        return Noted(before, Newest(int(attempt), int(transition)))
