"""How commands name events: by id, by the cause of their failure, or by filter."""

from typing import Annotated

import typer

from console.output import parse_time
from payouts.errors import RefusedError
from payouts.replay import Selection
from payouts.request import PREFIX, row_id_of
from payouts.states import EventStatus

EventsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[EVENT]...", help="Events by their ids, as evt_….")
]
GroupOption = Annotated[
    str | None, typer.Option(help="The cause of their failure, as `payouts dead groups` shows it.")
]
StatusOption = Annotated[EventStatus | None, typer.Option(help="Where they stand now.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="As payout.paid.")]
AccountOption = Annotated[str | None, typer.Option(help="acct_…, or platform.")]
ObjectOption = Annotated[
    str | None,
    typer.Option("--payout", "--object", help="What they are about: pay_… with all of it, or po_…, tr_…."),
]
ErrorOption = Annotated[str | None, typer.Option(help="A part of the cause of their failure.")]


def selection_of(
    events: list[str] | None,
    group: str | None,
    status: EventStatus | None,
    type_: str | None,
    account: str | None,
    object_: str | None,
    error: str | None,
    since: str | None,
    until: str | None,
) -> Selection:
    """The selection that the options describe. RefusedError where nothing is named."""
    bad = [event for event in events or [] if not event.startswith("evt_")]
    if bad:
        raise RefusedError("bad_event", f"{bad[0][:40]!r} is no event: ids read as evt_…")
    request_id = row_id_of(object_) if object_ is not None and object_.startswith(PREFIX) else None
    return Selection(
        events=tuple(events or ()),
        fingerprint=group,
        status=None if status is None else str(status),
        type=type_,
        account=account,
        object_id=None if request_id is not None else object_,
        request_id=request_id,
        error=error,
        since_ms=None if since is None else parse_time(since),
        until_ms=None if until is None else parse_time(until),
    )
