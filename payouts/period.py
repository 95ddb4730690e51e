"""Months of the books, in UTC: their names and when they begin and end. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from payouts.errors import RefusedError

_NAME = re.compile(r"(?P<year>20[0-9]{2})-(?P<month>0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}"

    @property
    def from_ms(self) -> int:
        """When it begins."""
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp()) * 1000

    @property
    def until_ms(self) -> int:
        """When the next one begins."""
        return self.next.from_ms

    @property
    def next(self) -> "Month":
        """The month after it."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)


def parse_month(text: str) -> Month:
    """The month that `2026-11` names. RefusedError `bad_period`."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise RefusedError("bad_period", f"{text[:20]!r} is no month: write it as 2026-11")
    return Month(int(found["year"]), int(found["month"]))


def month_of(at_ms: int) -> Month:
    """The month that `at_ms` lies in."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return Month(at.year, at.month)
