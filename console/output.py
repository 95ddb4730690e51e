"""How commands speak: tables for people, JSON Lines for programs, errors on the other stream."""

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from payouts.clock import iso, now_ms
from payouts.errors import PayoutsError

_RIGHT = {"amount", "tries", "came", "deliveries", "p50 ms", "p95 ms", "p99 ms", "max ms"}
_SPANS = {"m": 60, "h": 3_600, "d": 86_400}


def be_lenient() -> None:
    """Show `?` for what the terminal's encoding lacks, instead of failing on an arrow or a dash."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def out() -> Console:
    """Standard output."""
    return Console(highlight=False)


def err() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line for a person, never folded: an id in it can be copied."""
    out().print(text, markup=False, soft_wrap=True)


def write_json(row: Mapping[str, Any]) -> None:
    """One row as one line of JSON; times as ISO 8601, row ids as text (they pass JavaScript's limit)."""
    # As bytes: JSON is UTF-8, whatever the terminal's own encoding is.
    sys.stdout.buffer.write(msgspec.json.encode(readable(row)) + b"\n")


def readable(value: Any) -> Any:
    """`value` as it is shown: `…_ms` and `…_s` become ISO times without the suffix, ids text, bytes text."""
    if isinstance(value, Mapping):
        return dict(_readable_item(name, item) for name, item in value.items())
    if isinstance(value, list):
        return [readable(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _readable_item(name: str, item: Any) -> tuple[str, Any]:
    if name.endswith("_ms"):
        return name.removesuffix("_ms"), iso(item)
    if name.endswith("_s") and (item is None or isinstance(item, int)):
        return name.removesuffix("_s"), iso(None if item is None else item * 1000)
    if isinstance(item, int) and (name == "id" or name.endswith("_id")):
        return name, str(item)
    return name, readable(item)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> Table:
    """A plain table; None shows as a dash."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, no_wrap=True, justify="right" if column in _RIGHT else "left")
    for row in rows:
        made.add_row(*(_cell(cell) for cell in row))
    return made


def _cell(value: Any) -> Text:
    # As text, not as rich's markup, and without what would steer the terminal: it comes from outside.
    return Text("–" if value is None else "".join(c if c.isprintable() else " " for c in str(value)))


def print_table(made: Table) -> None:
    """Print a table as wide as it is: an id that is cut or folded cannot be copied."""
    screen = out()
    wide = screen.options.update(width=10_000)
    screen.width = max(screen.width, Measurement.get(screen, wide, made).maximum)
    screen.print(made)


def short_time(at_ms: int | None) -> str | None:
    """A time for a table: UTC, to the second."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def parse_time_to_come(text: str) -> int:
    """As `parse_time`, but `90m`, `2h` and `3d` are from now on."""
    if text[-1:] in _SPANS and text[:-1].isdigit():
        return 2 * now_ms() - parse_time(text)
    return parse_time(text)


def parse_time(text: str) -> int:
    """`2026-01-31`, `2026-01-31T12:00:00Z`, or a time ago as `90m`, `2h`, `3d`; in ms. UTC unless it says."""
    if text[-1:] in _SPANS and text[:-1].isdigit():
        return now_ms() - int(timedelta(seconds=int(text[:-1]) * _SPANS[text[-1]]).total_seconds() * 1000)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise PayoutsError(
            f"{text!r} is no time: use 2026-01-31, 2026-01-31T12:00:00Z, 90m, 2h or 3d"
        ) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
