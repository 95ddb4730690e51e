"""Stripe's transfers, as events and the API show them. A transfer has no status: it is made, and may be
reversed in parts."""

from typing import Any

import msgspec

from payouts.errors import PayloadError


class TransferObject(msgspec.Struct, frozen=True):
    """A transfer as Stripe describes it. `amount_reversed` only ever grows."""

    id: str
    amount: int
    currency: str
    amount_reversed: int = 0
    reversed: bool = False
    destination: Any = None
    transfer_group: str | None = None
    metadata: dict[str, str] = {}
    created: int | None = None
    object: str = "transfer"


class ReversalObject(msgspec.Struct, frozen=True):
    """A transfer's reversal, over a part of it or what is left."""

    id: str
    amount: int
    currency: str
    transfer: Any = None
    metadata: dict[str, str] = {}
    object: str = "transfer_reversal"


class _Data(msgspec.Struct):
    object: TransferObject


class _Event(msgspec.Struct):
    data: _Data


_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_events = msgspec.json.Decoder(_Event)
_transfers = msgspec.json.Decoder(TransferObject)
_reversals = msgspec.json.Decoder(ReversalObject)


def read_transfer(payload: bytes) -> TransferObject:
    """The transfer inside a `transfer.*` event. Raises PayloadError."""
    try:
        return _events.decode(payload).data.object
    except _UNREADABLE as error:
        raise PayloadError(f"the event's data.object does not read as a transfer: {error}") from None


def read_transfer_object(body: bytes) -> TransferObject:
    """A transfer as the API gave it. Raises PayloadError."""
    try:
        return _transfers.decode(body)
    except _UNREADABLE as error:
        raise PayloadError(f"Stripe's answer does not read as a transfer: {error}") from None


def read_reversal_object(body: bytes) -> ReversalObject:
    """A transfer's reversal as the API gave it. Raises PayloadError."""
    try:
        return _reversals.decode(body)
    except _UNREADABLE as error:
        raise PayloadError(f"Stripe's answer does not read as a reversal: {error}") from None


def leg_id_in(metadata: dict[str, Any] | None, key: str) -> int | None:
    """The row id of the leg that metadata names under `key`; None where it names none."""
    text = (metadata or {}).get(key)
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 19:
        return None
    return int(text)
