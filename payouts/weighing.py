"""The ledger's balances against Stripe's. Pure.

Both change while one is read after the other, so the ledger is read on both sides of Stripe's answer, with
what was under way then: a difference that these can explain is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from payouts.difference import DifferenceKind, Finding
from payouts.money import decimal_text, format_money
from payouts.states import LegKind
from payouts.storage.columns import PLATFORM

UnderWay = Mapping[tuple[str, LegKind], int]
Reading = tuple[Mapping[str, int], UnderWay]
"""What the ledger says by currency, and what may have been done at Stripe and is not in it yet."""


@dataclass(slots=True)
class Weighed:
    """What came of it. `even`: the subjects that are sure to agree; what is neither is not known."""

    kind: DifferenceKind
    findings: list[Finding] = field(default_factory=list)
    even: set[str] = field(default_factory=set)


def weigh(account: str, readings: Sequence[Reading], theirs: Mapping[str, int]) -> Weighed:
    """Compare the platform's balance, or whether a partner's account holds at least our money."""
    is_platform = account == PLATFORM
    kind = DifferenceKind.PLATFORM_BALANCE if is_platform else DifferenceKind.ACCOUNT_BALANCE
    weighed = Weighed(kind)
    for currency in sorted({name for balances, _ in readings for name in balances}):
        known = [balances.get(currency, 0) for balances, _ in readings]
        less = max(_leaving(under_way, currency, is_platform) for _, under_way in readings)
        more = max(_coming(under_way, currency, is_platform) for _, under_way in readings)
        stripe_minor = theirs.get(currency, 0)
        subject = f"balance:{currency}"
        too_little = stripe_minor < min(known) - less
        too_much = is_platform and stripe_minor > max(known) + more
        if too_little or too_much:
            nearest = min(known) if too_little else max(known)
            weighed.findings.append(_finding(kind, account, subject, currency, nearest, stripe_minor))
        elif stripe_minor >= min(known) and (stripe_minor <= max(known) or not is_platform):
            weighed.even.add(subject)
    return weighed


def as_if_sent(reading: Reading, shadowed: Mapping[str, int]) -> Reading:
    """A reading of the platform's as it were, had what shadow mode decided been sent: the system before may
    have sent it, or not yet."""
    balances, under_way = reading
    return {name: amount - shadowed.get(name, 0) for name, amount in balances.items()}, under_way


def _leaving(under_way: UnderWay, currency: str, is_platform: bool) -> int:
    kinds = (LegKind.TRANSFER,) if is_platform else (LegKind.PAYOUT, LegKind.REVERSAL)
    return sum(under_way.get((currency, kind), 0) for kind in kinds)


def _coming(under_way: UnderWay, currency: str, is_platform: bool) -> int:
    return under_way.get((currency, LegKind.REVERSAL), 0) if is_platform else 0


def _finding(
    kind: DifferenceKind, account: str, subject: str, currency: str, ours_minor: int, theirs_minor: int
) -> Finding:
    ours, theirs = format_money(ours_minor, currency), format_money(theirs_minor, currency)
    apart_minor, is_less = abs(ours_minor - theirs_minor), theirs_minor < ours_minor
    apart = format_money(apart_minor, currency)
    text = f"Stripe holds {apart} {'less' if is_less else 'more'} than our books say: {theirs}, not {ours}"
    remedy = f"payouts partner show {account}"
    if kind == DifferenceKind.PLATFORM_BALANCE:
        # Where it came or went without a payout, which a person finds out first.
        drawn = " --drawn" if is_less else ""
        remedy = f"payouts ledger fund {decimal_text(apart_minor, currency)} {currency}{drawn} --reference …"
    return Finding(kind, account, subject, text, remedy, currency, ours, theirs)
