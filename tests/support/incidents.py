"""What goes wrong in the scenes of the runbook, whatever the service runs on."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import sqlalchemy as sa

from tests.support.lives import event_body, payout_object
from tests.support.payments import Payments
from tests.support.refusing import RefusingPortal
from tests.support.servers import wait_until
from tests.support.stack import Stack, signature

READS_PER_MINUTE = 20
"""What the service allows a token: little enough to be met."""
NEW_SECRET = "whsec_new_tests_only"
"""What Stripe signs with once the secret is rolled."""
HOURS_MS = 3_600_000


class Incidents(ABC):
    """The scenes by the names that the page calls them by. They begin with an incident, and some end one
    where that is nobody's work: a database that comes back."""

    def __init__(
        self, stack: Stack, payments: Payments, portal: RefusingPortal, secret: str, token: str, api: str
    ) -> None:
        """`portal`: whom the service tells. `secret`: of the Connect endpoint. `token`: an admin's. `api`:
        its address."""
        self.stack, self.payments, self.portal = stack, payments, portal
        self.secret, self.token, self.api = secret, token, api

    def begin(self) -> None:
        """Two payouts are paid, and the books know what the platform has."""
        self.types("ledger", "fund", "1000000.00", "eur", "--reference", "the beginning")
        self.payments.ask_for(2)
        wait_until("two payouts are paid", lambda: self.payments.states() == {"paid": 2})

    @property
    def scenes(self) -> dict[str, Callable[[], object]]:
        return {
            "the API answers with errors": self.api_errors,
            "the database hangs for some seconds": self.database_hangs_for_seconds,
            "the database dies": self.database_dies,
            "events come": self.events_come,
            "the database is back": self.database_is_back,
            "somebody calls too often": self.too_many_calls,
            "the token of the portal is revoked": self.token_is_revoked,
            "the signing secret is rolled at Stripe": self.secret_is_rolled,
            "Stripe sends again": self.stripe_sends_again,
            "the endpoint is disabled at Stripe, and a payout is made there": self.endpoint_is_disabled,
            "the endpoint is enabled again": self.endpoint_is_enabled,
            "an event dies": self.an_event_dies,
            "a payout is requested while everything is stopped": self.a_payout_waits,
            "the portal refuses what it is told": self.portal_refuses,
            "the portal is well again": self.portal.take,
            "somebody fills up the balance at Stripe and notes it nowhere": self.balance_is_filled_up,
            "somebody changes a posting by hand": lambda: self.change_a_posting(by=1),
            "the posting is restored": lambda: self.change_a_posting(by=-1),
            "the workers are gone": self.workers_are_gone,
            "elsewhere somebody starts the workers": self.workers_are_started,
            "emergency mode is forgotten": self.emergency_is_forgotten,
        }

    @abstractmethod
    def types(self, *words: str) -> str:
        """What a command says that the admin types; it must succeed."""

    @abstractmethod
    def database_dies(self) -> None:
        """At once, and stays away."""

    @abstractmethod
    def database_is_back(self) -> None:
        """And answers."""

    @abstractmethod
    def database_hangs(self) -> None:
        """Its connections stay, and it answers nothing."""

    @abstractmethod
    def database_goes_on(self) -> None:
        """After it hung."""

    @abstractmethod
    def workers_are_gone(self) -> None:
        """All of them, at once, and nobody starts them again."""

    @abstractmethod
    def workers_are_started(self) -> None:
        """Where the page's own command for containers does not do it."""

    @abstractmethod
    def redis(self, *words: str) -> str:
        """A command of Redis's, and its answer."""

    def api_errors(self) -> None:
        self.database_dies()
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=self.api, headers=headers, timeout=40) as portal:
            for _ in range(8):
                assert portal.get("/api/v1/payouts").status_code == 503
                time.sleep(0.5)  # over several looks of whoever counts
        self.database_is_back()

    def database_hangs_for_seconds(self) -> None:
        bodies = [
            event_body(f"evt_hangs_{number}", "created", _payout(f"po_hangs_{number}", "pending"))
            for number in range(8)
        ]
        self.database_hangs()
        with ThreadPoolExecutor(len(bodies)) as pool:
            statuses = list(pool.map(self.post, bodies))
        self.database_goes_on()
        assert set(statuses) <= {200, 503}
        self.deliver(*bodies)

    def events_come(self) -> None:
        bodies = [
            event_body(f"evt_while_{number}", "created", _payout(f"po_while_{number}", "pending"))
            for number in range(3)
        ]
        self.deliver(*bodies)

    def too_many_calls(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=self.api, headers=headers, timeout=20) as portal:
            statuses = [portal.get("/api/v1/payouts").status_code for _ in range(READS_PER_MINUTE + 5)]
        assert 429 in statuses

    def an_event_dies(self) -> None:
        payout = _payout("po_practice", "paid", statement_descriptor="PRACTICE")
        self.deliver(event_body("evt_practice", "paid", payout))

    def a_payout_waits(self) -> None:
        self.types("stop", "--reason", "somebody was worried")
        self.payments.ask_for(1)

    def token_is_revoked(self) -> None:
        token = self.types("token", "create", "portal", "--program", "--scopes", "read").split()[-1]
        [made] = [row for row in self._rows("token", "list") if row["name"] == "portal"]
        self.types("token", "revoke", str(made["id"]), "--reason", "it was in a log")
        headers = {"Authorization": f"Bearer {token}"}
        for _ in range(8):
            assert httpx.get(f"{self.api}/api/v1/payouts", headers=headers, timeout=20).status_code == 401
            time.sleep(0.5)  # over several looks of whoever counts

    def secret_is_rolled(self, **headers: str) -> None:
        self.secret = NEW_SECRET
        for _ in range(4):
            assert {self.post(self._rolled(), **headers) for _ in range(3)} == {400}
            time.sleep(0.5)  # over several looks of whoever counts

    def stripe_sends_again(self) -> None:
        # Several in a row: each process looks at the file by itself.
        wait_until(
            "the new secret is taken",
            lambda: {self.post(self._rolled()) for _ in range(8)} == {200},
            30,
            every_s=0.2,
        )

    def _rolled(self) -> bytes:
        return event_body("evt_rolled", "created", _payout("po_rolled", "pending"))

    def endpoint_is_disabled(self) -> None:
        self._set_endpoints(disabled=True)
        account = self.payments.partners[0].account
        self.payments.sandbox.top_up(1_200, "eur", account=account)
        self.payments.sandbox.automatic_payout(account, 1_200, "eur")

    def endpoint_is_enabled(self) -> None:
        self._set_endpoints(disabled=False)

    def _set_endpoints(self, *, disabled: bool) -> None:
        endpoints = self.payments.sandbox.client().v1.webhook_endpoints
        for endpoint in endpoints.list().data:
            endpoints.update(endpoint.id, {"disabled": disabled})

    def portal_refuses(self) -> None:
        self.portal.refuse()
        self.payments.ask_for(1)

    def balance_is_filled_up(self) -> None:
        self.payments.sandbox.top_up(500_000, "eur")

    def change_a_posting(self, by: int) -> None:
        """The oldest one."""
        with self.stack.engine.begin() as connection:
            found = connection.scalar(sa.text("SELECT MIN(id) FROM postings"))
            change = "UPDATE postings SET amount_minor = amount_minor + :by WHERE id = :id"
            connection.execute(sa.text(change), {"by": by, "id": found})

    def emergency_is_forgotten(self) -> None:
        self.types("emergency", "on", "--reason", "a drill")
        switched = json.loads(self.redis("GET", "payouts:emergency"))
        switched["since_ms"] -= 3 * HOURS_MS
        self.redis("SET", "payouts:emergency", json.dumps(switched))

    def _rows(self, *words: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.types(*words, "--json").splitlines()]

    def post(self, body: bytes, **headers: str) -> int:
        """Deliver as Stripe would from its Connect endpoint; the status of the answer."""
        headers = {"Stripe-Signature": signature(body, self.secret), **headers}
        return self.stack.post(body, **headers).status_code

    def deliver(self, *bodies: bytes) -> None:
        """Deliver each, which must be taken."""
        for body in bodies:
            assert self.post(body) == 200


def _payout(payout_id: str, status: str, **more: str) -> dict[str, Any]:
    """One that is to arrive tomorrow, so that nothing is overdue."""
    return payout_object(payout_id, status, arrival_date=int(time.time()) + 86_400, **more)
