"""A month as a grid: weeks from Monday on, a field for each day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from payouts.coverage import Day

WEEK = 7


@dataclass(frozen=True, slots=True)
class Grid:
    """Weeks of seven fields each; None: a day of another month."""

    first: date
    weeks: list[list[Day | None]]

    @property
    def name(self) -> str:
        return f"{self.first:%B %Y}"


def grid_of(first: date, days: Sequence[Day]) -> Grid:
    """The grid of a month that begins on `first` and has these days."""
    fields: list[Day | None] = [None] * first.weekday() + list(days)
    fields += [None] * (-len(fields) % WEEK)
    return Grid(first, [fields[at : at + WEEK] for at in range(0, len(fields), WEEK)])
