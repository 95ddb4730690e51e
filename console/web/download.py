"""Files to download: CSV, sent as it is made, in bounded memory."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Engine
from starlette.responses import Response, StreamingResponse

from payouts.storage.queries import reading

CHARS_AT_ONCE = 64 * 1024


def csv_download(
    engine: Engine,
    name: str,
    columns: Iterable[str],
    rows: Callable[[Connection], Iterable[Iterable[Any]]],
) -> Response:
    """`rows`, which read by a connection of their own, as the file `name` (plain ASCII, no quotes)."""
    return StreamingResponse(
        _chunks(engine, columns, rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _chunks(
    engine: Engine, columns: Iterable[str], rows: Callable[[Connection], Iterable[Iterable[Any]]]
) -> Iterator[str]:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(columns)
    with reading(engine) as connection:
        for row in rows(connection):
            writer.writerow(row)
            if made.tell() >= CHARS_AT_ONCE:
                yield made.getvalue()
                made.seek(0)
                made.truncate()
    yield made.getvalue()
