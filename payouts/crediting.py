"""Credits and debits: the portal says what a partner has earned, and what it takes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from payouts import ledger
from payouts.clock import iso
from payouts.closing import check_open
from payouts.errors import ReferenceTakenError, RefusedError
from payouts.ids import IdMaker
from payouts.ledger import Entry, Movement
from payouts.money import check_amount, check_currency
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.storage import audit_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.ledger_queries import Transaction, find_transactions, postings_of
from payouts.storage.ledger_rows import NO_PARTNER, post
from payouts.words import check_description, check_reference

CHARS_OF_A_REFERENCE = 100
"""What is left for the caller's own part of a posting's reference."""


class Cause(StrEnum):
    """Why something changes without a payout; the first part of its reference."""

    CREDIT = "credit"
    DEBIT = "debit"
    OPENING = "opening"
    """What was owed when this service began, from the books kept before it. May be less than nothing."""
    FUND = "fund"
    """The platform's Stripe balance was filled up, or drawn from."""


@dataclass(frozen=True, slots=True)
class Change:
    """A credit (more than nothing) or a debit (less), of a partner or of the platform.

    `reference` is the caller's own and unique: the same one with the same content changes nothing more.
    """

    amount_minor: int
    currency: str
    reference: str
    description: str | None = None
    effective_at_ms: int | None = None
    """When it counts, for statements; None: now."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What a change came to. Not `is_new`: it was posted before, with the same reference and content."""

    transaction: Transaction
    is_new: bool


def change_owed(
    connection: Connection, partner: Partner, change: Change, actor: Actor, make_id: IdMaker, now_ms: int
) -> Posted:
    """Post a credit or a debit, or return the one posted before with the same reference and content.

    Raises RefusedError `wrong_currency`, `bad_amount`, `bad_reference`, `bad_description`, `bad_date` or
    `period_closed`; ReferenceTakenError where the reference stands for other content.
    """
    actor.require(Scope.CREDIT)
    cause = Cause.CREDIT if change.amount_minor > 0 else Cause.DEBIT
    entry = partner_entry(cause, partner, change, actor, now_ms)
    (posted,) = post_once(connection, [(change, entry)], make_id, now_ms)
    if posted.is_new:
        audit_rows.append(
            *(connection, make_id, now_ms),
            actor=actor.name,
            action=f"partner.{cause}",
            subject=partner.reference,
            account=partner.account,
            reason=entry.description,
            details=_details(entry, change),
        )
    return posted


def fund(connection: Connection, change: Change, actor: Actor, make_id: IdMaker, now_ms: int) -> Posted:
    """Note that the platform's Stripe balance was filled up (or drawn from), once for its reference.

    Raises as `change_owed` does.
    """
    actor.require(Scope.CREDIT)
    currency, movements = check_currency(change.currency), ledger.funding(_amount(change))
    entry = _entry(Cause.FUND, (PLATFORM, NO_PARTNER, currency), change, movements, actor, now_ms)
    (posted,) = post_once(connection, [(change, entry)], make_id, now_ms)
    if posted.is_new:
        audit_rows.append(
            *(connection, make_id, now_ms),
            actor=actor.name,
            action="ledger.fund",
            subject=PLATFORM,
            reason=entry.description,
            details=_details(entry, change),
        )
    return posted


def post_once(
    connection: Connection, items: Sequence[tuple[Change, Entry]], make_id: IdMaker, now_ms: int
) -> list[Posted]:
    """Post each change whose reference is new, and say for each what is there now.

    Raises RefusedError `bad_date` or `period_closed`, ReferenceTakenError; nothing may be committed then.
    """
    entries: dict[tuple[str, str], Entry] = {}
    for change, entry in items:
        first = entries.setdefault(_key(entry), entry)
        if (first.kind, first.movements) != (entry.kind, entry.movements):
            raise ReferenceTakenError(f"{change.reference!r} is used twice, with different amounts")
    earlier = find_transactions(connection, entries)
    _check_amounts(connection, earlier, entries)
    # What was posted before stays the answer, even if its month is closed by now.
    unknown = {key: entry for key, entry in entries.items() if key not in earlier}
    _check_dates(connection, [c for c, e in items if _key(e) in unknown], make_id, now_ms)
    new = {_key(entry) for entry in post(connection, list(unknown.values()), make_id, now_ms)}
    found = {**earlier, **find_transactions(connection, unknown)}
    posted = []
    for change, entry in items:
        key = _key(entry)
        _check_same(found[key], change, entry)
        posted.append(Posted(found[key], key in new))
        new.discard(key)  # of two that say the same, the first one was new
    return posted


