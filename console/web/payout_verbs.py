"""What a person may do about a payout now: the verbs that its state allows, each with what it will do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from console.web.verb import Verb
from payouts.canceling import CANCELABLE
from payouts.history import STOPPABLE
from payouts.holds import Hold, HoldKind, HoldScope
from payouts.leg import Attempt, Leg
from payouts.money import format_money
from payouts.partner import Partner
from payouts.people import Scope
from payouts.plan import last_leg
from payouts.readiness import NOT_APPROVED, GateRules, partner_stop
from payouts.request import PayoutRequest
from payouts.states import AttemptStatus, LegKind, LegStatus, RequestStatus

HOLDABLE = (*STOPPABLE, RequestStatus.RETURNED, RequestStatus.UNCLEAR)
"""Where a hold makes a difference: what is at Stripe goes on, and what has ended stays as it is."""


@dataclass(frozen=True, slots=True)
class Case:
    """A requested payout, with what its verbs depend on."""

    request: PayoutRequest
    partner: Partner | None
    holds: Sequence[Hold]
    """Those that lie over it; released ones count for nothing."""
    seen: int | None
    """Its newest move: what is done from this page is done only where no other one came since."""
    actor: str
    at_ms: int
    rules: GateRules
    legs: Sequence[Leg] = ()
    attempts: Sequence[Attempt] = ()
    partner_is_busy: bool = False
    """Whether another payout of the partner is being sent, taken back, or unclear."""

    def verbs(self) -> list[Verb]:
        """Every verb that the state allows; where something else is in the way, with why not."""
        return [*self._decide(), *self._mend(), *self._find_out(), *self._hold(), *self._cancel()]

    def decisions(self) -> list[Verb]:
        """Approve and reject alone."""
        return [*self._decide()]

    def _decide(self) -> Iterator[Verb]:
        waits = self.request.status == RequestStatus.AWAITING_APPROVAL or (
            self.request.status == RequestStatus.QUEUED and self.request.blocked == NOT_APPROVED
        )
        if not waits:
            return
        own = "you asked for it yourself: somebody else decides" if self._is_own else None
        asked = f"{self.request.requested_by} asked for it."
        yield self._verb(
            "approve",
            f"Sends {self._money} to {self._to} {self._when}. {asked}",
            scope=Scope.APPROVE,
            why_not=own,
        )
        yield self._verb(
            "reject",
            f"Ends it: nothing is sent, and {self._money} is owed to {self._name} again. {asked}",
            scope=Scope.APPROVE,
            why_not=own,
            danger=True,
        )

    def _mend(self) -> Iterator[Verb]:
        returned = self.request.status == RequestStatus.RETURNED
        busy = "another payout of this partner is being sent" if self.partner_is_busy else None
        if returned:
            transfer = last_leg(self.legs, LegKind.TRANSFER)
            whole = transfer and transfer.status == LegStatus.DONE and not transfer.reversed_minor
            broken = None if whole else "its transfer was taken back, at least in part"
            yield self._verb(
                "retry",
                f"Pays {self._money} out again to {self._to} {self._when}: a new payout from the partner's "
                "Stripe account, where the money lies, without a second transfer.",
                why_not=broken or busy,
            )
        if returned or self._is_stranded:
            yield self._verb(
                "reverse",
                f"Takes the transfer of {self._money} back from the Stripe account of {self._name}; it is "
                "then owed to the partner again.",
                why_not=busy,
                danger=True,
            )

    def _find_out(self) -> Iterator[Verb]:
        if self.request.status != RequestStatus.UNCLEAR:
            return
        yield self._verb(
            "look",
            f"Asks Stripe once more what became of {self._money} to {self._name}. Nothing is sent.",
            label="Look at Stripe",
        )
        yield self._verb(
            "never-made",
            f"Sends {self._money} to {self._to} anew, with a new key, because you found out at Stripe that "
            "it was never made. If it was, the partner is paid twice.",
            label="Never made: send anew",
            scope=Scope.APPROVE,
            why_not="you asked for it yourself: somebody else says so" if self._is_own else None,
            danger=True,
        )

    def _hold(self) -> Iterator[Verb]:
        held = self._own_hold
        if held is not None:
            yield self._verb(
                "release",
                f"Lets {self._money} to {self._name} go: it is looked at again at once. {held.placed_by} "
                f"holds it back since: {held.reason}",
            )
        elif self.request.status in HOLDABLE:
            yield self._verb(
                "hold",
                f"Keeps {self._money} to {self._name} from being sent until somebody releases it. What is at "
                "Stripe already goes on.",
            )

    def _cancel(self) -> Iterator[Verb]:
        if self.request.status not in CANCELABLE:
            return
        begun = self._has_open_attempt or any(leg.stripe_id for leg in self.legs)
        at_it = "a worker is at it at this moment" if self.request.lease_until_ms > self.at_ms else None
        yield self._verb(
            "cancel",
            f"Calls it off: nothing is sent, and {self._money} is owed to {self._name} again.",
            why_not="Stripe has, or may have, its transfer" if begun else at_it,
            danger=True,
        )

    def _verb(
        self,
        name: str,
        says: str,
        *,
        label: str = "",
        scope: Scope = Scope.OPERATE,
        why_not: str | None = None,
        danger: bool = False,
    ) -> Verb:
        return Verb(
            label or name.capitalize(),
            says,
            f"/payouts/{self.request.public_id}/{name}",
            scope=scope,
            hidden=() if self.seen is None else (("seen", str(self.seen)),),
            danger=danger,
            why_not=why_not,
        )

    @property
    def _money(self) -> str:
        return format_money(self.request.amount_minor, self.request.currency)

    @property
    def _name(self) -> str:
        return f"{self.partner.name} ({self.partner.reference})" if self.partner else self.request.account

    @property
    def _to(self) -> str:
        bank = self.partner and (self.partner.bank_label or self.partner.bank_account)
        return f"{self._name}, bank account {bank}," if bank else self._name

    @property
    def _when(self) -> str:
        """Now, or once what else is in the way is gone."""
        held = next((hold for hold in self.holds if hold.active), None)
        stop = partner_stop(self.partner, self.rules, self.at_ms) if self.partner else None
        if held is not None:
            return f"once it is held back no more ({held.reason})"
        return f"once nothing else is in its way ({stop.text})" if stop else "now"

    @property
    def _is_own(self) -> bool:
        return self.request.requested_by == self.actor

    @property
    def _has_open_attempt(self) -> bool:
        return any(attempt.status == AttemptStatus.OPEN for attempt in self.attempts)

    @property
    def _is_stranded(self) -> bool:
        """Transferred, not paid out, and no call for it is open or under way."""
        transfer, payout = last_leg(self.legs, LegKind.TRANSFER), last_leg(self.legs, LegKind.PAYOUT)
        return (
            self.request.status == RequestStatus.SENDING
            and transfer is not None
            and transfer.status == LegStatus.DONE
            and (payout is None or payout.stripe_id is None)
            and not self._has_open_attempt
            and self.request.lease_until_ms <= self.at_ms
        )

    @property
    def _own_hold(self) -> Hold | None:
        on_it = (HoldScope.REQUEST, str(self.request.id))
        return next(
            (h for h in self.holds if h.active and h.kind == HoldKind.MANUAL and h.target == on_it), None
        )
