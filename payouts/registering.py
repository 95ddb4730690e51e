"""Registering partners, and keeping what is known of their Stripe accounts up to date."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from payouts.errors import NotFoundError, ReferenceTakenError, RefusedError, RowIdTakenError
from payouts.ids import IdMaker
from payouts.money import check_currency
from payouts.partner import NO_SCHEDULE, Partner, PartnerState, bank_is_new
from payouts.people import Actor, Scope
from payouts.storage import audit_rows
from payouts.storage.money_tables import REFERENCE_CHARS
from payouts.storage.partner_rows import PARTNERS, find_partner
from payouts.stripe_account import AccountObject, facts_of
from payouts.words import check_email, check_name, check_reference, shortened

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

    Raises RefusedError `bad_reference`, `bad_account`, `bad_name`, `bad_email` or `bad_currency`;
    ReferenceTakenError where the reference or the Stripe account is registered with other content.
    """
    partner, is_new = register_quietly(connection, wanted, actor, make_id, now_ms)
    if is_new:
        audit_rows.append(
            *(connection, make_id, now_ms),
            actor=actor.name,
            action="partner.register",
            subject=partner.reference,
            account=partner.account,
            details={"currency": partner.currency},
        )
    return partner


def register_quietly(
    connection: Connection, wanted: NewPartner, actor: Actor, make_id: IdMaker, now_ms: int
) -> tuple[Partner, bool]:
    """As `register`, for a caller that writes the audit log itself; and whether the partner is new."""
    actor.require(Scope.OPERATE)
    wanted = checked(wanted)
    held = _held(connection, wanted)
    if held is not None:
        return _same(held, wanted), False
    unknown: dict[str, Any] = dict.fromkeys(_UNKNOWN_AT_FIRST)
    partner = Partner(
        **dataclasses.asdict(wanted),
        **unknown,
        id=make_id(),
        state=PartnerState.UNVERIFIED,
        state_reason="Stripe was not asked about the account yet",
        schedule=NO_SCHEDULE,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    try:
        PARTNERS.insert(connection, [partner])
    except IntegrityError:
        held = _held(connection, wanted)
        if held is None:
            raise RowIdTakenError(f"the row id {partner.id} of a new partner is taken") from None
        return _same(held, wanted), False
    return partner, True


def _held(connection: Connection, wanted: NewPartner) -> Partner | None:
    return find_partner(connection, wanted.reference) or find_partner(connection, wanted.account)


_UNKNOWN_AT_FIRST = (
    *("payouts_enabled", "transfers_capability", "requirements", "manual_schedule", "bank_account"),
    *("bank_fingerprint", "bank_status", "bank_label", "bank_since_ms", "bank_approved", "schedule_day"),
    *("schedule_minimum_minor", "refreshed_at_ms"),
)


def refreshed(partner: Partner, account: AccountObject, asked_at_ms: int) -> Partner:
    """The partner as its Stripe account now says. `asked_at_ms`: when the question began.

    A bank account with another id or fingerprint is new from now on; what a person approved stays noted, and
    counts only for the bank account that it was given for. A partner that is blocked stays blocked.
    """
    facts = facts_of(account, partner.currency)
    if partner.state == PartnerState.BLOCKED:
        facts |= {"state": partner.state, "state_reason": partner.state_reason}
    if "bank_account" in facts and bank_is_new(partner, facts):
        facts["bank_since_ms"] = asked_at_ms if facts["bank_account"] else None
    return dataclasses.replace(
        partner,
        **facts,
        refreshed_at_ms=asked_at_ms,
        updated_at_ms=max(asked_at_ms, partner.updated_at_ms),
    )


def the_partner(connection: Connection, key: str) -> Partner:
    """The partner with this reference, Stripe account or row id. Raises NotFoundError."""
    partner = find_partner(connection, key)
    if partner is None:
        raise NotFoundError(f"there is no partner {key}: `payouts partner list` shows them")
    return partner


def checked(wanted: NewPartner) -> NewPartner:
    """What was said of a partner, as it is kept. RefusedError as `register`."""
    reference = check_reference(wanted.reference, REFERENCE_CHARS)
    if reference.isdigit() or reference.startswith("acct_"):
        raise RefusedError(
            "bad_reference", "a reference is no number and does not begin with acct_: those name other things"
        )
    return NewPartner(
        reference,
        check_account(wanted.account),
        check_name(wanted.name),
        check_email(wanted.email),
        check_currency(wanted.currency),
    )


def check_account(text: str) -> str:
    """A connected account's id. RefusedError `bad_account`."""
    if not _ACCOUNT.fullmatch(text):
        raise RefusedError("bad_account", f"{shortened(text)} is no Stripe account: it is acct_…")
    return text


def _same(held: Partner, wanted: NewPartner) -> Partner:
    if (held.reference, held.account, held.currency) != (wanted.reference, wanted.account, wanted.currency):
        raise ReferenceTakenError(
            f"{held.reference} is registered with {held.account} in {held.currency.upper()}: "
            "neither that reference nor that account can be used for another partner"
        )
    if (held.name, held.email) != (wanted.name, wanted.email):
        raise ReferenceTakenError(
            f"{held.reference} is registered with another name or e-mail address: "
            "`payouts partner update` changes them"
        )
    return held
