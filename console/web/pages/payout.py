"""One payout: its whole history, now or as it was known at a time, and what may be done about it."""

from starlette.responses import Response

from console.history import known_at, story, stripe_status, waits, warnings
from console.web.call import Call
from console.web.diagram import Drawing, draw_payout, draw_request
from console.web.listing import time_asked
from console.web.payout_deeds import DEEDS, press
from console.web.payout_story import GROUPS, booked, counts_of, lines_of, through
from console.web.payout_verbs import Case
from console.web.verb import Verb
from payouts.clock import iso
from payouts.errors import RefusedError
from payouts.failures import classify
from payouts.history import Rows
from payouts.people import Scope
from payouts.states import EventStatus
from payouts.storage.history_queries import find, read_rows
from payouts.storage.request_rows import busy_requests
from payouts.timeline import timeline

MS_DIGITS = 13
"""Of a time in ms: what has as many is one."""


def one(call: Call) -> Response:
    """All that is kept about one payout."""
    key, at_ms, group = call.path("key"), _at(call), call.asked("show")
    if group is not None and group not in GROUPS:
        raise RefusedError("bad_filter", f"show takes one of {', '.join(GROUPS)}, not {group[:40]!r}")
    call.connection.rollback()  # what is read from here on is of one moment
    latest = read_rows(call.connection, find(call.connection, key))
    rows = latest if at_ms is None else known_at(call.connection, latest, key, at_ms)
    happened = timeline(rows)
    return call.page(
        "payout.html",
        title=_title(rows),
        data=story(rows, at_ms),
        rows=rows,
        request=rows.request,
        partner=rows.partner,
        at_ms=at_ms,
        wait=waits(rows),
        missing=list(warnings(rows)),
        dead=[row for row in latest.events if row["status"] == EventStatus.DEAD] if at_ms is None else [],
        verbs=_verbs(call, rows) if at_ms is None else [],
        through=through(timeline(latest), at_ms),
        drawings=_drawings(rows),
        lines=lines_of(happened, group),
        counts=counts_of(happened),
        booked=booked(rows),
        failures={row["id"]: classify(row["failure_code"]) for row in rows.payouts if row["failure_code"]},
        stripe_status=stripe_status,
    )


def _verbs(call: Call, rows: Rows) -> list[Verb]:
    request = rows.request
    if request is None:
        return []
    busy = busy_requests(call.connection, [request.partner_id]).get(request.partner_id, set())
    case = Case(
        request,
        rows.partner,
        rows.holds,
        seen=rows.request_moves[-1]["id"] if rows.request_moves else None,
        actor=call.actor.name,
        at_ms=call.now_ms,
        rules=call.parts.gate_rules,
        legs=rows.legs,
        attempts=rows.attempts,
        partner_is_busy=bool(busy - {request.id}),
    )
    return case.verbs()


def _drawings(rows: Rows) -> list[tuple[str, Drawing]]:
    """A drawing of the request, and one of each payout at Stripe, each with its heading."""
    made = []
    if rows.request is not None:
        made.append(("The request", draw_request(rows.request_moves, rows.request.status)))
    for row in rows.payouts:
        moves = [move for move in rows.payout_moves if move["payout_id"] == row["id"]]
        made.append((f"{row['stripe_id'] or 'The payout'} at Stripe", draw_payout(moves, row["status"])))
    return made


def _at(call: Call) -> int | None:
    """The time that the address asks for: in ms, or as people write it."""
    text = call.asked("at")
    if text is not None and text.isascii() and text.isdigit() and len(text) == MS_DIGITS:
        at_ms: int | None = int(text)
    else:
        at_ms = time_asked(call, "at")
    if at_ms is not None and at_ms > call.now_ms:
        raise RefusedError("bad_time", f"{iso(at_ms)} is yet to come")
    return at_ms


def _title(rows: Rows) -> str:
    if rows.request is not None:
        return rows.request.public_id
    return str(rows.payouts[0]["stripe_id"])


ROUTES = (
    ("GET", "/payouts/{key}", one, Scope.READ),
    *(("POST", f"/payouts/{{key}}/{name}", press(name), deed.scope) for name, deed in DEEDS.items()),
)
