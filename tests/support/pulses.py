"""Pulses of processes that are not there."""

from typing import Any

import redis

from payouts.clock import Clock, now_ms
from payouts.meters import Meter, Meters
from payouts.pulse import Pulse
from payouts.storage.minutes import Minutes
from payouts.storage.presence import Presence, ProcessState, Role


def a_pulse(client: redis.Redis, role: Role, name: str, clock: Clock = now_ms, *meters: Meter) -> Pulse:
    """A pulse on `client` in the usual namespace."""
    presence = Presence(client, "payouts", clock)
    return Pulse(client, presence, Minutes("payouts"), Meters(*meters), clock, role, name)


def say(client: redis.Redis, role: Role, name: str, **state: Any) -> None:
    """Have a process say that it is there, and how it is."""
    made = ProcessState(version="1", started_at_ms=now_ms(), **state)
    with client.pipeline() as pipe:
        Presence(client, "payouts", now_ms).note(pipe, role, name, made)
        pipe.execute()
