"""The pages, a module each: its routes, and functions of a `Call` that answer them."""

from console.web.pages import (
    audit,
    completeness,
    events,
    find,
    ledger,
    me,
    overview,
    partners,
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
    partners.ROUTES,
    ledger.ROUTES,
    reconciliation.ROUTES,
    completeness.ROUTES,
)
