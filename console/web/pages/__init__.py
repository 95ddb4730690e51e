"""The pages, a module each: its routes, and functions of a `Call` that answer them."""

from console.web.pages import approvals, events, find, me, new_payout, overview, payout, payouts

PAGES = (
    overview.ROUTES,
    events.ROUTES,
    find.ROUTES,
    me.ROUTES,
    payouts.ROUTES,
    new_payout.ROUTES,
    payout.ROUTES,
    approvals.ROUTES,
)
