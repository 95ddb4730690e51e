"""Pulses of processes that are not there."""

import redis

from payouts.clock import Clock, now_ms
from payouts.meters import Meter, Meters
from payouts.pulse import Pulse
from payouts.storage.minutes import Minutes
from payouts.storage.presence import Presence, Role


def a_pulse(client: redis.Redis, role: Role, name: str, clock: Clock = now_ms, *meters: Meter) -> Pulse:
    """A pulse on `client` in the usual namespace."""
    presence = Presence(client, "payouts", clock)
    return Pulse(client, presence, Minutes("payouts"), Meters(*meters), clock, role, name)
