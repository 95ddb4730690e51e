"""The port to Stripe: the few calls this service makes, and what an answer to each means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from payouts.calls import Answer, Doubt, FrozenCall, Unknown
from payouts.errors import GatewayError
from payouts.event import PayoutObject
from payouts.transfer import TransferObject
from payouts.webhook_endpoint import EndpointsSeen

API_VERSION = "2026-10-28.endive"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """What was created between two times by Stripe's clock, both included."""

    since_s: int
    until_s: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One answer of a list, newest first. `after`: what to ask for the next with; None: there is none."""

    objects: Sequence[T]
    after: str | None


@dataclass(frozen=True, slots=True)
class EventsQuery:
    """Which events of an account are listed. `types`: 20 at the most; None: all."""

    window: Window
    types: Sequence[str] | None = None
    failed_only: bool = False
    """Only those that at least one webhook endpoint has not taken."""


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event as Stripe lists it; `body` is its JSON, though not the bytes that were ever signed."""

    id: str
    type: str
    created_s: int
    body: bytes


class StripeGateway(Protocol):
    """What the service asks of Stripe. Reads raise GatewayError; `send` never does."""

    def payout(self, payout_id: str, account: str | None) -> PayoutObject:
        """The payout as Stripe has it now, on `account` (None: the platform's own)."""
        ...

    def account(self, account_id: str) -> bytes:
        """A connected account as Stripe has it now, as JSON."""
        ...

    def find_transfer(self, group: str, leg_id: int) -> bytes | None:
        """The transfer of this `transfer_group` whose metadata names the leg, as JSON."""
        ...

    def find_payout(self, account: str, leg_id: int, since_s: int, until_s: int) -> bytes | None:
        """The payout on `account`, created between the two times, whose metadata names the leg, as JSON."""
        ...

    def find_reversal(self, transfer_id: str, leg_id: int) -> bytes | None:
        """The reversal of a transfer whose metadata names the leg, as JSON."""
        ...

    def payout_if_any(self, payout_id: str, account: str | None) -> PayoutObject | None:
        """As `payout`; None where Stripe has no such payout."""
        ...

    def transfer_if_any(self, transfer_id: str) -> TransferObject | None:
        """The platform's transfer as Stripe has it now; None where it has no such transfer."""
        ...

    def payouts_page(self, account: str | None, window: Window, after: str | None) -> Page[PayoutObject]:
        """A page of the payouts on `account`, newest first, in one call."""
        ...

    def transfers_page(self, window: Window, after: str | None) -> Page[TransferObject]:
        """A page of the platform's transfers, newest first, in one call."""
        ...

    def events_page(self, account: str | None, query: EventsQuery, after: str | None) -> Page[ListedEvent]:
        """A page of the events of `account`, newest first, in one call. Stripe lists those of 30 days."""
        ...

    def balance(self, account: str | None) -> Mapping[str, int]:
        """What lies in the balance of `account`, available and pending together: minor units by currency."""
        ...

    def webhook_endpoints(self) -> EndpointsSeen:
        """The webhook endpoints of the platform's account, of both kinds, and what time it is at Stripe."""
        ...

    def send(self, call: FrozenCall) -> Answer:
        """Make one call that moves money, once. Whatever happens comes back as an answer."""
        ...


class NoGateway:
    """Stands where no STRIPE_API_KEY is set: what needs Stripe waits until it is."""

    def payout(self, payout_id: str, account: str | None) -> PayoutObject:
        raise _no_key()

    def account(self, account_id: str) -> bytes:
        raise _no_key()

    def find_transfer(self, group: str, leg_id: int) -> bytes | None:
        raise _no_key()

    def find_payout(self, account: str, leg_id: int, since_s: int, until_s: int) -> bytes | None:
        raise _no_key()

    def find_reversal(self, transfer_id: str, leg_id: int) -> bytes | None:
        raise _no_key()

    def payout_if_any(self, payout_id: str, account: str | None) -> PayoutObject | None:
        raise _no_key()

    def transfer_if_any(self, transfer_id: str) -> TransferObject | None:
        raise _no_key()

    def payouts_page(self, account: str | None, window: Window, after: str | None) -> Page[PayoutObject]:
        raise _no_key()

    def transfers_page(self, window: Window, after: str | None) -> Page[TransferObject]:
        raise _no_key()

    def events_page(self, account: str | None, query: EventsQuery, after: str | None) -> Page[ListedEvent]:
        raise _no_key()

    def balance(self, account: str | None) -> Mapping[str, int]:
        raise _no_key()

    def webhook_endpoints(self) -> EndpointsSeen:
        raise _no_key()

    def send(self, call: FrozenCall) -> Answer:
        return Unknown(Doubt.KEY_REFUSED, str(_no_key()))


def _no_key() -> GatewayError:
    return GatewayError("waits for an API key: set STRIPE_API_KEY", transient=True, blocked=True)
