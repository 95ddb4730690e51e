"""Lists with a filter that has no index: a page looks back over so many rows, and says where it stopped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from console.web.call import Call
from console.web.listing import Fetch, Listing, listed
from payouts.ids import time_of
from payouts.storage.queries import Filters

LOOKED_AT = 20_000
Floor = Callable[[Connection, Filters, int], int | None]
"""The id down to which so many rows are looked at; None: all of them are."""


@dataclass(frozen=True, slots=True)
class Windowed:
    """A page of such a list. `looked_until_ms`: how far back it looked, where there is more behind."""

    page: Listing
    looked_until_ms: int | None
    looked_at: int


def windowed(
    call: Call,
    fetch: Fetch,
    floor: Floor,
    equal: Mapping[str, str],
    *,
    narrow: bool,
    also: Sequence[str] = (),
    most: int | None = None,
) -> Windowed:
    """As `listed`; where `narrow` is set, each page looks at `most` rows, else LOOKED_AT at the most."""
    looked_at = most or LOOKED_AT
    stopped: list[int] = []

    def bounded(connection: Connection, filters: Filters, limit: int) -> list[dict[str, object]]:
        lowest = floor(connection, filters, looked_at) if narrow else None
        if lowest is not None and lowest > (filters.since_id or 0):
            stopped.append(lowest)
            filters = replace(filters, since_id=lowest)
        return fetch(connection, filters, limit)

    page = listed(call, bounded, equal, also)
    if not stopped or page.older is not None:
        return Windowed(page, None, looked_at)
    older = call.here(before=str(stopped[0]))
    further = Listing(page.rows, older, page.newest, page.is_filtered)
    return Windowed(further, time_of(stopped[0]), looked_at)
