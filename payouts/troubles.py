"""Troubles: what a process logs as an error is counted, and reported where that is set up."""

from collections.abc import Callable, Mapping
from typing import Any

from payouts.meters import ERRORS, Counter, Totals

Report = Callable[[str, Mapping[str, Any], BaseException | None], None]
"""Told of an error: what happened, the fields of its log line, and what was raised, if anything."""


class Troubles:
    """Counts errors of this process, from any thread. A meter."""

    families = (ERRORS,)

    def __init__(self, report: Report | None = None) -> None:
        self._report = report
        self._counter = Counter(ERRORS)

    def note(self, event: str, fields: Mapping[str, Any], error: BaseException | None) -> None:
        """Count an error, and report it. Called while its line is logged."""
        self._counter.add({(): 1})
        if self._report is not None:
            self._report(event, fields, error)

    def totals(self) -> Totals:
        return {(ERRORS,): 0, **self._counter.totals()}
