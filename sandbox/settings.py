"""What can be set: how quickly a payout lives, how calls are limited, how deliveries are retried."""

from typing import Annotated

import msgspec

API_VERSION = "2026-10-28.endive"
DAY_S = 86_400.0

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Times are in seconds of the sandbox's own clock where nothing else is said."""

    in_transit_after_s: Seconds = 1.0
    """From a payout's creation."""
    paid_after_s: Seconds = 3.0
    """From a payout's creation; a failure comes at this time instead."""
    late_after_s: Seconds = 5.0
    """From paid to what happens after it: a bank return, a reversal."""
    transfer_pending_s: Seconds = 0.0
    """How long a transfer is pending at its destination; 0: available at once, without an event."""

    requests_per_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Calls a second of real time, beyond which the answer is 429 `rate_limit`."""
    one_call_per_account: bool = False
    """Whether a POST that meets another one working on its account is a 429 `lock_timeout`."""
    work_s: Seconds = 0.0
    """Real time that each POST works before it is done."""

    deliveries_at_once: Annotated[int, msgspec.Meta(ge=1)] = 64
    delivery_timeout_s: Seconds = 10.0
    """Real time within which an endpoint must answer."""
    retry_first_s: Seconds = 5.0
    """From the first failed attempt to the second one; each wait is twice the one before."""
    retry_longest_s: Seconds = 12 * 3600.0
    retry_for_s: Seconds = 3 * DAY_S
    """After so long a delivery is given up."""
