"""How a preview of a replay is shown: what would change, payout by payout, then in all."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from console.output import print_table, say, table, write_json
from payouts.states import EventStatus

if TYPE_CHECKING:
    from payouts.what_if import Change, Tried

SHOWN_MOST = 50
_COLUMNS = ("payout", "events", "would come to", "state", "postings", "notices", "then asks Stripe for")


def print_preview(changes: "Sequence[Change]", events: int, more: bool) -> None:
    """A line for each payout that would change, then sums over all of them."""
    changing = [change for change in changes if not change.is_nothing or _ends_anew(change)]
    if changing:
        print_table(table(_COLUMNS, [_cells(change) for change in changing[:SHOWN_MOST]]))
    if len(changing) > SHOWN_MOST:
        say(f"and {len(changing) - SHOWN_MOST} more: --json shows all")
    for line in _sums(changes, events, more):
        say(line)


def write_preview(changes: "Sequence[Change]") -> None:
    """Every payout that was tried as a line of JSON."""
    for change in changes:
        write_json({**dataclasses.asdict(change), "changes_nothing": change.is_nothing})


def _sums(changes: "Sequence[Change]", events: int, more: bool) -> list[str]:
    outcomes = Counter(f"{tried.status} → {tried.outcome}" for change in changes for tried in change.events)
    moves = Counter(
        f"{move.from_status or 'new'} → {move.to_status}"
        for change in changes
        for move in change.written.moves
    )
    notices = Counter(name for change in changes for name in change.written.notices)
    postings = sum(len(change.written.postings) for change in changes)
    nothing = sum(change.is_nothing for change in changes)
    lines = [
        f"{'first ' if more else ''}{events} events of {len(changes)} payouts: {nothing} stay as they are",
        f"  events: {_counted(outcomes)}",
        f"  states: {_counted(moves)}",
        f"  postings: {postings}",
        f"  notices: {_counted(notices)}",
        f"  calls to Stripe: {sum(len(change.calls) for change in changes)}",
        f"  depend on an answer of Stripe's: {sum(bool(change.depends) for change in changes)}",
    ]
    trouble = [f"  {change.subject}: {change.trouble}" for change in changes if change.trouble]
    return lines + trouble[:SHOWN_MOST]


def _counted(counts: "Counter[str]") -> str:
    return ", ".join(f"{what} ({count})" for what, count in counts.most_common()) or "none"


def _ends_anew(change: "Change") -> bool:
    return any(tried.status != tried.outcome for tried in change.events)


def _outcome(tried: "Tried") -> str:
    # What an applied one changes stands in the next column.
    return tried.outcome if tried.outcome == EventStatus.APPLIED else f"{tried.outcome}: {tried.detail}"


def _cells(change: "Change") -> tuple[Any, ...]:
    outcomes = Counter(_outcome(tried) for tried in change.events)
    moves = [f"{move.from_status or 'new'} → {move.to_status}" for move in change.written.moves]
    return (
        *(change.subject, len(change.events), _counted(outcomes)),
        *(", ".join(moves) or None, ", ".join(posted.kind for posted in change.written.postings) or None),
        *(", ".join(change.written.notices) or None, "; ".join([*change.calls, *change.depends]) or None),
    )
