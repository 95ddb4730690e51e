"""Lists: narrowed by parameters of the address, a page at a time, by key."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from console.output import parse_time
from console.web.call import Call
from payouts.errors import PayoutsError, RefusedError
from payouts.ids import floor_id
from payouts.storage.queries import Filters

ROWS = 50
Fetch = Callable[[Connection, Filters, int], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list."""

    rows: Sequence[Mapping[str, Any]]
    older: str | None
    """The address of the next page, further back; None: this is the last."""
    newest: str | None
    """The address of the first page; None: this is it."""
    is_filtered: bool


def listed(call: Call, fetch: Fetch, equal: Mapping[str, str], also: Sequence[str] = ()) -> Listing:
    """The page that the address asks for.

    `equal`: parameters that rows must equal, with their columns. Besides there are `since`, `until` (a time,
    or a time ago) and `before` (a row id). `also`: parameters that `fetch` itself looks at.
    """
    rows = fetch(call.connection, filters_of(call, equal), ROWS + 1)
    older = call.here(before=str(rows[ROWS - 1]["id"])) if len(rows) > ROWS else None
    newest = call.here(before=None) if call.asked("before") else None
    narrowing = [*equal, "since", "until", *also]
    return Listing(rows[:ROWS], older, newest, any(call.asked(name) for name in narrowing))


def filters_of(call: Call, equal: Mapping[str, str]) -> Filters:
    """The filters that the address asks for. RefusedError for what cannot be read."""
    befores = [call.number("before"), _floor(call, "until")]
    before = [one for one in befores if one is not None]
    wanted = {column: value for name, column in equal.items() if (value := call.asked(name)) is not None}
    return Filters(wanted, _floor(call, "since"), min(before) if before else None)


def time_asked(call: Call, name: str) -> int | None:
    """The parameter `name` as a time in ms. RefusedError for what is no time."""
    text = call.asked(name)
    return None if text is None else time_typed(text)


def time_typed(text: str) -> int:
    """What somebody typed as a time, in ms. RefusedError for what is no time."""
    try:
        return parse_time(text)
    except PayoutsError as error:
        raise RefusedError("bad_time", str(error)) from None


def _floor(call: Call, name: str) -> int | None:
    at_ms = time_asked(call, name)
    return None if at_ms is None else floor_id(at_ms)
