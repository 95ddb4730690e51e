"""Registering partners, and keeping what is known of their Stripe accounts up to date."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from payouts.errors import NotFoundError, ReferenceTakenError, RefusedError
from payouts.ids import IdMaker
from payouts.money import check_currency
from payouts.partner import Partner, PartnerState
from payouts.people import Actor, Scope
from payouts.storage import audit_rows
from payouts.storage.money_tables import REFERENCE_CHARS
from payouts.storage.partner_rows import PARTNERS, find_partner
from payouts.stripe_account import AccountObject, facts_of

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,59}")


@dataclass(frozen=True, slots=True)
class NewPartner:
    """What the portal says of a partner. `reference` is the portal's own name for it."""

    reference: str
    account: str
    name: str
    email: str
    currency: str


def register(
    connection: Connection, wanted: NewPartner, actor: Actor, make_id: IdMaker, now_ms: int
) -> Partner:
    """Register a partner, or return the one registered with the same content before.

    Raises RefusedError `bad_partner` or `bad_currency`; ReferenceTakenError where the reference or the Stripe
    account belongs to another partner.
    """
    actor.require(Scope.OPERATE)
    wanted = _checked(wanted)
    held = find_partner(connection, wanted.reference) or find_partner(connection, wanted.account)
    if held is not None:
        return _same(held, wanted)
    unknown: dict[str, Any] = dict.fromkeys(_UNKNOWN_AT_FIRST)
    partner = Partner(
        **dataclasses.asdict(wanted),
        **unknown,
        id=make_id(),
        state=PartnerState.UNVERIFIED,
        state_reason="Stripe was not asked about the account yet",
        schedule="none",
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    try:
        PARTNERS.insert(connection, [partner])
    except IntegrityError:
        held = find_partner(connection, wanted.reference) or find_partner(connection, wanted.account)
        if held is None:
            raise
        return _same(held, wanted)
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action="partner.register",
        subject=partner.reference,
        account=partner.account,
        details={"currency": partner.currency},
    )
    return partner


_UNKNOWN_AT_FIRST = (
    *("payouts_enabled", "transfers_capability", "requirements", "manual_schedule", "bank_account"),
    *("bank_fingerprint", "bank_status", "bank_label", "bank_since_ms", "bank_approved", "schedule_day"),
    *("schedule_minimum_minor", "sending_request_id", "refreshed_at_ms"),
)


def refreshed(partner: Partner, account: AccountObject, asked_at_ms: int) -> Partner:
    """The partner as its Stripe account now says. `asked_at_ms`: when the question began.

    A bank account with another id or fingerprint is new from now on; what a person approved stays noted, and
    counts only for the bank account that it was given for. A partner that is blocked stays blocked.
    """
    facts = facts_of(account, partner.currency)
    if partner.state == PartnerState.BLOCKED:
        facts |= {"state": partner.state, "state_reason": partner.state_reason}
    was = (partner.bank_account, partner.bank_fingerprint)
    changed = was != (facts["bank_account"], facts["bank_fingerprint"])
    since_ms = asked_at_ms if changed else partner.bank_since_ms
    return dataclasses.replace(
        partner,
        **facts,
        bank_since_ms=since_ms if facts["bank_account"] else None,
        refreshed_at_ms=asked_at_ms,
        updated_at_ms=max(asked_at_ms, partner.updated_at_ms),
    )


def the_partner(connection: Connection, key: str) -> Partner:
    """The partner with this reference, Stripe account or row id. Raises NotFoundError."""
    partner = find_partner(connection, key)
    if partner is None:
        raise NotFoundError(f"there is no partner {key}: `payouts partner list` shows them")
    return partner


def _checked(wanted: NewPartner) -> NewPartner:
    wanted = dataclasses.replace(
        wanted,
        **{
            name: " ".join(getattr(wanted, name).split())
            for name in ("reference", "account", "name", "email")
        },
        currency=check_currency(wanted.currency),
    )
    problems = {
        f"a reference of 1 to {REFERENCE_CHARS} characters": 0 < len(wanted.reference) <= REFERENCE_CHARS,
        "a reference that is no number and does not begin with acct_": not (
            wanted.reference.isdigit() or wanted.reference.startswith("acct_")
        ),
        "its Stripe account, as acct_…": bool(_ACCOUNT.fullmatch(wanted.account)),
        "a name of 1 to 255 characters": 0 < len(wanted.name) <= 255,
        "an e-mail address": bool(_EMAIL.fullmatch(wanted.email)) and len(wanted.email) <= 320,
    }
    missing = [what for what, fits in problems.items() if not fits]
    if missing:
        raise RefusedError("bad_partner", f"a partner needs {', and '.join(missing)}")
    return wanted


def _same(held: Partner, wanted: NewPartner) -> Partner:
    if (held.reference, held.account, held.currency) == (wanted.reference, wanted.account, wanted.currency):
        return held
    raise ReferenceTakenError(
        f"{held.reference} is registered with {held.account} in {held.currency.upper()}: "
        "neither that reference nor that account can be used for another partner"
    )
