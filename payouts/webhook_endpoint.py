"""Stripe's webhook endpoints, as its API shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import msgspec

from payouts.errors import PayloadError

EVERY_TYPE = "*"


class EndpointObject(msgspec.Struct, frozen=True):
    """An endpoint as Stripe describes it. Its secret is shown only when it is made."""

    id: str
    url: str
    status: str
    enabled_events: list[str]
    """Types, or `*` for all."""
    api_version: str | None = None
    """Fixed when the endpoint is made. None: the account's default, which somebody may change."""
    application: str | None = None
    """Set: a Connect endpoint, which gets the events of connected accounts."""
    livemode: bool = False
    object: str = "webhook_endpoint"

    @property
    def is_enabled(self) -> bool:
        return self.status == "enabled"

    @property
    def is_connect(self) -> bool:
        return bool(self.application)

    def hears(self, type_: str) -> bool:
        """Whether events of this type are sent to it."""
        return type_ in self.enabled_events or EVERY_TYPE in self.enabled_events


@dataclass(frozen=True, slots=True)
class EndpointsSeen:
    """The endpoints of an account, and what time it was at Stripe when it said so."""

    endpoints: Sequence[EndpointObject]
    stripe_now_ms: int | None
    """By the answer's `Date`, in whole seconds; None where it had none."""
    asked_at_ms: int
    answered_at_ms: int
    """By our own clock, around that answer."""


_endpoints = msgspec.json.Decoder(EndpointObject)


def read_endpoint(body: bytes) -> EndpointObject:
    """An endpoint as the API gave it. Raises PayloadError."""
    try:
        return _endpoints.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"Stripe's answer does not read as a webhook endpoint: {error}") from None


def read_date(header: str | None) -> int | None:
    """An HTTP `Date` in milliseconds; None where it is missing or does not read."""
    try:
        return int(parsedate_to_datetime(header or "").timestamp()) * 1000
    except ValueError:
        return None