def _key(entry: Entry) -> tuple[str, str]:
    return entry.account, entry.reference


def _check_amounts(
    connection: Connection,
    earlier: Mapping[tuple[str, str], Transaction],
    entries: Mapping[tuple[str, str], Entry],
) -> None:
    posted = postings_of(connection, [transaction.id for transaction in earlier.values()])
    for key, transaction in earlier.items():
        was = {posting.kind: posting.amount_minor for posting in posted.get(transaction.id, [])}
        if was != entries[key].sums():
            raise ReferenceTakenError(
                f"{transaction.reference!r} was posted before with other content: "
                "a correction needs a reference of its own"
            )


def partner_entry(cause: Cause, partner: Partner, change: Change, actor: Actor, now_ms: int) -> Entry:
    """The transaction that a change of a partner makes. RefusedError as `change_owed`."""
    currency = check_partner_currency(partner, change.currency)
    amount_minor = _amount(change)
    movements = ledger.credit(amount_minor) if amount_minor > 0 else ledger.debit(-amount_minor)
    return _entry(cause, (partner.account, partner.id, currency), change, movements, actor, now_ms)


def check_partner_currency(partner: Partner, currency: str) -> str:
    """The currency in lower case. RefusedError `wrong_currency` where it is not the partner's own."""
    code = currency.lower()
    if code != partner.currency:
        check_currency(code)
        raise RefusedError(
            "wrong_currency",
            f"{partner.reference} is paid in {partner.currency.upper()}: {code.upper()} is neither taken "
            "nor converted",
        )
    return code


def _check_dates(connection: Connection, changes: Sequence[Change], make_id: IdMaker, now_ms: int) -> None:
    dates = [change.effective_at_ms for change in changes if change.effective_at_ms is not None]
    for effective_at_ms in sorted({min(dates), max(dates)}) if dates else ():
        check_open(connection, effective_at_ms, make_id, now_ms)


def _check_same(posted: Transaction, change: Change, entry: Entry) -> None:
    """The amounts were compared when it was posted; these are the words and dates around them."""
    dated = change.effective_at_ms is not None
    same_date = not dated or posted.effective_at_ms == entry.effective_at_ms
    if not same_date or posted.description != entry.description:
        said = f" as {posted.description!r}" if posted.description else ""
        raise ReferenceTakenError(
            f"{change.reference!r} was posted before{said}, for {iso(posted.effective_at_ms)}: "
            "another posting needs another reference"
        )


def _entry(
    cause: Cause,
    of: tuple[str, int, str],
    change: Change,
    movements: tuple[Movement, ...],
    actor: Actor,
    now_ms: int,
) -> Entry:
    reference = check_reference(change.reference, CHARS_OF_A_REFERENCE)
    return Entry(
        cause,
        f"{cause}:{reference}",
        *of,
        movements,
        effective_at_ms=now_ms if change.effective_at_ms is None else change.effective_at_ms,
        description=check_description(change.description),
        actor=actor.name,
    )


def _amount(change: Change) -> int:
    check_amount(abs(change.amount_minor), change.currency)
    return change.amount_minor


def _details(entry: Entry, change: Change) -> dict[str, object]:
    details: dict[str, object] = {
        "amount_minor": change.amount_minor,
        "currency": entry.currency,
        "reference": entry.reference,
    }
    if change.effective_at_ms is not None:
        details["effective_at"] = iso(change.effective_at_ms)
    return details
