"""Stripe's events: the envelope, which the receiver reads, and the payout inside, which the machine reads.

Unknown fields are skipped without being built; unknown values of open strings pass through.
"""

from typing import Any

import msgspec

from payouts.errors import PayloadError
from payouts.states import PayoutStatus
from payouts.storage.widths import ACCOUNT_CHARS, API_VERSION_CHARS, ID_CHARS, PLATFORM, TYPE_CHARS

SNAPSHOT, THIN = "snapshot", "thin"
THIN_OBJECT = "v2.core.event"
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that decoding raises, whatever the bytes."""


class _ObjectId(msgspec.Struct):
    id: Any = None


class _Data(msgspec.Struct):
    object: _ObjectId | None = None


class _Envelope(msgspec.Struct):
    id: str
    type: str
    livemode: bool
    object: str = "event"
    created: int | str | None = None
    account: str | None = None
    context: str | None = None
    api_version: str | None = None
    data: _Data | None = None
    related_object: _ObjectId | None = None


class Envelope(msgspec.Struct, frozen=True):
    """What the inbox keeps beside the raw bytes. `account` is `platform` for the platform's own events."""

    event_id: str
    type: str
    kind: str
    account: str
    livemode: bool
    object_id: str | None
    api_version: str | None
    created_s: int | None


_envelopes = msgspec.json.Decoder(_Envelope)


def read_envelope(body: bytes) -> Envelope:
    """The envelope of an event body. Raises PayloadError, whatever the bytes, with a reason to show."""
    try:
        if not body.isascii():
            body.decode()  # the decoder does not look into what it skips
        raw = _envelopes.decode(body)
    except _UNREADABLE as error:
        raise PayloadError(f"the body is not a Stripe event: {error}") from None
    if not _is_key(raw.id, ID_CHARS) or not raw.id.startswith("evt_"):
        raise PayloadError("the body is not a Stripe event: its id does not read as evt_…")
    if not _is_key(raw.type, TYPE_CHARS):
        raise PayloadError("the body is not a Stripe event: its type is empty, too long or not plain text")
    thin = raw.object == THIN_OBJECT
    if not thin and raw.object != "event":
        raise PayloadError(f"the body is not a Stripe event: its object is {raw.object[:40]!r}")
    account = raw.account or (raw.context if thin else None) or PLATFORM
    if not _is_key(account, ACCOUNT_CHARS):
        raise PayloadError("the body is not a Stripe event: its account does not read as acct_…")
    holder = raw.related_object if thin else (raw.data and raw.data.object)
    object_id = holder.id if holder else None
    return Envelope(
        event_id=raw.id,
        type=raw.type,
        kind=THIN if thin else SNAPSHOT,
        account=account,
        livemode=raw.livemode,
        # What only helps to find the event again is left out where it does not fit: the bytes are kept.
        object_id=object_id if isinstance(object_id, str) and _is_key(object_id, ID_CHARS) else None,
        api_version=raw.api_version
        if raw.api_version and _is_key(raw.api_version, API_VERSION_CHARS)
        else None,
        created_s=raw.created if isinstance(raw.created, int) and abs(raw.created) < 2**62 else None,
    )


def _is_key(text: str, limit: int) -> bool:
    return 0 < len(text) <= limit and text.isascii() and text.isprintable() and " " not in text


class _Trace(msgspec.Struct):
    value: str | None = None


class PayoutObject(msgspec.Struct, frozen=True):
    """A payout as Stripe describes it. Fields that may be expanded into objects are read as ids."""

    id: str
    amount: int
    currency: str
    status: str
    object: str = "payout"
    livemode: bool = False
    automatic: bool | None = None
    method: str | None = None
    arrival_date: int | None = None
    created: int | None = None
    destination: Any = None
    balance_transaction: Any = None
    failure_balance_transaction: Any = None
    failure_code: str | None = None
    failure_message: str | None = None
    original_payout: Any = None
    reversed_by: Any = None
    reconciliation_status: str | None = None
    trace_id: _Trace | None = None
    metadata: dict[str, Any] | None = None

    @property
    def business_status(self) -> PayoutStatus | None:
        """The state it stands for: paid with `reversed_by` is reversed; None for a status unknown here."""
        if self.status == PayoutStatus.PAID and self.reversed_by:
            return PayoutStatus.REVERSED
        if self.status == PayoutStatus.REVERSED:
            return None  # ours, not a status of Stripe's
        try:
            return PayoutStatus(self.status)
        except ValueError:
            return None


class RelatedObject(msgspec.Struct, frozen=True):
    """What a thin event is about: `type` as `v2.core.account`, `url` as a path on Stripe's API."""

    id: str
    type: str
    url: str


class _PayoutData(msgspec.Struct):
    object: PayoutObject


class _PayoutEvent(msgspec.Struct):
    data: _PayoutData


class _ThinEvent(msgspec.Struct):
    related_object: RelatedObject | None = None


_payout_events = msgspec.json.Decoder(_PayoutEvent)
_payout_objects = msgspec.json.Decoder(PayoutObject)
_thin_events = msgspec.json.Decoder(_ThinEvent)


def read_payout(payload: bytes) -> PayoutObject:
    """The payout inside a `payout.*` event. Raises PayloadError."""
    try:
        return _checked(_payout_events.decode(payload).data.object)
    except _UNREADABLE as error:
        raise PayloadError(f"the event's data.object does not read as a payout: {error}") from None


def read_payout_object(body: bytes) -> PayoutObject:
    """A payout as fetched from Stripe's API. Raises PayloadError."""
    try:
        return _checked(_payout_objects.decode(body))
    except _UNREADABLE as error:
        raise PayloadError(f"Stripe's answer does not read as a payout: {error}") from None


def read_related(payload: bytes) -> RelatedObject | None:
    """What a thin event is about; None where it is about nothing. Raises PayloadError."""
    try:
        return _thin_events.decode(payload).related_object
    except _UNREADABLE as error:
        raise PayloadError(f"the thin event does not read: {error}") from None


def id_of(value: Any) -> str | None:
    """The id in a field that Stripe may expand: a string as it is, an object's `id`, else None."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def _checked(payout: PayoutObject) -> PayoutObject:
    if payout.object != "payout":
        raise PayloadError(f"expected a payout, found an object of type {payout.object[:40]!r}")
    if not _is_key(payout.id, ID_CHARS):
        raise PayloadError("the payout's id does not read as po_…")
    if len(payout.currency) != 3 or not payout.currency.isascii() or not payout.currency.isalpha():
        raise PayloadError(f"the payout's currency {payout.currency[:10]!r} is not a three-letter code")
    for name in ("amount", "arrival_date", "created"):
        if abs(getattr(payout, name) or 0) >= 2**62:
            raise PayloadError(f"the payout's {name} is out of range")
    return payout
