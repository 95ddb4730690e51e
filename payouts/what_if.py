"""What a replay would change, found out by doing it: the real code on the real rows, rolled back.

One short transaction for each payout, so that no writer waits for more than that. Nothing outside is called.
Where an answer of Stripe's would decide, the change is shown as depending on it and not guessed.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from payouts.batch import Batch, Rules
from payouts.calls import thawed
from payouts.desk import Desk, SendingRules
from payouts.ids import IdMaker
from payouts.kin import Kin
from payouts.outcome import BatchResult
from payouts.payloads import with_payloads
from payouts.replay import Selection
from payouts.request import public_id
from payouts.states import EventStatus
from payouts.storage import inbox
from payouts.storage.engine import is_contention, is_unavailable
from payouts.storage.inbox import WorkItem
from payouts.storage.replay_rows import Selected, walk_selected
from payouts.storage.what_if_queries import Written, written_by
from payouts.turns import Job, Turn

EVENTS_MOST = 10_000
"""Of one preview: as many as are kept in mind at once, without their payloads."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What would come of one event. `outcome` as the inbox would have it; `detail` says why."""

    event_id: str
    type: str
    status: EventStatus
    outcome: EventStatus
    detail: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a replay would do to one requested payout, or to an object that belongs to none.

    All events that were selected of it count: those of its transfer, its payouts and their reversals.
    """

    subject: str
    account: str
    events: Sequence[Tried]
    written: Written
    calls: Sequence[str] = ()
    """Calls to Stripe that a worker would go on to make."""
    depends: Sequence[str] = ()
    """Questions to Stripe whose answers would decide what follows."""
    trouble: str | None = None
    """Why it could not be tried."""

    @property
    def is_nothing(self) -> bool:
        """Everything would stay as it is; at most an event gets another status."""
        return self.written.is_nothing and not (self.calls or self.depends or self.trouble)


class RecordingIds(IdMaker):
    """Ids that are remembered: they name every row that a transaction wrote."""

    def __init__(self, inner: IdMaker) -> None:
        super().__init__()
        self._inner = inner
        self.drawn: list[int] = []

    def __call__(self) -> int:
        drawn = self._inner()
        self.drawn.append(drawn)
        return drawn


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Tries events and takes everything back."""

    engine: Engine
    rules: Rules
    sending: SendingRules

    def select(self, selection: Selection, until_id: int) -> tuple[list[Selected], bool]:
        """The events that would be replayed, up to EVENTS_MOST; and whether there are more."""
        found: list[Selected] = []
        with self.engine.connect().execution_options(read_only=True) as connection:
            for page in walk_selected(connection, selection, until_id):
                found += page
                if len(found) > EVENTS_MOST:
                    return found[:EVENTS_MOST], True
        return found, False

    def preview(self, events: Sequence[Selected]) -> Iterator[Change]:
        """What would change, payout by payout, in the order of their first events."""
        kin = Kin(self.engine, self.rules.payloads)
        groups: dict[str, list[Selected]] = {}
        for event, subject in kin.subjects(events):
            groups.setdefault(subject, []).append(event)
        for subject, group in groups.items():
            yield self._try(subject, group[0].account, group)

    def _try(self, subject: str, account: str, group: Sequence[Selected]) -> Change:
        try:
            return self._together(subject, account, group)
        except Exception as error:
            if is_contention(error):
                return Change(
                    subject, account, (), Written(), trouble="a worker is at it just now: look again"
                )
            if is_unavailable(error):
                raise
            return self._failing(subject, account, group, error)

    def _failing(self, subject: str, account: str, group: Sequence[Selected], error: Exception) -> Change:
        # The database refused one of them: alone, the others show what they would do.
        if len(group) == 1:
            event = group[0]
            detail = f"{type(error).__name__}: {error}"[:300]
            tried = Tried(event.event_id, event.type, event.status, EventStatus.DEAD, detail)
            return Change(subject, account, (tried,), Written())
        parts = [self._try(subject, account, [event]) for event in group]
        return Change(
            subject,
            account,
            tuple(tried for part in parts for tried in part.events),
            Written.joined([part.written for part in parts]),
            tuple(call for part in parts for call in part.calls),
            tuple(question for part in parts for question in part.depends),
            "tried one by one: what one of them changes is not seen by the next",
        )

    def _together(self, subject: str, account: str, group: Sequence[Selected]) -> Change:
        ids = RecordingIds(self.rules.make_id)
        wanted = [event.id for event in group]
        brought = self.rules.payloads.bring(self.engine, wanted)
        with self.engine.connect() as connection, connection.begin() as transaction:
            try:
                items = with_payloads(inbox.lock_any(connection, wanted), brought)
                result = Batch(dataclasses.replace(self.rules, make_id=ids), connection).run(items)
                calls = list(self._calls(connection, ids, result))
                written = written_by(connection, ids.drawn)
            finally:
                transaction.rollback()
        return Change(
            subject, account, _tried(items, result), written, tuple(calls), tuple(_questions(items, result))
        )

    def _calls(self, connection: Connection, ids: RecordingIds, result: BatchResult) -> Iterator[str]:
        rules = dataclasses.replace(self.sending, make_id=ids)
        for request_id in dict.fromkeys(result.requests):
            for step in Desk(rules, connection).run([Job(request_id)]):
                if step.turn is not None:
                    yield _call(step.turn)


def _tried(items: Sequence[WorkItem], result: BatchResult) -> tuple[Tried, ...]:
    known = {item.id: item for item in items}
    return tuple(
        Tried(outcome.event_id, outcome.type, known[outcome.inbox_id].status, outcome.status, outcome.detail)
        for outcome in sorted(result.outcomes, key=lambda outcome: outcome.inbox_id)
    )


def _questions(items: Sequence[WorkItem], result: BatchResult) -> Iterator[str]:
    known = {item.id: item for item in items}
    for inbox_id in dict.fromkeys([*result.lookups, *result.asked_again]):
        item = known[inbox_id]
        yield f"{item.object_id or item.account} as Stripe has it now ({item.type})"


def _call(turn: Turn) -> str:
    name = public_id(turn.request_id)
    if turn.look_up:
        return f"look for the {turn.leg.kind} of {name}"
    call: Any = thawed(turn.attempt)
    return f"{call.call} of {turn.leg.amount_minor} {turn.leg.currency} for {name}"
