"""What both lists share: filters from options, pages by key, a table or JSON Lines."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.context import reading_from
from console.output import out, parse_time, print_table, table, write_json
from payouts.errors import PayoutsError
from payouts.ids import floor_id

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.storage.queries import Filters

TABLE_ROWS = 50

SinceOption = Annotated[
    str | None, typer.Option(help="From this time on: 2026-01-31, …T12:00:00Z, 90m, 2h, 3d.")
]
UntilOption = Annotated[str | None, typer.Option(help="Before this time.")]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help=f"At most so many rows; a table shows {TABLE_ROWS}.")
]
AfterOption = Annotated[str | None, typer.Option(metavar="ID", help="Go on behind this row id.")]

Fetch = Callable[["Connection", "Filters", int], list[dict[str, Any]]]


def make_filters(
    equal: dict[str, str | None], since: str | None, until: str | None, after: str | None
) -> "Filters":
    """Filters from options. Row ids grow with time, so a time becomes an id to compare with."""
    from payouts.storage.queries import Filters

    if after is not None and not after.isdigit():
        raise PayoutsError(f"--after takes a row id, as the list's last line shows it, not {after!r}")
    befores = [int(after)] if after else []
    if until is not None:
        befores.append(floor_id(parse_time(until)))
    return Filters(
        {name: value for name, value in equal.items() if value is not None},
        floor_id(parse_time(since)) if since is not None else None,
        min(befores) if befores else None,
    )


def show(
    data: Path | None,
    fetch: Fetch,
    filters: "Filters",
    limit: int | None,
    as_json: bool,
    columns: Sequence[str],
    cells: Callable[[dict[str, Any]], Sequence[Any]],
) -> None:
    """Print rows as a table of one page, or as JSON Lines in bounded memory."""
    with reading_from(data) as connection:
        if as_json:
            for row in pages(connection, fetch, filters, limit):
                write_json(row)
            return
        wanted = limit or TABLE_ROWS
        rows = list(pages(connection, fetch, filters, wanted + 1))
        print_table(table(columns, [cells(row) for row in rows[:wanted]]))
        if not rows:
            # With what was asked for: one who mistyped an id should not read that there is nothing.
            asked = ", ".join(f"{name} {value}" for name, value in filters.equal.items())
            out().print(f"none with {asked}" if asked else "none", markup=False, soft_wrap=True)
        elif len(rows) > wanted:
            out().print(f"there are more: --after {rows[wanted - 1]['id']}")


def pages(
    connection: "Connection", fetch: Fetch, filters: "Filters", limit: int | None
) -> Iterator[dict[str, Any]]:
    """Rows page by page, at most `limit`, in bounded memory."""
    from dataclasses import replace

    from payouts.storage.queries import PAGE

    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        rows = fetch(connection, filters, size)
        yield from rows
        connection.rollback()  # however slowly it is read, no transaction stays open for it
        if len(rows) < size:
            return
        filters = replace(filters, before_id=rows[-1]["id"])
        left = None if left is None else left - len(rows)
