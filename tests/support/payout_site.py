"""A console beside payouts that live their lives in this process."""

import dataclasses
from typing import Any

import redis

from console.web.app import make_app
from payouts import mending
from payouts.holding import hold_request
from payouts.limiting import LimitKey, set_limit
from payouts.limits import LimitKind
from payouts.states import RequestStatus
from tests.support.site import Site, Visit, hidden_fields
from tests.support.story import ANNA, Story
from workers.messages import Messages


class PayoutSite:
    """`story`: what happens to payouts, asked for by anna; `site`: the console on the same database."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.story = Story(url)
        self.site = Site(url, **{"bank_account_approval": False, "bank_cooling_off_hours": 0, **settings})

    def close(self) -> None:
        self.story.engine.dispose()
        self.site.close()

    def queue_in(self, client: redis.Redis) -> None:
        """Hints go to a real Redis: the one that is not real runs no scripts. Before anybody signs in."""
        messages = Messages(client, self.site.parts.settings.queue_namespace)
        self.site.parts = dataclasses.replace(self.site.parts, messages=messages)
        self.site.app = make_app(self.site.parts)

    def threshold(self, amount_minor: int = 10_000) -> None:
        """From this amount on a second person approves."""
        story = self.story
        with story.happens() as connection:
            key = LimitKey(LimitKind.APPROVAL, "eur", None)
            set_limit(connection, key, amount_minor, 0, ANNA, story.make_id, story.clock(), "four eyes")

    def waiting(self, amount_minor: int = 12_050, **wish: Any) -> int:
        """A payout that waits for approval."""
        self.threshold()
        return self.story.ask(amount_minor, **wish)

    def queued(self, **wish: Any) -> int:
        return self.story.ask(**wish)

    def held(self) -> int:
        request_id = self.story.ask()
        self.story.do(hold_request, request_id, "checking the invoice")
        return request_id

    def paid(self, **wish: Any) -> int:
        request_id = self.story.ask(**wish)
        self.story.send(request_id)
        self.story.event("evt_1", "po_1", "paid")
        return request_id

    def returned(self) -> int:
        """One that the bank sent back."""
        request_id = self.paid()
        self.story.event("evt_2", "po_1", "failed", failure_code="account_closed")
        return request_id

    def returned_again(self, request_id: int) -> None:
        """Somebody sends it once more, and it comes back once more."""
        self.story.do(mending.retry, request_id, "a new bank account")
        self.story.send(request_id)
        self.story.event("evt_3", "po_2", "failed", failure_code="account_closed")

    def unclear(self) -> int:
        """One of which nobody knows whether Stripe has it, asked for by anna."""
        request = RequestStatus.UNCLEAR
        return self.story.request(self.story.nord, 12_050, status=request, requested_by=ANNA.name)

    def status(self, request_id: int) -> str:
        return self.story.status(request_id)

    def moves(self, request_id: int) -> list[str]:
        """The states that a payout went through."""
        return [row["to_status"] for row in self.story.rows(request_id).request_moves]


def forced(visit: Visit, action: str, **fields: str) -> Any:
    """Send a form that the page does not offer, with the token of one that it does."""
    token = hidden_fields(visit.get("/me"), "/sign-out")
    return visit.client.post(action, data={**token, **fields})


def pressed(visit: Visit, page: str, action: str) -> dict[str, str]:
    """What the form of `page` carries now: sent later, it is a stale one."""
    return hidden_fields(visit.get(page), action)
