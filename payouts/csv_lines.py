"""CSV files line by line, in bounded memory: what does not read is a rejected line, not the end."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from payouts.errors import RefusedError
from payouts.words import shortened

MAX_LINE_BYTES = 64 * 1024
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of data: its number in the file, beginning with 1, and its values by column."""

    number: int
    values: dict[str, str]

    def get(self, column: str) -> str:
        """A value without spaces around it; empty where the column is missing."""
        return self.values.get(column, "").strip()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that was not taken, by which column (None: the line as a whole), and why."""

    number: int
    column: str | None
    reason: str


def read_lines(
    file: BinaryIO,
    required: Sequence[str],
    optional: Sequence[str] = (),
    on_bytes: Callable[[int], None] = lambda count: None,
) -> Iterator[Line | Rejected]:
    """The lines of a CSV file in UTF-8 whose first line names its columns, in any order.

    `on_bytes` hears how many more bytes were read. Raises RefusedError `bad_file` where the columns are not
    those that are needed.
    """
    reader = csv.reader(_text(file, on_bytes), strict=True)
    columns = _columns(_next(reader), required, optional)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Rejected(number, None, f"does not read as CSV: {error}")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            yield Rejected(number, None, f"has {len(cells)} values for {len(columns)} columns")
        elif (bad := _undecodable(cells)) is not None:
            yield Rejected(number, columns[bad], "is not in UTF-8")
        else:
            yield Line(number, dict(zip(columns, cells, strict=True)))


def _text(file: BinaryIO, on_bytes: Callable[[int], None]) -> Iterator[str]:
    first = True
    while line := file.readline(MAX_LINE_BYTES + 1):
        on_bytes(len(line))
        if len(line) > MAX_LINE_BYTES:
            raise RefusedError("bad_file", f"a line of the file is longer than {MAX_LINE_BYTES} bytes")
        if first:
            line, first = line.removeprefix(BOM), False
        yield line.decode("utf-8", "surrogateescape")


def _next(reader: Iterator[list[str]]) -> list[str]:
    try:
        return next(reader)
    except StopIteration:
        raise RefusedError("bad_file", "the file is empty: its first line names the columns") from None
    except csv.Error as error:
        raise RefusedError("bad_file", f"the first line does not read as CSV: {error}") from None


def _columns(header: list[str], required: Sequence[str], optional: Sequence[str]) -> list[str]:
    columns = [name.strip().lower() for name in header]
    missing = [name for name in required if name not in columns]
    unknown = [name for name in columns if name not in (*required, *optional)]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    for names, what in ((missing, "lacks"), (unknown, "has unknown"), (twice, "names twice")):
        if names:
            wanted = ", ".join(required) + (f", and perhaps {', '.join(optional)}" if optional else "")
            said = ", ".join(shortened(name) for name in names)
            raise RefusedError("bad_file", f"the file's first line {what} {said}: the columns are {wanted}")
    return columns


def _undecodable(cells: list[str]) -> int | None:
    for index, cell in enumerate(cells):
        try:
            cell.encode()
        except UnicodeEncodeError:
            return index
    return None
