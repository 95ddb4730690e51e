"""Ignoring and restoring many events: some at a time, each time in a transaction of its own."""

from collections.abc import Callable
from typing import Any

from console.web.call import Call
from payouts.dismissing import AT_ONCE
from payouts.errors import RefusedError
from payouts.replay import Selection
from payouts.storage.queries import reading
from payouts.storage.replay_rows import newest_id, walk_selected

Verb = Callable[..., int]
"""`payouts.dismissing.dismiss` or `restore`."""


def decide(call: Call, wanted: Selection, verb: Verb) -> int:
    """Do `verb` with all that was selected; how many. RefusedError `none_found` where that is none."""
    done = 0
    with reading(call.parts.engine) as connection:
        for page in walk_selected(connection, wanted, newest_id(connection), AT_ONCE):
            ids = [event.id for event in page]
            subject = page[0].event_id if len(page) == 1 else str(wanted)
            done += _some(call, verb, ids, subject)
    if not done:
        raise RefusedError("none_found", f"no {wanted.status} event fits any more: nothing was changed")
    return done


def _some(call: Call, verb: Verb, ids: list[int], subject: str) -> int:
    def work(connection: Any, actor: Any, make_id: Any, at_ms: int) -> int:
        return verb(connection, ids, subject, actor, call.reason, make_id, at_ms)

    return call.do(work)
