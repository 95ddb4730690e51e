"""The pages, a module each: its routes, and functions of a `Call` that answer them."""

from console.web.pages import audit, events, find, me, overview, people

PAGES = (
    overview.ROUTES,
    events.ROUTES,
    find.ROUTES,
    me.ROUTES,
    audit.ROUTES,
    people.ROUTES,
)
