"""Why an event came again, as far as it can be told: by Stripe's own doing, or because somebody asked.

Stripe sends an event again within moments (a duplicate), once to each endpoint that wants it, and when it got
no 2xx; a person resends one from the Dashboard or by `stripe events resend`. Nothing in the delivery says
which. What was acknowledged is not retried, so what comes later than a moment was asked for, or the
acknowledgement got lost on its way. Pure.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

AGAIN_WITHIN_MS = 60_000
"""Deliveries this close to the one before are Stripe's duplicates."""


class Redelivery(StrEnum):
    """What a delivery was of an event that was in the inbox already."""

    DUPLICATE = "duplicate"
    """Stripe sent it twice, within moments."""
    OTHER_ENDPOINT = "other endpoint"
    """Signed for another endpoint of ours: both want events of this type."""
    RESEND = "resend"
    """Asked for at Stripe by a person, or sent again because the acknowledgement got lost."""
    LATE = "late"
    """Its first delivery: catch-up had found the event before."""


def redeliveries(
    first: Mapping[str, Any], again: Iterable[Mapping[str, Any]], webhook: str
) -> list[Redelivery]:
    """What each of `again` was: rows with `secret` and `received_at_ms`, the oldest first.

    `first`: the row of the event itself, with its `source` too; `webhook`: the source of what is delivered.
    """
    found: list[Redelivery] = []
    seen = {_endpoint(first["secret"])} if first["source"] == webhook else set()
    before_ms = first["received_at_ms"]
    for row in again:
        endpoint = _endpoint(row["secret"])
        if not seen:
            found.append(Redelivery.LATE)
        elif endpoint not in seen:
            found.append(Redelivery.OTHER_ENDPOINT)
        elif row["received_at_ms"] - before_ms <= AGAIN_WITHIN_MS:
            found.append(Redelivery.DUPLICATE)
        else:
            found.append(Redelivery.RESEND)
        seen.add(endpoint)
        before_ms = row["received_at_ms"]
    return found


def _endpoint(secret: str | None) -> str | None:
    return secret.partition(":")[0] if secret else None
