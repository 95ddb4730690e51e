"""Doing something about a payout from a page: the functions of the commands, once, on what was seen."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.responses import Response

from console.request_commands import request_row
from console.web.call import Call, local_path
from console.web.frame import Handler
from payouts import mending
from payouts.approving import approve, reject
from payouts.canceling import cancel
from payouts.errors import RefusedError
from payouts.holding import hold_request, release_request
from payouts.ids import IdMaker
from payouts.money import format_money
from payouts.people import Actor, Scope
from payouts.request import PayoutRequest, no_request, row_id_of
from payouts.seen import check_seen

Function = Callable[[Connection, int, Actor, str, IdMaker, int], PayoutRequest]


@dataclass(frozen=True, slots=True)
class Deed:
    """`said`: what is told once it is done, behind the payout's name and amount."""

    function: Function
    said: str
    scope: Scope = Scope.OPERATE
    wakes: bool = True
    """A worker has something to do then."""


DEEDS: dict[str, Deed] = {
    "approve": Deed(approve, "is approved and goes out", Scope.APPROVE),
    "reject": Deed(reject, "is rejected; it is owed again", Scope.APPROVE, wakes=False),
    "cancel": Deed(cancel, "is canceled; it is owed again", wakes=False),
    "hold": Deed(hold_request, "is held back", wakes=False),
    "release": Deed(release_request, "is held back no more"),
    "retry": Deed(mending.retry, "is paid out again"),
    "reverse": Deed(mending.reverse, "is taken back"),
    "look": Deed(mending.look, "is looked for at Stripe"),
    "never-made": Deed(mending.release, "is sent anew, with a new key", Scope.APPROVE),
}


def press(name: str) -> Handler:
    """What answers the form of one verb."""
    deed = DEEDS[name]

    def pressed(call: Call) -> Response:
        request_id = row_id_of(call.path("key"))
        if request_id is None:
            raise no_request(call.path("key"))
        seen = _seen(call)

        def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> PayoutRequest:
            if seen is not None:
                check_seen(connection, request_id, seen)
            return deed.function(connection, request_id, actor, call.reason, make_id, at_ms)

        done = call.do(work)
        if deed.wakes:
            wake(call, done.id)
        said = f"{done.public_id}: {format_money(done.amount_minor, done.currency)} {deed.said}"
        return call.back(
            local_path(call.form.get("back"), f"/payouts/{done.public_id}"), said, request_row(done)
        )

    return pressed


def wake(call: Call, request_id: int) -> None:
    """Have a worker begin at once. The payout is due on its row, so a sweeper finds it where this is lost."""
    call.hint(lambda messages: messages.send_payout(request_id))


def _seen(call: Call) -> int | None:
    """The newest move that the page showed; None where a program sends no such thing."""
    text = call.form.get("seen")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        raise RefusedError("bad_number", f"seen takes the row id of a move, not {text[:40]!r}")
    return int(text)


_DIGITS = 20
