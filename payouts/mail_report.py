"""What Resend reports of a mail: whether its address is one to write to no more. Pure.

https://resend.com/docs/webhooks/event-types
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from payouts.cleaning import cleaned
from payouts.errors import PayloadError

_SAYS = {
    "email.bounced": "mail came back",
    "email.complained": "the person marked mail as unwanted",
    "email.suppressed": "Resend writes to the address no more",
}
MOST_ROW_ID = 2**63 - 1
PASSING = "Transient"
"""A bounce of this type says nothing of the address: the mailbox was full, or its server away."""


class _Bounce(msgspec.Struct):
    type: str | None = None
    subType: str | None = None  # noqa: N815 - the field's name at Resend


_Tags = dict[str, str] | list[dict[str, str]] | None


class _Data(msgspec.Struct):
    to: list[str] = []
    tags: _Tags = None
    bounce: _Bounce | None = None


class _Kind(msgspec.Struct):
    """Of any report: the data of those that do not matter here may look otherwise."""

    type: str


class _Event(msgspec.Struct):
    type: str
    created_at: str
    data: _Data


@dataclass(frozen=True, slots=True)
class CameBack:
    """Mail to `address`, written to the partner of this row id, came back at `at_ms`."""

    partner_id: int
    address: str
    why: str
    at_ms: int


_kinds, _events = msgspec.json.Decoder(_Kind), msgspec.json.Decoder(_Event)


def read_report(body: bytes) -> CameBack | None:
    """The bad news in a report; None where it has none, or is of mail that this service did not send.

    Raises PayloadError where it does not read.
    """
    try:
        said = _SAYS.get(_kinds.decode(body).type)
        if said is None:
            return None
        event = _events.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"the report does not read: {error}") from None
    bounce = event.data.bounce or _Bounce()
    partner_id = _partner_id(_by_name(event.data.tags).get("partner", ""))
    if bounce.type == PASSING or partner_id is None or len(event.data.to) != 1:
        return None
    kind = ", ".join(filter(None, (bounce.type, bounce.subType)))
    why = f"{said} ({kind})" if kind else said
    return CameBack(partner_id, event.data.to[0], cleaned(why), _at_ms(event.created_at))


def _by_name(tags: _Tags) -> dict[str, str]:
    if isinstance(tags, dict):
        return tags
    return {tag.get("name", ""): tag.get("value", "") for tag in tags or ()}


def _partner_id(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return int(text) if int(text) <= MOST_ROW_ID else None


def _at_ms(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise PayloadError(f"the report has no time that reads: {text[:40]!r}") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
