"""Notices: what others are told, and sending again what nobody took. And the runs that ask for payouts."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from console.web.call import Call
from console.web.listing import listed
from console.web.verb import Verb
from console.web.window import windowed
from payouts.due_days import Schedule
from payouts.errors import NotFoundError, PayloadError
from payouts.letters.letter import letter_of
from payouts.letters.rendering import House, Mail, Renderer
from payouts.notices import Notice, NoticeStatus
from payouts.people import Scope
from payouts.retelling import tell_again
from payouts.storage.batch_rows import batch_list
from payouts.storage.notice_queries import notice, notice_floor, notice_list
from payouts.storage.partner_rows import find_partner

AT = "/operations/notices"


def notices(call: Call) -> Response:
    """Notices, newest first, with how far each channel is."""
    # Few are not delivered, and an index of the status leads to them. Of a name there may be very many.
    few = call.asked("status") not in (None, NoticeStatus.DELIVERED)
    narrow = not few and (call.asked("name") or call.asked("status")) is not None
    equal = {"status": "status", "name": "name", "account": "account"}
    made = windowed(call, notice_list, notice_floor, equal, narrow=narrow)
    return call.page(
        "notices.html",
        title="Notices",
        data=list(made.page.rows),
        window=made,
        page=made.page,
        statuses=list(NoticeStatus),
    )


def one_notice(call: Call) -> Response:
    """One notice: what it says, and what each channel made of it."""
    found = notice(call.connection, _id(call))
    if found is None:
        raise NotFoundError(f"there is no notice {call.path('notice_id')[:40]}")
    body = json.loads(found["body"])
    again = Verb(
        "Send again",
        "Sends it again by every channel that gave up on it. Those that took it are not told twice.",
        f"{AT}/{found['id']}/again",
        why_not=None if found["status"] == NoticeStatus.DEAD else "only where a channel gave up on it",
    )
    letter = _letter(call, found)
    shown = {"to": letter.to, "subject": letter.subject, "text": letter.text} if letter else None
    return call.page(
        "notice.html",
        title=found["name"],
        data={**found, "body": body, "letter": shown},
        notice=found,
        letter=letter,
        body=body,
        again=again,
    )


def _letter(call: Call, found: Mapping[str, Any]) -> Mail | None:
    """The e-mail that the notice makes, as it would be written now."""
    columns = ("id", "account", "name", "payout_id", "request_id", "body", "created_at_ms")
    settings = call.parts.settings
    try:
        letter = letter_of(Notice(*(found[name] for name in columns)))
        partner = find_partner(call.connection, found["account"]) if letter else None
        if letter is None or partner is None:
            return None
        return Renderer(House(settings.portal_name, settings.portal_url)).render(letter, partner, "")
    except PayloadError:
        return None  # its delivery says why


def again(call: Call) -> Response:
    """Send a dead notice again."""
    notice_id = _id(call)
    done = call.do(
        lambda connection, actor, make_id, at_ms: tell_again(
            connection, notice_id, None, actor, call.reason, make_id, at_ms
        )
    )
    return call.back(f"{AT}/{notice_id}", f"it is sent again by {', '.join(one.channel for one in done)}")


def schedules(call: Call) -> Response:
    """Runs that asked for payouts by themselves, newest first."""
    page = listed(call, batch_list, {"schedule": "schedule"})
    return call.page(
        "schedules.html",
        title="Scheduled runs",
        data=list(page.rows),
        page=page,
        schedules=list(Schedule),
    )


def _id(call: Call) -> int:
    text = call.path("notice_id")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise NotFoundError(f"there is no notice {text[:40]}")
    return int(text)


ROUTES = (
    ("GET", AT, notices, Scope.READ),
    ("GET", f"{AT}/{{notice_id}}", one_notice, Scope.READ),
    ("POST", f"{AT}/{{notice_id}}/again", again, Scope.OPERATE),
    ("GET", "/operations/schedules", schedules, Scope.READ),
)
