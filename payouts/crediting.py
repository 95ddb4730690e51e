"""Credits and debits: the portal says what a partner has earned, and what it takes back."""

from dataclasses import dataclass

from sqlalchemy import Connection

from payouts import ledger
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.ledger import Entry
from payouts.money import AMOUNT_BELOW_MINOR, check_currency
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.storage import audit_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.ledger_rows import NO_PARTNER, post

CHARS_OF_A_REFERENCE = 100
"""What is left for the caller's own part of a posting's reference."""


@dataclass(frozen=True, slots=True)
class Change:
    """A credit (more than nothing) or a debit (less) of a partner.

    `reference` is the caller's own and unique: the same one with the same content changes nothing more.
    """

    amount_minor: int
    currency: str
    reference: str
    description: str | None = None
    effective_at_ms: int | None = None
    """When it counts, for statements; None: now."""


def change_owed(
    connection: Connection, partner: Partner, change: Change, actor: Actor, make_id: IdMaker, now_ms: int
) -> bool:
    """Post a credit or a debit; False where it was posted before, with the same content.

    Raises RefusedError `wrong_currency`, `bad_amount` or `bad_reference`; ReferenceTakenError.
    """
    actor.require(Scope.CREDIT)
    currency = check_currency(change.currency)
    if currency != partner.currency:
        raise RefusedError(
            "wrong_currency",
            f"{partner.reference} is paid in {partner.currency.upper()}: {currency.upper()} is neither taken "
            "nor converted",
        )
    reference = _checked(change)
    kind = "credit" if change.amount_minor > 0 else "debit"
    movements = (ledger.credit if change.amount_minor > 0 else ledger.debit)(abs(change.amount_minor))
    entry = Entry(
        kind=kind,
        reference=f"{kind}:{reference}",
        account=partner.account,
        partner_id=partner.id,
        currency=currency,
        movements=movements,
        effective_at_ms=now_ms if change.effective_at_ms is None else change.effective_at_ms,
        description=change.description[:255] if change.description else None,
        actor=actor.name,
    )
    if not post(connection, [entry], make_id, now_ms):
        return False
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action=f"partner.{kind}",
        subject=partner.reference,
        account=partner.account,
        reason=entry.description,
        details={
            "amount_minor": change.amount_minor,
            "currency": currency,
            "reference": reference,
        },
    )
    return True


def fund(connection: Connection, change: Change, actor: Actor, make_id: IdMaker, now_ms: int) -> bool:
    """Note that the platform's Stripe balance was filled up (or drawn from); False where it was noted before.

    Raises as `change_owed` does.
    """
    actor.require(Scope.CREDIT)
    reference, currency = _checked(change), check_currency(change.currency)
    entry = Entry(
        kind="funding",
        reference=f"fund:{reference}",
        account=PLATFORM,
        partner_id=NO_PARTNER,
        currency=currency,
        movements=ledger.funding(change.amount_minor),
        effective_at_ms=now_ms if change.effective_at_ms is None else change.effective_at_ms,
        description=change.description[:255] if change.description else None,
        actor=actor.name,
    )
    if not post(connection, [entry], make_id, now_ms):
        return False
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action="ledger.fund",
        subject=PLATFORM,
        details={"amount_minor": change.amount_minor, "currency": currency, "reference": reference},
    )
    return True


def _checked(change: Change) -> str:
    if not 0 < abs(change.amount_minor) < AMOUNT_BELOW_MINOR:
        raise RefusedError(
            "bad_amount", f"an amount is not nothing, and no fortune: not {change.amount_minor}"
        )
    reference = change.reference.strip()
    if not 0 < len(reference) <= CHARS_OF_A_REFERENCE or not reference.isprintable():
        raise RefusedError(
            "bad_reference",
            f"a reference has 1 to {CHARS_OF_A_REFERENCE} characters, and names this change alone",
        )
    return reference
