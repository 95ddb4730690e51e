"""Events: what Stripe sent, and what came of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from console.deciding import decide
from console.web.call import Call
from console.web.verb import Verb
from console.web.window import windowed
from payouts.dismissing import dismiss, restore
from payouts.errors import NotFoundError, PayloadUnavailableError
from payouts.people import Scope
from payouts.reasons import check_reason
from payouts.redaction import redact_payload
from payouts.replay import Selection
from payouts.sealing import SEALED, archive_file_of
from payouts.states import EventStatus
from payouts.storage import audit_rows
from payouts.storage.dead_queries import causes
from payouts.storage.event_queries import event, events, reach
from payouts.storage.queries import Filters

LINES_MOST = 5_000


def event_list(call: Call) -> Response:
    """The inbox, newest first."""
    equal = {"status": "status", "type": "type", "account": "account", "object": "object_id"}
    error, by = call.asked("error"), list[str | None]()

    def floor(connection: Connection, filters: Filters, most: int) -> int | None:
        column, lowest = reach(connection, filters, most)
        by.append(column)
        return lowest

    def fetch(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
        return events(connection, filters, limit, error, by[0] if by else None)

    made = windowed(call, fetch, floor, equal, narrow=error is None, also=("error",))
    return call.page(
        "events.html",
        title="Events",
        data=list(made.page.rows),
        window=made,
        page=made.page,
        statuses=list(EventStatus),
        looked_through=f"events with this {by[0]}" if by else "events",
    )


def one_event(call: Call) -> Response:
    """All that is kept about one event."""
    return _shown(call, _event(call), unredacted=False)


def unredacted(call: Call) -> Response:
    """The same with all that Stripe sent. It is on record before it is shown."""
    found, reason = _event(call), check_reason(call.reason)
    call.do(
        lambda connection, actor, make_id, at_ms: audit_rows.append(
            *(connection, make_id, at_ms),
            actor=actor.name,
            action="event.unredacted",
            subject=f"event:{found['event_id']}",
            account=found["account"],
            reason=reason,
        )
    )
    return _shown(call, found, unredacted=True)


def redacted_again(call: Call) -> Response:
    """Whoever loads the unredacted page again has said no reason: the event's own page."""
    return RedirectResponse(f"/events/{quote(call.path('key'), safe='')}", 303)


def ignore(call: Call) -> Response:
    """Ignore a dead event."""
    event_id = _event(call)["event_id"]
    wanted = Selection(events=(event_id,), status=EventStatus.DEAD)
    decide(call.parts.engine, call.do, wanted, dismiss, call.reason)
    return call.back(f"/events/{event_id}", f"{event_id} is ignored; it stays, and can be restored")


def take_up(call: Call) -> Response:
    """Take back that an event was ignored."""
    event_id = _event(call)["event_id"]
    wanted = Selection(events=(event_id,), status=EventStatus.DISMISSED)
    decide(call.parts.engine, call.do, wanted, restore, call.reason)
    return call.back(f"/events/{event_id}", f"{event_id} is dead again, and waits for a decision")


def _event(call: Call) -> dict[str, Any]:
    found = event(call.connection, call.path("key"))
    if found is None:
        raise NotFoundError(
            f"there is no event {call.path('key')[:80]}: what Stripe has, and never arrived, is fetched by "
            "Catch up, under Completeness"
        )
    return found


def _shown(call: Call, found: Mapping[str, Any], *, unredacted: bool) -> Response:
    stored: bytes = found["payload"]
    payload, missing = _payload(call, found["id"], stored, unredacted=unredacted)
    shown = {name: value for name, value in found.items() if name != "payload"}
    attempts = shown["failed_attempts"]
    return call.page(
        "event.html",
        title=found["event_id"],
        data={**shown, "payload_kept": _kept(stored), "payload": payload, "payload_missing": missing},
        event=shown,
        newest=attempts[-1] if attempts else None,
        place=_place(call, attempts),
        kept=_kept(stored),
        lines=[] if payload is None else _pretty(payload).splitlines()[:LINES_MOST],
        missing=missing,
        unredacted=unredacted,
        has_page=(found["object_id"] or "").startswith(("po_", "tr_")),
        verbs=_verbs(found),
        show_all=Verb(
            "Show all of it",
            "Shows what Stripe says of people and banks too. That you looked stays on record.",
            f"/events/{found['event_id']}/unredacted",
            Scope.ADMIN,
        ),
    )


def _payload(call: Call, inbox_id: int, stored: bytes, *, unredacted: bool) -> tuple[str | None, str | None]:
    try:
        opened = call.parts.payloads.open(call.connection, inbox_id, stored)
    except PayloadUnavailableError as error:
        return None, str(error)  # all else of the event can still be shown
    return (opened.decode("utf-8", "replace") if unredacted else redact_payload(opened)), None


def _place(call: Call, attempts: Sequence[Mapping[str, Any]]) -> str | None:
    """Where the newest attempt failed: module and function."""
    fingerprint = attempts[-1]["fingerprint"] if attempts else None
    found = causes(call.connection, [fingerprint]) if fingerprint else {}
    return found[fingerprint]["place"] if fingerprint in found else None


def _kept(stored: bytes) -> str:
    if archive_file_of(stored) is not None:
        return "in the archive"
    return "sealed" if stored[:2] == SEALED else "as it came"


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _verbs(found: Mapping[str, Any]) -> list[Verb]:
    at = f"/events/{found['event_id']}"
    if found["status"] == EventStatus.DEAD:
        says = "Ignores this event: nothing more is done about it. It stays, and can be restored or replayed."
        return [Verb("Ignore", says, f"{at}/ignore", danger=True)]
    if found["status"] == EventStatus.DISMISSED:
        return [Verb("Restore", "Makes this event dead again: it waits for a decision.", f"{at}/restore")]
    return []


ROUTES = (
    ("GET", "/events", event_list, Scope.READ),
    ("GET", "/events/{key}", one_event, Scope.READ),
    ("GET", "/events/{key}/unredacted", redacted_again, Scope.READ),
    ("POST", "/events/{key}/unredacted", unredacted, Scope.ADMIN),
    ("POST", "/events/{key}/ignore", ignore, Scope.OPERATE),
    ("POST", "/events/{key}/restore", take_up, Scope.OPERATE),
)
