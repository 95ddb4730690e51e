"""What goes wrong in the scenes of the runbook, whatever the service runs on."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import httpx

from tests.support.lives import event_body, payout_object
from tests.support.payments import Payments
from tests.support.stack import Stack, signature

READS_PER_MINUTE = 20
"""What the service allows a token: little enough to be met."""


class Incidents(ABC):
    """The scenes by the names that the page calls them by. They begin with an incident, and some end one
    where that is nobody's work: a database that comes back."""

    def __init__(self, stack: Stack, payments: Payments, token: str, api: str) -> None:
        """`token`: an admin's. `api`: its address."""
        self.stack, self.payments, self.token, self.api = stack, payments, token, api

    @property
    def scenes(self) -> dict[str, Callable[[], object]]:
        return {
            "the database dies": self.database_dies,
            "events come": self.events_come,
            "the database is back": self.database_is_back,
            "somebody calls too often": self.too_many_calls,
            "an event dies": self.an_event_dies,
            "a payout is requested while everything is stopped": self.a_payout_waits,
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

    def events_come(self) -> None:
        bodies = [
            event_body(f"evt_while_{number}", "created", payout_object(f"po_while_{number}", "pending"))
            for number in range(3)
        ]
        self.deliver(*bodies)

    def too_many_calls(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=self.api, headers=headers, timeout=20) as portal:
            statuses = [portal.get("/api/v1/payouts").status_code for _ in range(READS_PER_MINUTE + 5)]
        assert 429 in statuses

    def an_event_dies(self) -> None:
        payout = payout_object("po_practice", "paid", statement_descriptor="PRACTICE")
        self.deliver(event_body("evt_practice", "paid", payout))

    def a_payout_waits(self) -> None:
        self.types("stop", "--reason", "somebody was worried")
        self.payments.ask_for(1)

    def deliver(self, *bodies: bytes) -> None:
        """As Stripe would from its Connect endpoint; each must be taken."""
        secret = self.stack.env["STRIPE_CONNECT_WEBHOOK_SECRET"]
        for body in bodies:
            assert self.stack.post(body, **{"Stripe-Signature": signature(body, secret)}).status_code == 200
