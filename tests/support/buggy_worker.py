"""A worker with a bug: payouts of certain amounts make its code fail, in three different ways. For the story
of how that is found, understood and mended. `EVENT_MAX_ATTEMPTS` and `BACKOFF_MS` make it quick."""

import dataclasses
import os
from typing import Any

import redis

import workers.app
from payouts import backoff, bootstrap
from payouts.errors import PayloadError
from payouts.logs import configure_logging
from payouts.machine import Decision, decide
from payouts.settings import Settings, load_settings

EVERY = 10
"""One payout of so many meets the bug."""


def is_met(amount_minor: int) -> bool:
    return amount_minor % EVERY == 0


def buggy(current: Any, seen: Any, account: str, *, confirmed: bool = False) -> Decision:
    if is_met(seen.amount):
        way = seen.amount // EVERY % 3
        if way == 0:
            raise PayloadError(f"the amount {seen.amount} of {seen.id} ends in 0")
        if way == 1:
            raise KeyError(seen.id)
        raise ZeroDivisionError(f"integer division or modulo by zero: {seen.amount}")
    return decide(current, seen, account, confirmed=confirmed)


def open_buggy_worker(settings: Settings, client: redis.Redis, **more: Any) -> bootstrap.WorkerParts:
    parts = bootstrap.open_worker(settings, client, **more)
    rules = dataclasses.replace(parts.applier.rules, decide=buggy)
    return dataclasses.replace(parts, applier=dataclasses.replace(parts.applier, rules=rules))


def main() -> None:
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    backoff.FIRST_MS = int(os.environ["BACKOFF_MS"])
    workers.app.open_worker = open_buggy_worker
    workers.app.run_worker(settings)


if __name__ == "__main__":
    main()
