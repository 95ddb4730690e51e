"""What Resend reports of a mail: whether its address is one to write to no more. Pure.

https://resend.com/docs/webhooks/event-types
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from payouts.errors import PayloadError

_SAYS = {
    "email.bounced": "mail came back",
    "email.complained": "the person marked mail as unwanted",
    "email.suppressed": "Resend writes to the address no more",
}
PASSING = "Transient"
"""A bounce of this type says nothing of the address: the mailbox was full, or its server away."""


class _Bounce(msgspec.Struct):
    type: str = ""
    subType: str = ""  # noqa: N815 - the field's name at Resend
    message: str = ""


class _Data(msgspec.Struct):
    to: list[str] = []
    tags: dict[str, str] | list[dict[str, str]] = {}
    bounce: _Bounce | None = None


class _Event(msgspec.Struct):
    type: str
    created_at: str
    data: _Data = msgspec.field(default_factory=_Data)


@dataclass(frozen=True, slots=True)
class CameBack:
    """Mail to `address`, written to the partner of this row id, came back at `at_ms`."""

    partner_id: int
    address: str
    why: str
    at_ms: int


_events = msgspec.json.Decoder(_Event)


def read_report(body: bytes) -> CameBack | None:
    """The bad news in a report; None where it has none, or is of mail that this service did not send.

    Raises PayloadError where it does not read.
    """
    try:
        event = _events.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"the report does not read: {error}") from None
    said = _SAYS.get(event.type)
    bounce = event.data.bounce
    if said is None or (bounce is not None and bounce.type == PASSING):
        return None
    partner = _tags(event.data.tags).get("partner", "")
    if not (partner.isascii() and partner.isdigit() and len(partner) < 20 and len(event.data.to) == 1):
        return None
    kind = f" ({bounce.type}, {bounce.subType})" if bounce is not None else ""
    return CameBack(int(partner), event.data.to[0], f"{said}{kind}", _at_ms(event.created_at))


def _tags(tags: dict[str, str] | list[dict[str, str]]) -> dict[str, str]:
    if isinstance(tags, dict):
        return tags
    return {tag.get("name", ""): tag.get("value", "") for tag in tags}


def _at_ms(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise PayloadError(f"the report has no time that reads: {text[:40]!r}") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
