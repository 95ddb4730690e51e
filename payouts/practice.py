"""A failure to practise on: the first try at certain events fails on purpose, each later one works.

For trying the service out (`PRACTICE_FAILURE`), never with live money. It does what a bug of an older version
would have done: the event dies at once, and stays dead until somebody replays it with the code as it is now.
"""

from typing import Any

import msgspec

from payouts.errors import PayoutsError
from payouts.event import PayoutObject, read_payout
from payouts.states import OPEN_EVENT_STATUSES
from payouts.storage.inbox import WorkItem

DESCRIPTOR = "PRACTICE"
"""What the statement descriptor of a payout to practise on is. Its events come back with it."""
TYPE = "payout.paid"


class PracticeError(PayoutsError):
    """The failure to practise on: an operator replays its event."""


class _Payout(msgspec.Struct):
    statement_descriptor: Any = None


class _Data(msgspec.Struct):
    object: _Payout


class _Event(msgspec.Struct):
    data: _Data


_events = msgspec.json.Decoder(_Event)


def read_failing_once(item: WorkItem, payload: bytes) -> PayoutObject:
    """The payout inside an event. PracticeError at the first try at a `payout.paid` that is to practise on.

    What failed before, or took effect already, is read as ever. Raises PayloadError as `read_payout` does.
    """
    seen = read_payout(payload)
    is_first_try = item.attempts == 0 and item.status in OPEN_EVENT_STATUSES
    if item.type == TYPE and is_first_try and _is_to_practise_on(payload):
        trace = seen.trace_id.value if seen.trace_id else ""
        raise PracticeError(
            f"the bank's trace id '{trace}' is not a number: a bug of an older version, made up to practise "
            "on (PRACTICE_FAILURE); a replay heals it"
        )
    return seen


def _is_to_practise_on(payload: bytes) -> bool:
    return bool(_events.decode(payload).data.object.statement_descriptor == DESCRIPTOR)
