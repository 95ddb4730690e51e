"""The scheduler: jobs at their intervals, one after the other, each safe to run anywhere and twice."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from payouts.logs import get_logger


class Waits(Protocol):
    """What tells the scheduler to stop."""

    def wait(self, timeout: float, /) -> bool:
        """Wait for so many seconds at the most; whether to stop."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every `every_s` seconds."""

    name: str
    every_s: float
    run: Callable[[], object]


def run_jobs(jobs: Sequence[Job], stop: Waits) -> None:
    """Run `jobs` until `stop` is set. A job that fails is logged and comes again at its next turn."""
    log = get_logger()
    due = dict.fromkeys(range(len(jobs)), time.monotonic())
    while True:
        index = min(due, key=lambda at: due[at])
        if stop.wait(max(0.0, due[index] - time.monotonic())):
            return
        job = jobs[index]
        try:
            job.run()
        except Exception as error:  # noqa: BLE001 - the next turn tries again; the scheduler goes on
            log.warning("job.failed", job=job.name, error=str(error)[:300], error_class=type(error).__name__)
        due[index] = time.monotonic() + job.every_s
