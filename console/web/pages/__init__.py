"""The pages, a module each: its routes, and functions of a `Call` that answer them."""

from console.web.pages import (
    approvals,
    audit,
    completeness,
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
)

PAGES = (
    overview.ROUTES,
    events.ROUTES,
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
