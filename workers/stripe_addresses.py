"""The list of addresses that Stripe publishes is read now and then, beside the scheduler's other work."""

import threading
from collections.abc import Callable

from sqlalchemy import Engine

from payouts.addresses import Networks
from payouts.clock import Clock
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.storage.guard_rows import keep_addresses, newest_addresses
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction
from payouts.stripe_addresses import SNAPSHOT, ask_list, read_list


class StripeAddresses:
    """Reads the list at `url`. Any number may run: they keep the same."""

    def __init__(
        self,
        engine: Engine,
        url: str,
        make_id: IdMaker,
        clock: Clock,
        ask: Callable[[str], bytes] = ask_list,
    ) -> None:
        self._engine, self._url, self._make_id, self._clock = engine, url, make_id, clock
        self._ask = ask
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read it on a thread of its own: a network that is away must not hold up the scheduler."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self.refresh, name="stripe-addresses", daemon=True)
            self._thread.start()

    def refresh(self) -> bool:
        """Read the list and keep it; whether that was done. What is known stays where it cannot be read, or
        is no list that Stripe would publish."""
        log = get_logger()
        try:
            found = read_list(self._ask(self._url), self._known())
            read_at_ms = self._clock()
            in_transaction(
                self._engine,
                lambda connection: keep_addresses(connection, self._make_id(), found, read_at_ms),
            )
        except Exception as error:  # noqa: BLE001 - the next turn tries again; what is known stays
            said = {"error": str(error)[:300], "error_class": type(error).__name__, "url": self._url}
            log.warning("stripe_addresses.not_read", **said, next="asked again after its interval")
            return False
        log.info("stripe_addresses.read", addresses=len(found))
        return True

    def _known(self) -> Networks:
        with reading(self._engine) as connection:
            published = newest_addresses(connection)
        return published[0] if published else SNAPSHOT
