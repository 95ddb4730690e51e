"""The pages, a module each: its routes, and functions of a `Call` that answer them."""

from console.web.pages import events, find, me, overview, partners

PAGES = (
    overview.ROUTES,
    events.ROUTES,
    find.ROUTES,
    me.ROUTES,
    partners.ROUTES,
)
