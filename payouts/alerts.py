"""How grave a notice is to operators, and which ones are about the same trouble. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from payouts.errors import PayloadError
from payouts.notices import Notice
from payouts.request import public_id


class Gravity(StrEnum):
    """What is done about it."""

    INFO = "info"
    """To be known."""
    WARNING = "warning"
    """To be looked at within the working day."""
    CRITICAL = "critical"
    """Somebody is called."""


TEST, TEST_CRITICAL = "alert.test", "alert.test_critical"
"""What a person tries the channels by."""
CRITICAL = frozenset(
    {
        TEST_CRITICAL,
        "alert.emergency_on",
        "alert.ledger_broken",
        "alert.paid_twice",
        "alert.payout_duplicate",
        "alert.recovery_begun",
        "alert.velocity_tripped",
    }
)
"""Money may have gone wrong, or nothing is paid at all."""
ENDS = {
    "alert.emergency_off": "alert.emergency_on",
    "alert.recovery_ended": "alert.recovery_begun",
}
"""Notices that say that an alert is over."""
OPERATORS = ("alert.*", "maintenance.*")
"""The notices that are for operators."""


@dataclass(frozen=True, slots=True)
class OperatorNotice:
    """A notice as operators are told of it. `key`: the same for all about one trouble."""

    name: str
    gravity: Gravity
    key: str
    ends: bool
    text: str
    at_ms: int
    about: dict[str, str]
    """More of it, by name; nothing of it is a secret or a person."""


def operator_notice(notice: Notice) -> OperatorNotice:
    """What a notice says to operators. Raises PayloadError where its body does not read."""
    try:
        body = msgspec.json.decode(notice.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PayloadError(f"the body of notice {notice.id} does not read: {error}") from None
    about = {name: str(body[name]) for name in _TOLD if body.get(name) is not None}
    if notice.request_id is not None:
        about["request_id"] = public_id(notice.request_id)
    return OperatorNotice(
        notice.name,
        _gravity(notice.name, body),
        _key(notice, body),
        notice.name in ENDS,
        str(body.get("text") or notice.name),
        int(body.get("occurred_at_ms") or notice.created_at_ms),
        {"account": notice.account, **about},
    )


def gravity_of(name: str) -> Gravity:
    """How grave a notice of this name is."""
    if name in CRITICAL:
        return Gravity.CRITICAL
    return Gravity.WARNING if name.startswith("alert.") and name not in ENDS else Gravity.INFO


def _gravity(name: str, body: dict[str, Any]) -> Gravity:
    usual = gravity_of(name)
    is_bad = body.get("level") in ("warning", "critical")  # of a report on how the service is
    return Gravity.WARNING if is_bad and usual == Gravity.INFO else usual


def _key(notice: Notice, body: dict[str, Any]) -> str:
    name = ENDS.get(notice.name, notice.name)
    subject = body.get("alert_key") or notice.request_id or notice.payout_id or notice.account
    return f"{name}:{subject}"[:255]


_TOLD = ("partner", "stripe_id", "window_id", "starts_at", "ends_at", "level")
