"""A worker of the same parts as the real one, whose decision fails for chosen payouts, for tests of what
happens then. `FAIL`: `po_1=2,po_2=99` fails that often, `BACKOFF_MS`: the first wait."""

import dataclasses
import os
from typing import Any

import redis

import workers.app
from payouts import backoff, bootstrap
from payouts.apply import Applier
from payouts.logs import configure_logging
from payouts.machine import Decision, decide
from payouts.settings import Settings, load_settings


class FlakyDecide:
    def __init__(self, fails: dict[str, int]) -> None:
        self.left = fails

    def __call__(self, current: Any, seen: Any, account: str, *, confirmed: bool = False) -> Decision:
        if self.left.get(seen.id, 0) > 0:
            self.left[seen.id] -= 1
            raise ConnectionError(f"made to fail for {seen.id}, {self.left[seen.id]} to come")
        return decide(current, seen, account, confirmed=confirmed)


def open_flaky_worker(settings: Settings, client: redis.Redis, **more: Any) -> bootstrap.WorkerParts:
    fails = [entry.split("=") for entry in os.environ["FAIL"].split(",")]
    flaky = FlakyDecide({payout_id: int(times) for payout_id, times in fails})
    parts = bootstrap.open_worker(settings, client, **more)
    rules = bootstrap.Rules(
        **{
            name: getattr(parts.applier.rules, name)
            for name in ("make_id", "clock", "worker", "max_attempts")
        },
        decide=flaky,
    )
    return dataclasses.replace(parts, applier=Applier(parts.engine, rules))


def main() -> None:
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    backoff.FIRST_MS = int(os.environ["BACKOFF_MS"])
    workers.app.open_worker = open_flaky_worker
    workers.app.run_worker(settings)


if __name__ == "__main__":
    main()
