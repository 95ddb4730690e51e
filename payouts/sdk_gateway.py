"""Stripe through its SDK: no retries hidden inside, time limits on every call, one pinned version.

The SDK is imported when the gateway is built: it takes 160 ms and some 30 MB, which processes that never call
Stripe do without.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from payouts.calls import METADATA_LEG, NO_ACCESS, Answer, Call, Doubt, FrozenCall, Made, Refused, Unknown
from payouts.clock import now_ms
from payouts.errors import GatewayError, PayloadError
from payouts.event import PayoutObject, read_payout_object
from payouts.gateway import API_VERSION, EventsQuery, ListedEvent, Page, Window
from payouts.secret_source import Derived, SecretSource
from payouts.transfer import TransferObject, leg_id_in, read_transfer_object
from payouts.webhook_endpoint import EndpointObject, EndpointsSeen, read_date, read_endpoint

if TYPE_CHECKING:
    import stripe

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 3, 20
READ_TRIES = 3
PAGE = 100
MOST_PAGES = 50
"""Of a list that is searched for one object: past these a person looks."""
NOT_FOUND = 404
REPLAYED_HEADER = "idempotent-replayed"

Kind = Literal["read", "write", "payout"]
Pace = Callable[[Kind], bool]
"""Waits until a call of a kind may be made; False where that takes too long."""
Called = Callable[[str, str, float], None]
"""Told of each call that was made: read or write, what came of it, and the seconds that it took."""


def at_once(kind: Kind) -> bool:
    """The pace of a process that has Stripe to itself."""
    return True


def uncounted(kind: str, outcome: str, took_s: float) -> None:
    """For a process whose calls nobody counts."""


class SdkGateway:
    """The real Stripe."""

    def __init__(
        self,
        api_key: str | SecretSource,
        api_base: str = "",
        pace: Pace = at_once,
        read_timeout_s: float | None = None,
        called: Called = uncounted,
    ) -> None:
        """`api_key`: a source is asked before each call, so that a key can be rotated."""
        import stripe

        self._stripe = stripe
        http_client = stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_S, read_timeout_s or READ_TIMEOUT_S))
        base: Any = {"base_addresses": {"api": api_base}} if api_base else {}
        source = SecretSource("STRIPE_API_KEY", api_key) if isinstance(api_key, str) else api_key

        def client_of(key: str) -> Any:
            return stripe.StripeClient(
                key, stripe_version=API_VERSION, max_network_retries=0, http_client=http_client, **base
            )

        self._clients = Derived((source,), client_of)
        self._pace = pace
        self._called = called

    def __repr__(self) -> str:
        return "SdkGateway(key hidden)"

    @property
    def _client(self) -> "stripe.StripeClient":
        return cast("stripe.StripeClient", self._clients.get())

    def payout(self, payout_id: str, account: str | None) -> PayoutObject:
        answer = self._read(lambda: self._client.v1.payouts.retrieve(payout_id, options=_acting(account)))
        return _payout(answer)

    def account(self, account_id: str) -> bytes:
        return str(self._read(lambda: self._client.v1.accounts.retrieve(account_id))).encode()

    def find_transfer(self, group: str, leg_id: int) -> bytes | None:
        transfers: Any = self._client.v1.transfers
        for found in self._pages(lambda cursor: transfers.list({"transfer_group": group, **cursor})):
            if _names(found, leg_id):
                return str(found).encode()
        return None

    def find_payout(self, account: str, leg_id: int, since_s: int, until_s: int) -> bytes | None:
        payouts: Any = self._client.v1.payouts
        options = _acting(account)
        created = {"created": {"gte": since_s, "lte": until_s}}
        for found in self._pages(lambda cursor: payouts.list({**created, **cursor}, options)):
            if _names(found, leg_id):
                return str(found).encode()
        return None

    def find_reversal(self, transfer_id: str, leg_id: int) -> bytes | None:
        reversals = self._client.v1.transfers.reversals
        for found in self._pages(lambda cursor: reversals.list(transfer_id, cursor)):
            if _names(found, leg_id):
                return str(found).encode()
        return None

    def payout_if_any(self, payout_id: str, account: str | None) -> PayoutObject | None:
        payouts = self._client.v1.payouts
        found = self._read_if_any(lambda: payouts.retrieve(payout_id, options=_acting(account)))
        return None if found is None else _payout(found)

    def transfer_if_any(self, transfer_id: str) -> TransferObject | None:
        found = self._read_if_any(lambda: self._client.v1.transfers.retrieve(transfer_id))
        return None if found is None else _transfer(found)

    def payouts_page(self, account: str | None, window: Window, after: str | None) -> Page[PayoutObject]:
        payouts: Any = self._client.v1.payouts
        page = self._read(lambda: payouts.list(_listing(window, after), _acting(account)))
        return Page([_payout(found) for found in page.data], _after(page))

    def transfers_page(self, window: Window, after: str | None) -> Page[TransferObject]:
        transfers: Any = self._client.v1.transfers
        page = self._read(lambda: transfers.list(_listing(window, after)))
        return Page([_transfer(found) for found in page.data], _after(page))

    def events_page(self, account: str | None, query: EventsQuery, after: str | None) -> Page[ListedEvent]:
        events: Any = self._client.v1.events
        params = _listing(query.window, after)
        if query.types is not None:
            params["types"] = list(query.types)
        if query.failed_only:
            params["delivery_success"] = False
        page = self._read(lambda: events.list(params, _acting(account)))
        found = [ListedEvent(each.id, each.type, each.created, str(each).encode()) for each in page.data]
        return Page(found, _after(page))

    def balance(self, account: str | None) -> Mapping[str, int]:
        balance = self._read(lambda: self._client.v1.balance.retrieve(options=_acting(account)))
        totals: dict[str, int] = {}
        for part in [*balance.available, *balance.pending]:
            totals[part.currency] = totals.get(part.currency, 0) + part.amount
        return totals

    def webhook_endpoints(self) -> EndpointsSeen:
        endpoints: Any = self._client.v1.webhook_endpoints
        asked: list[tuple[int, int, str | None]] = []

        def fetch(cursor: Any) -> Any:
            began_at_ms = now_ms()
            page = endpoints.list(cursor)
            said = page.last_response
            asked.append((began_at_ms, now_ms(), said.headers.get("date") if said else None))
            return page

        found = [_endpoint(each) for each in self._pages(fetch)]
        asked_at_ms, answered_at_ms, date = asked[-1]
        return EndpointsSeen(found, read_date(date), asked_at_ms, answered_at_ms)

    def send(self, call: FrozenCall) -> Answer:
        if not self._pace("payout" if call.call == Call.PAYOUT else "write"):
            return Unknown(Doubt.LIMITED, "held back: the calls allowed to Stripe are used up for the moment")
        options: Any = {"idempotency_key": call.idempotency_key, **_acting(call.stripe_account)}
        try:
            made = self._counted("write", lambda: self._make(call, options))
        except self._stripe.StripeError as error:
            return answer_of(self._stripe, error)
        except ValueError as error:  # the SDK's own reading of bytes that are not text
            return Unknown(Doubt.NO_ANSWER, f"Stripe's answer does not read: {error}")
        said = made.last_response
        return Made(str(made).encode(), said.request_id if said else None)

    def _make(self, call: FrozenCall, options: Any) -> Any:
        params: Any = dict(call.params)
        v1 = self._client.v1
        if call.call == Call.TRANSFER:
            return v1.transfers.create(params, options)
        if call.call == Call.PAYOUT:
            return v1.payouts.create(params, options)
        return v1.transfers.reversals.create(call.target or "", params, options)

    def _pages(self, fetch: Callable[[Any], Any]) -> Iterator[Any]:
        cursor: dict[str, Any] = {"limit": PAGE}
        for _ in range(MOST_PAGES):
            page = self._read(functools.partial(fetch, dict(cursor)))
            yield from page.data
            if not page.has_more or not page.data:
                return
            cursor["starting_after"] = page.data[-1].id
        raise GatewayError(
            f"Stripe lists more than {PAGE * MOST_PAGES} objects to look through", transient=False
        )

    def _read(self, call: Callable[[], Any]) -> Any:
        # A read changes nothing, so seconds of trouble are waited out here; minutes are the queue's.
        if not self._pace("read"):
            raise GatewayError(
                "held back: the calls allowed to Stripe are used up for the moment", transient=True
            )
        retrying = Retrying(
            retry=retry_if_exception(self._is_passing),
            stop=stop_after_attempt(READ_TRIES),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            reraise=True,
        )
        try:
            return retrying(lambda: self._counted("read", call))
        except self._stripe.StripeError as error:
            raise gateway_error(self._stripe, error) from None
        except ValueError as error:  # the SDK's own reading of bytes that are not text
            raise GatewayError(f"Stripe's answer does not read: {error}", transient=True) from None

    def _counted(self, kind: str, call: Callable[[], Any]) -> Any:
        began_s, outcome = time.monotonic(), "failed"
        try:
            answer = call()
            outcome = "answered"
            return answer
        except self._stripe.StripeError as error:
            outcome = outcome_of(self._stripe, error)
            raise
        finally:
            self._called(kind, outcome, time.monotonic() - began_s)

    def _read_if_any(self, call: Callable[[], Any]) -> Any:
        def ask() -> Any:
            try:
                return call()
            except self._stripe.InvalidRequestError as error:
                if error.http_status == NOT_FOUND:
                    return None
                raise

        return self._read(ask)

    def _is_passing(self, error: BaseException) -> bool:
        stripe = self._stripe
        return isinstance(error, stripe.APIConnectionError | stripe.RateLimitError | stripe.APIError)


def gateway_error(stripe: Any, error: "stripe.StripeError") -> GatewayError:
    """What a Stripe error means for a read, by the class and the code on the wire."""
    said = _said(error)
    if isinstance(error, stripe.AuthenticationError):
        return GatewayError(f"{said}; check STRIPE_API_KEY", transient=True, blocked=True)
    if isinstance(error, stripe.PermissionError):
        return GatewayError(f"{said}; access to the account is lost", transient=False, no_access=True)
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        return GatewayError(said, transient=True)
    if isinstance(error, stripe.IdempotencyError | stripe.CardError | stripe.InvalidRequestError):
        return GatewayError(said, transient=False)
    return GatewayError(said, transient=True)


def outcome_of(stripe: Any, error: "stripe.StripeError") -> str:
    """What became of a call that raised, for counting: limited (429), refused (other 4xx), else failed."""
    if isinstance(error, stripe.RateLimitError):
        return "limited"
    return "refused" if error.http_status is not None and 400 <= error.http_status < 500 else "failed"


def answer_of(stripe: Any, error: "stripe.StripeError") -> Answer:
    """What a Stripe error means for a call that moves money: refused, or not known."""
    said, request_id = _said(error), error.request_id
    status = error.http_status
    if isinstance(error, stripe.AuthenticationError):
        return Unknown(Doubt.KEY_REFUSED, f"{said}; check STRIPE_API_KEY", status, request_id)
    if isinstance(error, stripe.RateLimitError):
        return Unknown(Doubt.LIMITED, said, status, request_id)
    if isinstance(error, stripe.PermissionError):
        return Refused(NO_ACCESS, f"{said}; access to the account is lost", status, request_id)
    if isinstance(error, stripe.IdempotencyError):
        return Refused("idempotency_error", said, status, request_id)
    if isinstance(error, stripe.CardError | stripe.InvalidRequestError):
        return Refused(_code(error) or "invalid_request", said, status, request_id)
    if isinstance(error, stripe.APIConnectionError) or status is None:
        return Unknown(Doubt.NO_ANSWER, said, status, request_id)
    if status == 409:
        return Unknown(Doubt.IN_USE, said, status, request_id)
    headers = {str(name).lower(): value for name, value in (error.headers or {}).items()}
    replayed = str(headers.get(REPLAYED_HEADER, "")).lower() == "true"
    return Unknown(Doubt.REPEATED_ERROR if replayed else Doubt.SERVER_ERROR, said, status, request_id)


def _code(error: "stripe.StripeError") -> str | None:
    # `e.code` is None on 403, 409, 429 and 5xx, so the code is read from the body (measured on SDK 16.1).
    return getattr(getattr(error, "error", None), "code", None) or error.code


def _said(error: "stripe.StripeError") -> str:
    code = _code(error) or error.http_status or "no answer"
    return f"Stripe said {code}: {str(error.user_message or error)[:200]}"


def _acting(account: str | None) -> Any:
    return {"stripe_account": account} if account else {}


def _names(found: Any, leg_id: int) -> bool:
    metadata = found.metadata.to_dict() if found.metadata is not None else {}
    return leg_id_in(metadata, METADATA_LEG) == leg_id


def _payout(answer: Any) -> PayoutObject:
    try:
        return read_payout_object(str(answer).encode())
    except PayloadError as error:
        raise GatewayError(str(error), transient=False) from None


def _transfer(answer: Any) -> TransferObject:
    try:
        return read_transfer_object(str(answer).encode())
    except PayloadError as error:
        raise GatewayError(str(error), transient=False) from None


def _endpoint(answer: Any) -> EndpointObject:
    try:
        return read_endpoint(str(answer).encode())
    except PayloadError as error:
        raise GatewayError(str(error), transient=False) from None


def _listing(window: Window, after: str | None) -> Any:
    wanted: dict[str, Any] = {"limit": PAGE, "created": {"gte": window.since_s, "lte": window.until_s}}
    return wanted | ({"starting_after": after} if after else {})


def _after(page: Any) -> str | None:
    return page.data[-1].id if page.has_more and page.data else None
