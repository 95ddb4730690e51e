"""How soon operators see what failed: lists, groups and filters over a large inbox with many dead events."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sqlalchemy import Connection

from bench.bed import Bed
from bench.fill import (
    CAUSES,
    RARE_ACCOUNT,
    RARE_TYPE,
    TYPES,
    History,
    account_name,
    fill_history,
    fingerprint,
)
from payouts.states import EventStatus
from payouts.storage.dead_queries import failure_list, group, groups, waiting
from payouts.storage.event_queries import event, events
from payouts.storage.queries import Filters, reading
from payouts.storage.replay_rows import newest_id

LIMIT = 50
"""A page, as commands show it."""
GOAL_MS = 100
Ask = Callable[[Connection], Any]


def asked(bed: Bed, history: History, times: int) -> Iterator[tuple[str, float, float]]:
    """Each question with its p50 and p95 in ms. Every asking opens a transaction, as a command does."""
    for name, ask in _questions(history).items():
        took_ms = []
        for _ in range(times):
            with reading(bed.engine) as connection:
                began = time.perf_counter()
                ask(connection)
                took_ms.append((time.perf_counter() - began) * 1000)
        took_ms.sort()
        yield name, took_ms[times // 2], took_ms[int(times * 0.95)]


def filled(bed: Bed, events: int, dead: int, payload_bytes: int) -> History:
    """An inbox of its own for these questions."""
    bed.fresh()
    return fill_history(bed, events, dead, payload_bytes)


def _questions(history: History) -> dict[str, Ask]:
    middle = history.row_id(history.events // 2)
    some_dead = history.events // 2 // history.dead_each * history.dead_each
    common, rare = fingerprint(0), fingerprint(CAUSES - 1)
    dead, type_, account = EventStatus.DEAD, TYPES[0][0], account_name(0)
    object_id = history.object_id(some_dead)
    return {
        "dead groups": groups,
        "how many are dead": waiting,
        "one group, the largest": partial(group, fingerprint=common),
        "one group, the smallest": partial(group, fingerprint=rare),
        "dead list": _dead(),
        "dead list, a page in the middle": _dead(before_id=middle),
        "dead list, status": _dead(status=dead),
        "dead list, status that none has": _dead(status=EventStatus.DISMISSED),
        "dead list, large group": _dead(fingerprint=common),
        "dead list, large group, in the middle": _dead(fingerprint=common, before_id=middle),
        "dead list, small group": _dead(fingerprint=rare),
        "dead list, common type": _dead(type=type_),
        "dead list, rare type": _dead(type=RARE_TYPE),
        "dead list, type that none has": _dead(type="payout.unheard_of"),
        "dead list, large account": _dead(account=account),
        "dead list, small account": _dead(account=RARE_ACCOUNT),
        "dead list, small account, common type": _dead(account=RARE_ACCOUNT, type=type_),
        "dead list, rare type, small group": _dead(type=RARE_TYPE, fingerprint=rare),
        "dead list, object": _dead(object_id=object_id),
        "dead list, common error": _dead(error="settlement"),
        "dead list, rare error": _dead(error=f"step_{CAUSES - 1:02d}"),
        "dead list, error that none has": _dead(error="unheard of"),
        "dead list, rare error, common type": _dead(error=f"step_{CAUSES - 1:02d}", type=type_),
        "event list": _events(),
        "event list, a page in the middle": _events(before_id=middle),
        "event list, dead": _events(status=dead),
        "event list, dead, in the middle": _events(status=dead, before_id=middle),
        "event list, large account": _events(account=account),
        "event list, small account": _events(account=RARE_ACCOUNT),
        "event list, common type": _events(type=type_),
        "event list, rare type": _events(type=RARE_TYPE),
        "event list, type that none has": _events(type="payout.unheard_of"),
        "event list, common type, dead": _events(type=type_, status=dead),
        "event list, common type, applied": _events(type=type_, status=EventStatus.APPLIED),
        "event list, large account, common type": _events(account=account, type=type_),
        "event list, rare type, dead": _events(type=RARE_TYPE, status=dead),
        "event list, rare type, applied": _events(type=RARE_TYPE, status=EventStatus.APPLIED),
        "event list, large account, dead": _events(account=account, status=dead),
        "event list, small account, dead": _events(account=RARE_ACCOUNT, status=dead),
        "event list, large account, rare type": _events(account=account, type=RARE_TYPE),
        "event list, large account, rare type, dead": _events(account=account, type=RARE_TYPE, status=dead),
        "event list, object": _events(object_id=object_id),
        "one event": partial(event, key=history.event_id(some_dead)),
        "the newest id": newest_id,
    }


def _dead(before_id: int | None = None, error: str | None = None, **equal: str) -> Ask:
    return partial(failure_list, filters=Filters(equal, before_id=before_id), limit=LIMIT, error=error)


def _events(before_id: int | None = None, **equal: str) -> Ask:
    return partial(events, filters=Filters(equal, before_id=before_id), limit=LIMIT)
