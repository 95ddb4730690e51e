"""Payouts: what was requested, and what Stripe has."""

import dataclasses
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from console.web.call import Call
from console.web.listing import Listing, listed
from payouts.errors import NotFoundError
from payouts.holds import WAITS_FOR
from payouts.people import Scope
from payouts.readiness import NOT_APPROVED
from payouts.registering import the_partner
from payouts.states import PayoutStatus, RequestStatus
from payouts.storage.queries import Filters, payout_list
from payouts.storage.request_queries import request_list
from payouts.storage.request_rows import ACCOUNT_BALANCE, PARTNER_BUSY, PARTNER_STOPS, PLATFORM_BALANCE
from payouts.waiting import wait_in_list

WAITS = (
    *dict.fromkeys(WAITS_FOR.values()),
    *(NOT_APPROVED, *PARTNER_STOPS, PARTNER_BUSY, PLATFORM_BALANCE, ACCOUNT_BALANCE),
    *("unclear", "error"),
)
"""What a request can say that it waits for; others can be asked for in the address."""


def requested(call: Call) -> Response:
    """Requested payouts, newest first."""
    page = _requests(call)
    waits = WAITS if (asked := call.asked("waits_for")) in (None, *WAITS) else (*WAITS, asked)
    return call.page(
        "payouts.html",
        title="Payouts",
        data=list(page.rows),
        page=page,
        statuses=list(RequestStatus),
        waits=waits,
        wait_in_list=wait_in_list,
    )


def at_stripe(call: Call) -> Response:
    """Stripe's payout objects, foreign ones too, newest first."""
    page = listed(call, payout_list, {"status": "status", "account": "account"})
    return call.page(
        "payouts_at_stripe.html",
        title="Payouts at Stripe",
        data=list(page.rows),
        page=page,
        statuses=list(PayoutStatus),
    )


def _requests(call: Call) -> Listing:
    equal = {"status": "status", "waits_for": "blocked", "reference": "reference"}
    partner = call.asked("partner")
    if partner is None:
        return listed(call, request_list, equal)
    try:
        partner_id = the_partner(call.connection, partner).id
    except NotFoundError:
        return Listing((), None, None, is_filtered=True)

    def of_partner(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
        # By its row id, which has an index together with the state.
        narrowed = dataclasses.replace(filters, equal={**filters.equal, "partner_id": partner_id})
        return request_list(connection, narrowed, limit)

    return listed(call, of_partner, equal, also=("partner",))


ROUTES = (
    ("GET", "/payouts", requested, Scope.READ),
    ("GET", "/payouts/at-stripe", at_stripe, Scope.READ),
)
