"""The two types that every part uses."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
"""A JSON object, as Stripe sends it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The call that caused a change: it becomes the event's `request`."""

    request_id: str
    idempotency_key: str | None = None

    def to_json(self) -> Json:
        return {"id": self.request_id, "idempotency_key": self.idempotency_key}


NOBODY: Json = {"id": None, "idempotency_key": None}
"""The `request` of an event for what Stripe did by itself."""
