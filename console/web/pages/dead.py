"""Dead letters: what failed, by the cause of its failure."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from console.deciding import decide
from console.web.call import Call
from console.web.counted import counted
from console.web.listing import listed
from console.web.verb import Verb
from payouts.dismissing import dismiss, restore
from payouts.errors import NotFoundError
from payouts.people import Scope
from payouts.replay import Selection
from payouts.states import FAILED_EVENT_STATUSES, EventStatus
from payouts.storage.dead_queries import failure_list, group, groups

GROUPS_MOST = 200
MANY = 5_000
"""Of a cause with so many events a page finds enough among those of an account, a type or a status."""


def causes(call: Call) -> Response:
    """Causes of the events that stand failed now: those with the most dead ones first."""
    found = groups(call.connection)
    return call.page(
        "dead.html",
        title="Dead letters",
        data=found,
        groups=found[:GROUPS_MOST],
        left_out=len(found) - GROUPS_MOST,
    )


def cause(call: Call) -> Response:
    """One cause: what it is, its newest attempt, and its events."""
    found = _cause(call)
    fingerprint = found["fingerprint"]
    by = None
    if sum(found[status] for status in FAILED_EVENT_STATUSES) > MANY:
        by = next((name for name in ("account", "type", "status") if call.asked(name)), None)

    def members(connection: Any, filters: Any, limit: int) -> list[dict[str, Any]]:
        narrowed = {**filters.equal, "fingerprint": fingerprint}
        wanted = type(filters)(narrowed, filters.since_id, filters.before_id)
        return failure_list(connection, wanted, limit, by=by)

    page = listed(call, members, {"status": "status", "type": "type", "account": "account"})
    return call.page(
        "dead_cause.html",
        title=f"{found['error_class']}",
        data={**found, "events": list(page.rows)},
        cause=found,
        page=page,
        statuses=list(FAILED_EVENT_STATUSES),
        verbs=_verbs(found),
    )


def ignore(call: Call) -> Response:
    """Ignore all dead events of a cause."""
    fingerprint = _cause(call)["fingerprint"]
    wanted = Selection(fingerprint=fingerprint, status=EventStatus.DEAD)
    done = decide(call.parts.engine, call.do, wanted, dismiss, call.reason)
    return call.back(
        f"/dead/{fingerprint}", f"{counted(done, 'event is', 'events are')} ignored, and can be restored"
    )


def take_up(call: Call) -> Response:
    """Take back that they were ignored."""
    fingerprint = _cause(call)["fingerprint"]
    wanted = Selection(fingerprint=fingerprint, status=EventStatus.DISMISSED)
    done = decide(call.parts.engine, call.do, wanted, restore, call.reason)
    return call.back(
        f"/dead/{fingerprint}", f"{counted(done, 'event is', 'events are')} dead again, to be decided on"
    )


def _cause(call: Call) -> Mapping[str, Any]:
    found = group(call.connection, call.path("fingerprint"))
    if found is None:
        raise NotFoundError(f"there is no cause {call.path('fingerprint')[:40]}")
    return found


def _verbs(found: Mapping[str, Any]) -> list[Verb]:
    at, verbs = f"/dead/{found['fingerprint']}", []
    if found[EventStatus.DEAD]:
        says = (
            f"Ignores {counted(found[EventStatus.DEAD], 'dead event')} of this cause: nothing more is done "
            "about it. What is ignored stays, and can be restored or replayed."
        )
        verbs.append(Verb("Ignore all of these", says, f"{at}/ignore", danger=True))
    if found[EventStatus.DISMISSED]:
        says = f"Makes {counted(found[EventStatus.DISMISSED], 'ignored event')} of this cause dead again."
        verbs.append(Verb("Restore", says, f"{at}/restore"))
    return verbs


ROUTES = (
    ("GET", "/dead", causes, Scope.READ),
    ("GET", "/dead/{fingerprint}", cause, Scope.READ),
    ("POST", "/dead/{fingerprint}/ignore", ignore, Scope.OPERATE),
    ("POST", "/dead/{fingerprint}/restore", take_up, Scope.OPERATE),
)
