"""What differs between an object at Stripe and our books, and whether the state machine can heal it. Pure."""

from dataclasses import dataclass

from payouts.calls import METADATA_LEG, METADATA_REQUEST
from payouts.clock import iso
from payouts.difference import DifferenceKind, Finding
from payouts.event import PayoutObject, id_of
from payouts.leg import Leg
from payouts.machine import Applied, Dead, Ignored, Payout, decide
from payouts.money import format_money
from payouts.request import public_id, row_id_of
from payouts.states import RANK, LegKind
from payouts.storage.columns import PLATFORM
from payouts.transfer import TransferObject, leg_id_in

K = DifferenceKind


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison found. `heals`: the object, settled as its event would be, mends that."""

    finding: Finding
    heals: bool = False


def compare_payout(account: str, seen: PayoutObject, held: Payout | None, leg: Leg | None) -> Verdict | None:
    """Compare a payout on `account` with the row held and the leg that it names, or that holds it."""
    about = _about(account, seen, leg)
    names = leg_id_in(seen.metadata, METADATA_LEG)
    is_reversal = seen.amount < 0  # an object of its own, whatever it took over from the payout it reverses
    if leg is not None and (is_reversal or leg.kind != LegKind.PAYOUT or leg.account != account):
        leg = None
    if names is not None and leg is None and not is_reversal:
        return Verdict(about.no_such_leg(names))
    if leg is not None:
        trouble = about.against_leg(leg)
        if trouble:
            return Verdict(trouble)
        if leg.stripe_id is None or (held is not None and held.request_id is None):
            return Verdict(about.leg_is_open(leg), heals=True)
    if held is None:
        text = f"Stripe has the payout as {seen.status}; no event of it has come"
        return Verdict(about.says(K.NOT_SEEN, text, None, seen.status), heals=True)
    return _compare_status(about, seen, held)


def compare_transfer(seen: TransferObject, leg: Leg | None) -> Verdict | None:
    """Compare a transfer with the leg that holds it, or that it names; None also where it is not ours."""
    about = _about(PLATFORM, seen, leg)
    names = leg_id_in(seen.metadata, METADATA_LEG)
    if leg is None or leg.kind != LegKind.TRANSFER:
        return Verdict(about.no_such_leg(names)) if names is not None else None
    trouble = about.against_leg(leg)
    if trouble:
        return Verdict(trouble)
    to = id_of(seen.destination)
    if to is not None and to != leg.account:
        text = f"the transfer for {leg.account} went to {to}"
        return Verdict(about.says(K.DESTINATION, text, leg.account, to))
    if leg.stripe_id is None:
        return Verdict(about.leg_is_open(leg), heals=True)
    if seen.amount_reversed != leg.reversed_minor:
        ours = format_money(leg.reversed_minor, leg.currency)
        theirs = format_money(seen.amount_reversed, leg.currency)
        text = f"{ours} of the transfer came back by our books, {theirs} at Stripe"
        return Verdict(about.says(K.REVERSED_AMOUNT, text, ours, theirs))
    return None


def missing_at_stripe(account: str, stripe_id: str, amount_minor: int, currency: str) -> Finding:
    """The finding for an object that we hold and Stripe does not."""
    what = "transfer" if stripe_id.startswith("tr_") else "payout"
    amount = format_money(amount_minor, currency)
    text = f"our books have a {what} of {amount} that Stripe does not have"
    return Finding(
        K.MISSING_AT_STRIPE, account, stripe_id, text, _check(stripe_id, account), currency, amount, None
    )


def _compare_status(about: "_About", seen: PayoutObject, held: Payout) -> Verdict | None:
    decision = decide(held, seen, about.account, confirmed=True)
    ours, theirs = str(held.status or "not known"), str(seen.business_status or seen.status)
    if isinstance(decision, Dead):
        ours = f"{format_money(held.amount_minor, held.currency)} on {held.account}"
        return Verdict(about.says(K.AMOUNT, decision.reason, ours, f"{about.amount} on {about.account}"))
    if isinstance(decision, Applied) and decision.transition is not None:
        text = f"the payout is {ours} here and {theirs} at Stripe"
        return Verdict(about.says(K.STATUS, text, ours, theirs), heals=True)
    ahead = seen.business_status is not None and RANK[held.status] > RANK[seen.business_status]
    if isinstance(decision, Ignored) and ahead:
        text = f"the payout is {ours} here and only {theirs} at Stripe"
        return Verdict(about.says(K.STATUS, text, ours, theirs))
    return None


@dataclass(frozen=True, slots=True)
class _About:
    """The object that is compared, and the findings that both kinds of objects share."""

    account: str
    stripe_id: str
    amount_minor: int
    currency: str
    leg: Leg | None
    request: str | None = None
    """The request that the object names."""
    made_s: int | None = None

    @property
    def amount(self) -> str:
        return format_money(self.amount_minor, self.currency.lower())

    def says(self, kind: DifferenceKind, text: str, ours: str | None, theirs: str | None) -> Finding:
        remedy = _check(self.stripe_id, self.account)
        if self.leg is not None:
            remedy = f"payouts payout show {public_id(self.leg.request_id)}"
        return Finding(
            *(kind, self.account, self.stripe_id, text, remedy, self.currency.lower()[:3], ours, theirs)
        )

    def no_such_leg(self, leg_id: int) -> Finding:
        named = f"{self.request} with the leg {leg_id}" if self.request else f"the leg {leg_id}"
        made = f", made {iso(self.made_s * 1000)}" if self.made_s else ""
        text = f"Stripe has {self.amount}{made}, for {named}: there is no such leg here"
        return self.says(K.MISSING_HERE, text, None, self.amount)

    def leg_is_open(self, leg: Leg) -> Finding:
        text = f"Stripe has made what {public_id(leg.request_id)} asked for, and that is not recorded"
        return self.says(K.LEG_OPEN, text, leg.stripe_id or str(leg.status), self.stripe_id)

    def against_leg(self, leg: Leg) -> Finding | None:
        """What no answer of Stripe's may do to a leg: another amount, or a second object."""
        if leg.stripe_id not in (None, self.stripe_id):
            text = (
                f"Stripe has a second object for one leg of {public_id(leg.request_id)}: perhaps paid twice"
            )
            return self.says(K.SECOND_OBJECT, text, leg.stripe_id, self.stripe_id)
        if (leg.amount_minor, leg.currency) != (self.amount_minor, self.currency.lower()):
            ours = format_money(leg.amount_minor, leg.currency)
            text = f"{public_id(leg.request_id)} asked for {ours}, Stripe has {self.amount}"
            return self.says(K.AMOUNT, text, ours, self.amount)
        return None


def _about(account: str, seen: PayoutObject | TransferObject, leg: Leg | None) -> _About:
    named = str((seen.metadata or {}).get(METADATA_REQUEST) or "")
    request = public_id(row_id) if (row_id := row_id_of(named)) is not None else None
    return _About(account, seen.id, seen.amount, seen.currency, leg, request, seen.created)


def _check(stripe_id: str, account: str) -> str:
    if stripe_id.startswith("po_"):
        return f"payouts reconcile run --payout {stripe_id}"
    return f"payouts reconcile run --account {account}"
