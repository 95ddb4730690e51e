"""In which tone a state is shown. Never by colour alone: the word is always there."""

GOOD = frozenset(
    {"paid", "applied", "done", "delivered", "ready", "normal", "healthy", "pass", "active", "holds"}
)
BAD = frozenset(
    {
        "dead",
        "failed",
        "rejected",
        "critical",
        "unhealthy",
        "fail",
        "returned",
        "reversed",
        "emergency",
        "blocked",
    }
)
WAITING = frozenset(
    {
        *(
            "retrying",
            "deferred",
            "awaiting_approval",
            "awaiting_confirmation",
            "held",
            "warning",
            "degraded",
        ),
        *("paused", "unclear", "maintenance", "pending", "routed", "missing", "open", "recovery", "stopped"),
    }
)
MOVING = frozenset(
    {
        "received",
        "queued",
        "sending",
        "in_transit",
        "running",
        "selecting",
        "created",
        "submitted",
        "requested",
    }
)


def tone_of(state: object) -> str:
    """`good`, `bad`, `waiting`, `moving`, or `quiet` for all others."""
    text = str(state)
    for tone, states in (("good", GOOD), ("bad", BAD), ("waiting", WAITING), ("moving", MOVING)):
        if text in states:
            return tone
    return "quiet"
