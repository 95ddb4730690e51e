"""The pages, a module each: its routes, and functions of a `Call` that answer them."""

from console.web.pages import (
    approvals,
    audit,
    completeness,
    dead,
    events,
    find,
    ledger,
    me,
    new_payout,
    overview,
    partners,
    payout,
    payouts,
    people,
    reconciliation,
    replays,
)

PAGES = (
    overview.ROUTES,
    events.ROUTES,
    dead.ROUTES,
    replays.ROUTES,
    find.ROUTES,
    me.ROUTES,
    audit.ROUTES,
    people.ROUTES,
    payouts.ROUTES,
    new_payout.ROUTES,
    payout.ROUTES,
    approvals.ROUTES,
    partners.ROUTES,
    ledger.ROUTES,
    reconciliation.ROUTES,
    completeness.ROUTES,
)
