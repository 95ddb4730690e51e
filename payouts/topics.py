"""Notices of no payout and no request that must not overtake one another all the same. Pure.

The end of a trouble that reaches a pager before its delayed beginning ends nothing, and the beginning calls
somebody to a trouble that is over. A partner who hears that maintenance is called off, and then that it is
planned, waits for it.
"""

_TOPICS = {
    "emergency": ("alert.emergency_on", "alert.emergency_off"),
    "recovery": ("alert.recovery_begun", "alert.recovery_ended"),
    "maintenance": tuple(
        f"maintenance.{step}" for step in ("announced", "changed", "started", "ended", "called_off")
    ),
    "partner_maintenance": (*("partner.maintenance_planned", "partner.maintenance_called_off"),),
}
_BY_NAME = {name: topic for topic, names in _TOPICS.items() for name in names}


def topic_of(name: str) -> str | None:
    """The topic of notices of this name, None where it has none. Those of one account and topic keep their
    order."""
    return _BY_NAME.get(name)


def names_of(topic: str) -> tuple[str, ...]:
    """The names of the notices of a topic."""
    return _TOPICS[topic]
