"""Whether a partner can be paid as it stands: its account at Stripe, and its bank account. Pure."""

from dataclasses import dataclass
from typing import Any

import msgspec

from payouts.clock import iso
from payouts.partner import Partner, PartnerState

HOUR_MS = 3_600_000
UNUSABLE_BANK = frozenset({"errored", "verification_failed"})
"""A bank account's `status` at Stripe: payouts to it are refused until it is mended or replaced."""
WANTS_SHOWN = 5
NOT_APPROVED = "not_approved"
"""The code of a stop that a second person's approval ends."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a payout is not sent now. `until_ms` None: until somebody or something acts."""

    code: str
    text: str
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class GateRules:
    """What holds for every partner. A first bank account is a new one too."""

    cooling_off_ms: int = 24 * HOUR_MS
    """A new bank account is not paid to before it was known for so long."""
    bank_approval: bool = True
    """A new bank account must be approved by a person."""


def partner_stop(partner: Partner, rules: GateRules, now_ms: int) -> Stop | None:
    """Why `partner` cannot be paid now; None where it can."""
    if partner.state == PartnerState.BLOCKED:
        return Stop("partner_blocked", f"{partner.reference} is blocked{_why(partner)}")
    return _not_ready(partner) or _bank_stop(partner, rules, now_ms)


def still_wanted(partner: Partner) -> str:
    """What Stripe still wants of the partner, as a sentence's end; empty where nothing is known."""
    if not partner.requirements:
        return ""
    try:
        asked: dict[str, Any] = msgspec.json.decode(partner.requirements, type=dict[str, Any])
    except msgspec.MsgspecError:
        return ""
    wants = list(dict.fromkeys([*(asked.get("past_due") or []), *(asked.get("currently_due") or [])]))
    shown = ", ".join(map(str, wants[:WANTS_SHOWN]))
    more = f" and {len(wants) - WANTS_SHOWN} more" if len(wants) > WANTS_SHOWN else ""
    return f"; Stripe still wants {shown}{more}" if wants else ""


def _not_ready(partner: Partner) -> Stop | None:
    if partner.state != PartnerState.READY:
        what = f"{partner.reference} is {partner.state}{_why(partner)}"
    elif partner.transfers_capability not in (None, "active"):
        what = f"transfers to {partner.account} are {partner.transfers_capability}"
    elif partner.payouts_enabled is False:
        what = f"payouts from {partner.account} are switched off at Stripe"
    elif not partner.bank_account and not _bank_is_hidden(partner):
        what = f"{partner.reference} has no bank account for {partner.currency.upper()}"
    elif partner.bank_status in UNUSABLE_BANK:
        what = f"its bank account {_bank(partner)} is {partner.bank_status}: it must be mended or replaced"
    else:
        return None
    return Stop("partner_not_ready", f"{what}{still_wanted(partner)}")


def _bank_is_hidden(partner: Partner) -> bool:
    # Accounts that Stripe pays out by itself may keep theirs to themselves: then it is Stripe's to check.
    return partner.bank_account is None and partner.manual_schedule is False


def _bank_stop(partner: Partner, rules: GateRules, now_ms: int) -> Stop | None:
    if _bank_is_hidden(partner):
        return None
    if rules.bank_approval and partner.bank_approved != partner.bank_account:
        return Stop(
            "bank_unapproved", f"its new bank account {_bank(partner)} waits for a person to approve it"
        )
    until_ms = (partner.bank_since_ms or 0) + rules.cooling_off_ms
    if now_ms < until_ms:
        text = f"its bank account {_bank(partner)} is new: nothing is paid to it before {iso(until_ms)}"
        return Stop("bank_cooling_off", text, until_ms)
    return None


def _why(partner: Partner) -> str:
    return f": {partner.state_reason}" if partner.state_reason else ""


def _bank(partner: Partner) -> str:
    return partner.bank_label or partner.bank_account or ""
