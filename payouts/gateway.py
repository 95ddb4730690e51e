"""The port to Stripe: the few calls this service makes, and what an answer to each means.

`SdkGateway` is the real one. It keeps the SDK out of every process that never calls Stripe: importing it
takes 160 ms and some 30 MB.
"""

from typing import TYPE_CHECKING, Any, Protocol

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from payouts.errors import GatewayError, PayloadError
from payouts.event import PayoutObject, read_payout_object

if TYPE_CHECKING:
    import stripe

API_VERSION = "2026-10-28.endive"
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 3, 20
READ_TRIES = 3


class StripeGateway(Protocol):
    """What the service asks of Stripe."""

    def payout(self, payout_id: str, account: str | None) -> PayoutObject:
        """The payout as Stripe has it now, on `account` (None: the platform's own). Raises GatewayError."""
        ...


class NoGateway:
    """Stands where no STRIPE_API_KEY is set: what needs Stripe waits until it is."""

    def payout(self, payout_id: str, account: str | None) -> PayoutObject:
        raise GatewayError("waits for an API key: set STRIPE_API_KEY", transient=True, blocked=True)


class SdkGateway:
    """Stripe through its SDK: no retries hidden inside, time limits on every call, one pinned version."""

    def __init__(self, api_key: str, api_base: str = "") -> None:
        import stripe

        self._stripe = stripe
        http_client = stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
        base: Any = {"base_addresses": {"api": api_base}} if api_base else {}
        self._client = stripe.StripeClient(
            api_key, stripe_version=API_VERSION, max_network_retries=0, http_client=http_client, **base
        )

    def __repr__(self) -> str:
        return "SdkGateway(key hidden)"

    def payout(self, payout_id: str, account: str | None) -> PayoutObject:
        options: Any = {"stripe_account": account} if account else {}
        answer = self._read(lambda: self._client.v1.payouts.retrieve(payout_id, options=options))
        try:
            return read_payout_object(str(answer).encode())
        except PayloadError as error:
            raise GatewayError(str(error), transient=False) from None

    def _read(self, call: Any) -> Any:
        # A read changes nothing, so seconds of trouble are waited out here; minutes are the queue's.
        retrying = Retrying(
            retry=retry_if_exception(self._is_passing),
            stop=stop_after_attempt(READ_TRIES),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            reraise=True,
        )
        try:
            return retrying(call)
        except self._stripe.StripeError as error:
            raise gateway_error(self._stripe, error) from None
        except ValueError as error:  # the SDK's own reading of bytes that are not text
            raise GatewayError(f"Stripe's answer does not read: {error}", transient=True) from None

    def _is_passing(self, error: BaseException) -> bool:
        stripe = self._stripe
        return isinstance(error, stripe.APIConnectionError | stripe.RateLimitError | stripe.APIError)


def gateway_error(stripe: Any, error: "stripe.StripeError") -> GatewayError:
    """What a Stripe error means for a read, by the class and the code on the wire.

    `e.code` is None on 403, 409, 429 and 5xx, so the code is read from the body (measured on SDK 16.1).
    """
    body = getattr(error, "error", None)
    code = getattr(body, "code", None) or error.http_status or "no answer"
    said = f"Stripe said {code}: {str(error.user_message or error)[:200]}"
    if isinstance(error, stripe.AuthenticationError):
        return GatewayError(f"{said}; check STRIPE_API_KEY", transient=True, blocked=True)
    if isinstance(error, stripe.PermissionError):
        return GatewayError(f"{said}; access to the account is lost", transient=False)
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        return GatewayError(said, transient=True)
    if isinstance(error, stripe.IdempotencyError | stripe.CardError | stripe.InvalidRequestError):
        return GatewayError(said, transient=False)
    return GatewayError(said, transient=True)
