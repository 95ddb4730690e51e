"""The port to Stripe: the few calls this service makes, and what an answer to each means."""

from typing import Protocol

from payouts.calls import Answer, Doubt, FrozenCall, Unknown
from payouts.errors import GatewayError
from payouts.event import PayoutObject

API_VERSION = "2026-10-28.endive"


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

    def send(self, call: FrozenCall) -> Answer:
        return Unknown(Doubt.KEY_REFUSED, str(_no_key()))


def _no_key() -> GatewayError:
    return GatewayError("waits for an API key: set STRIPE_API_KEY", transient=True, blocked=True)
