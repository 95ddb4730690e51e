"""What the portal is told: which notices are events for it, and how they read. Pure.

The shape is a promise: fields may come, none goes or changes its meaning. docs/notices.md describes it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from payouts.alerts import TEST
from payouts.bouncing import BOUNCING
from payouts.clock import iso
from payouts.errors import PayloadError
from payouts.notices import Notice
from payouts.request import public_id

_STEPS = ("announced", "changed", "started", "ended", "called_off")
NAMES = ("payout.*", "bank_account.*", *(f"maintenance.{step}" for step in _STEPS), BOUNCING, TEST)
"""The notices that the portal gets."""
_RENAMED = {BOUNCING: "partner.email_bounced", TEST: "test"}
_TEXTS = ("status", "currency", "stripe_id", "failure_code", "reference", "partner", "bank_label", "lacks")


def event_of(notice: Notice) -> bytes:
    """The event that a notice is, as the bytes that are signed: the same whenever it is sent.

    Raises PayloadError where its body does not read.
    """
    try:
        body = msgspec.json.decode(notice.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PayloadError(f"the body of notice {notice.id} does not read: {error}") from None
    at_ms = int(body.get("occurred_at_ms") or notice.created_at_ms)
    event = {
        "type": _RENAMED.get(notice.name, notice.name),
        "id": str(notice.id),
        "sequence": f"{notice.id:019d}",
        "timestamp": iso(at_ms),
        "data": _maintenance(body) if notice.name.startswith("maintenance.") else _data(notice, body),
    }
    return msgspec.json.encode(event)


def _data(notice: Notice, body: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {"account": notice.account}
    if notice.name.startswith("payout."):
        data["request_id"] = None if notice.request_id is None else public_id(notice.request_id)
        data["amount_minor"] = body.get("amount_minor")
    data |= {name: body[name] for name in _TEXTS if name in body}
    arrival_s = body.get("arrival_date_s")
    if arrival_s is not None:
        data["arrival_date"] = (iso(arrival_s * 1000) or "")[:10]
    return data


def _maintenance(body: Mapping[str, Any]) -> dict[str, Any]:
    named = {"id": "window_id", "status": "state", "starts_at": "starts_at", "ends_at": "ends_at"}
    return {name: body.get(field) for name, field in named.items()} | {"text": body.get("window_text")}
