"""Ignoring and restoring many events: some at a time, each time in a transaction of its own."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from payouts.errors import RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from payouts.ids import IdMaker
    from payouts.people import Actor
    from payouts.replay import Selection

    Do = Callable[[Callable[[Connection, Actor, IdMaker, int], int]], int]
    """Does one thing in a transaction: `Doer.do` of a command, `Call.do` of a page."""

Decision = Callable[..., int]
"""`payouts.dismissing.dismiss` or `restore`."""


def decide(engine: "Engine", do: "Do", wanted: "Selection", decision: Decision, reason: str) -> int:
    """Do `decision` with all that was selected; how many. RefusedError `none_found` where that is none."""
    from payouts.dismissing import AT_ONCE
    from payouts.storage.queries import reading
    from payouts.storage.replay_rows import newest_id, walk_selected

    done = 0
    with reading(engine) as connection:
        for page in walk_selected(connection, wanted, newest_id(connection), AT_ONCE):
            ids = [event.id for event in page]
            subject = page[0].event_id if len(page) == 1 else str(wanted)
            done += _some(do, decision, ids, subject, reason)
    if not done:
        raise RefusedError(
            "none_found",
            f"there is no {wanted.status} event with {wanted}: nothing was changed. "
            f"`payouts dead list --status {wanted.status}` shows those",
        )
    return done


def _some(do: "Do", decision: Decision, ids: list[int], subject: str, reason: str) -> int:
    return do(
        lambda connection, actor, make_id, at_ms: decision(
            connection, ids, subject, actor, reason, make_id, at_ms
        )
    )
