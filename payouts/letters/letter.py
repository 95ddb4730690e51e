"""Which letter a notice makes for the partner it is about. Pure: no name, no address, no wording."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from payouts.errors import PayloadError
from payouts.notices import Notice

NAMES = (
    *("payout.sent", "payout.completed", "payout.returned", "bank_account.needed"),
    *("partner.maintenance_planned", "partner.maintenance_called_off"),
)
"""The notices that partners may be written about."""


class Kind(StrEnum):
    """The letters there are; each has a template for HTML and one for text of this name."""

    PAYOUT_SENT = "payout_sent"
    PAYOUT_COMPLETED = "payout_completed"
    PAYOUT_FAILED = "payout_failed"
    """The bank did not take it, or Stripe did not make it."""
    PAYOUT_RETURNED = "payout_returned"
    """It was paid, and came back."""
    BANK_ACCOUNT_NEEDED = "bank_account_needed"
    MAINTENANCE_PLANNED = "maintenance_planned"
    MAINTENANCE_CALLED_OFF = "maintenance_called_off"


_OTHERS = {
    "payout.sent": Kind.PAYOUT_SENT,
    "bank_account.needed": Kind.BANK_ACCOUNT_NEEDED,
    "partner.maintenance_planned": Kind.MAINTENANCE_PLANNED,
    "partner.maintenance_called_off": Kind.MAINTENANCE_CALLED_OFF,
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to be written. `about`: the body of its notice."""

    kind: Kind
    about: Mapping[str, Any]


def letter_of(notice: Notice) -> Letter | None:
    """The letter that a notice makes; None where partners are not written about it.

    A payout that nobody asked for here is the partner's own doing, and a reversal is told of by what it does
    to the payout that it takes back. Raises PayloadError where the body does not read.
    """
    if notice.name not in NAMES:
        return None
    try:
        about = msgspec.json.decode(notice.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PayloadError(f"the body of notice {notice.id} does not read: {error}") from None
    if notice.name == "payout.completed":
        ours = bool(about.get("request_id")) and about.get("amount_minor", 0) > 0
        return Letter(Kind.PAYOUT_COMPLETED, about) if ours else None
    if notice.name == "payout.returned":
        was_paid = about.get("status_before") == "paid"
        return Letter(Kind.PAYOUT_RETURNED if was_paid else Kind.PAYOUT_FAILED, about)
    return Letter(_OTHERS[notice.name], about)
