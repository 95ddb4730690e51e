"""The switch of emergency mode, kept in Redis: it must work while the database does not.

What was switched and by whom waits beside it, set in the same step, until it is in the audit log.
"""

from typing import Any

import msgspec
import redis

from payouts.emergency_state import Note, Switched

_ON = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('RPUSH', KEYS[2], ARGV[2])
return 1
"""
_OFF = """
local held = redis.call('GET', KEYS[1])
if not held then return false end
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[2], ARGV[1])
return held
"""
NOTES_MOST = 100
"""Read at once."""


class EmergencySwitch:
    """The switch of one namespace. Every method raises redis.RedisError where Redis does not answer."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._key, self._notes = f"{namespace}:emergency", f"{namespace}:emergency:notes"
        self._on, self._off = client.register_script(_ON), client.register_script(_OFF)

    def read(self) -> Switched | None:
        """How it stands; None: off."""
        held: Any = self._client.get(self._key)
        return None if held is None else _read(held)

    def turn_on(self, switched: Switched, note: Note) -> bool:
        """Switch it on, and leave `note`; False where it is on already."""
        values = [msgspec.json.encode(switched), msgspec.json.encode(note)]
        return bool(self._on(keys=[self._key, self._notes], args=values))

    def turn_off(self, note: Note) -> Switched | None:
        """Switch it off, and leave `note`; what it was, None where it is off already."""
        held: Any = self._off(keys=[self._key, self._notes], args=[msgspec.json.encode(note)])
        return _read(held) if held else None

    def notes(self) -> list[Note]:
        """The oldest that are not in the audit log yet."""
        found: Any = self._client.lrange(self._notes, 0, NOTES_MOST - 1)
        return [msgspec.json.decode(each, type=Note) for each in found]

    def forget(self, note: Note) -> None:
        """It is in the audit log."""
        self._client.lrem(self._notes, 1, msgspec.json.encode(note).decode())


def _read(held: bytes) -> Switched:
    try:
        return msgspec.json.decode(held, type=Switched)
    except msgspec.MsgspecError:
        return _UNREADABLE  # set by hand, or by another version: on all the same


_UNREADABLE = Switched(0, "unknown", "the switch in Redis is set, and does not read as this version's")
