"""Payouts as they were seen, in an event or in an answer of Stripe's: decided on, then written in sets."""

import dataclasses
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from payouts.event import PayoutObject
from payouts.ids import IdMaker
from payouts.machine import Alert, Applied, Decision, Payout, decide, facts
from payouts.states import PayoutStatus
from payouts.storage.payout_rows import (
    Notice,
    TransitionRow,
    insert_notices,
    insert_payouts,
    insert_transitions,
    transition_notice,
    update_payouts,
)

FOREIGN = "foreign"
REQUESTED = "requested"
"""Where a payout comes from: asked for through this service, or not."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What showed a payout: an event of the inbox, or (without ids) the answer to a call."""

    account: str
    inbox_id: int | None = None
    event_id: str | None = None


@dataclass(slots=True)
class Sightings:
    """What one transaction saw of payouts and has yet to write."""

    make_id: IdMaker
    now_ms: int
    held: dict[str, Payout]
    """The payouts that exist, under lock, by Stripe's id."""
    decide: Callable[..., Decision] = decide
    born: dict[str, Payout] = field(default_factory=dict)
    changed: dict[str, Payout] = field(default_factory=dict)
    transitions: list[TransitionRow] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    _inserted: bool = False

    def fork(self) -> "Sightings":
        """A copy to go on with, that can be thrown away."""
        return dataclasses.replace(
            self,
            **{name: copy(getattr(self, name)) for name in ("born", "changed", "transitions", "notices")},
        )

    def payout(self, stripe_id: str) -> Payout | None:
        """The payout as it is after what was seen so far."""
        return self.born.get(stripe_id) or self.changed.get(stripe_id) or self.held.get(stripe_id)

    def known(self) -> dict[str, Payout]:
        """All payouts at hand, as they are after what was seen so far."""
        return {**self.held, **self.changed, **self.born}

    def see(
        self, cause: Cause, seen: PayoutObject, request_id: int | None = None, *, confirmed: bool = False
    ) -> Decision:
        """Decide on what was seen, and keep what the decision changes.

        `request_id`: the request that the payout belongs to, where that was found out.
        """
        current = self.payout(seen.id)
        decision = self.decide(current, seen, cause.account, confirmed=confirmed)
        if isinstance(decision, Applied):
            self._apply(cause, seen, current, decision, request_id)
        return decision

    def link(self, payout: Payout, request_id: int) -> Payout:
        """A payout that was taken for foreign belongs to a request of ours."""
        belongs: dict[str, Any] = {"request_id": request_id, "origin": REQUESTED}
        linked = dataclasses.replace(payout, **belongs, updated_at_ms=self.now_ms)
        self._keep(linked)
        self.notices = [
            dataclasses.replace(n, payout=dataclasses.replace(n.payout, **belongs))
            if n.payout.id == linked.id
            else n
            for n in self.notices
        ]
        return linked

    def alert(self, cause: Cause, payout: Payout, alerts: Sequence[Alert]) -> None:
        """Tell operators of something about a payout."""
        for alert in alerts:
            notice = Notice(self.make_id(), alert.name, payout, cause.event_id, self.now_ms, alert.text)
            self.notices.append(notice)

    def insert_born(self, connection: Connection) -> None:
        """Insert the payouts seen for the first time. IntegrityError where somebody was faster."""
        insert_payouts(connection, list(self.born.values()))
        self._inserted = True

    def write(self, connection: Connection) -> None:
        """Write all else."""
        update_payouts(connection, list(self.changed.values()))
        insert_transitions(connection, self.transitions)
        insert_notices(connection, self.notices)

    def _apply(
        self,
        cause: Cause,
        seen: PayoutObject,
        current: Payout | None,
        decision: Applied,
        request_id: int | None,
    ) -> None:
        changes: dict[str, Any] = {**decision.changes, "updated_at_ms": self.now_ms}
        if current is None:
            payout = self._new(cause, seen, changes, request_id)
        else:
            payout = dataclasses.replace(current, **changes)
        self._keep(payout, is_new=current is None)
        if decision.transition:
            row = TransitionRow(
                self.make_id(), payout, decision.transition, cause.inbox_id, cause.event_id, self.now_ms
            )
            self.transitions.append(row)
            self.notices.append(transition_notice(row, self.make_id()))
        self.alert(cause, payout, decision.alerts)

    def _keep(self, payout: Payout, *, is_new: bool = False) -> None:
        is_new = is_new or payout.stripe_id in self.born
        if is_new:
            self.born[payout.stripe_id] = payout
        if not is_new or self._inserted:
            self.changed[payout.stripe_id] = payout

    def _new(
        self, cause: Cause, seen: PayoutObject, changes: dict[str, Any], request_id: int | None
    ) -> Payout:
        values: dict[str, Any] = {
            **facts(seen),
            "id": self.make_id(),
            "stripe_id": seen.id,
            "account": cause.account,
            "status": None,
            "amount_minor": seen.amount,
            "currency": seen.currency.lower(),
            "origin": FOREIGN if request_id is None else REQUESTED,
            "livemode": seen.livemode,
            "unknown_status": None,
            "created_at_ms": self.now_ms,
            "request_id": request_id,
        }
        return Payout(**{**values, **changes})


def moves_of(transitions: Sequence[TransitionRow]) -> list[tuple[Payout, PayoutStatus | None]]:
    """Each payout of a request that moved, as it was right after the move, with the state before."""
    return [
        (row.payout, row.transition.from_status) for row in transitions if row.payout.request_id is not None
    ]
