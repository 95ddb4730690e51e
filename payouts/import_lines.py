"""Files of partners, of credits and debits, and of opening balances."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from payouts.crediting import Cause, Change, check_partner_currency, partner_entry, post_once
from payouts.csv_lines import Line
from payouts.errors import NotFoundError, RefusedError
from payouts.importing import Done, Part, each_line
from payouts.ledger import Entry
from payouts.money import parse_money
from payouts.partner import Partner
from payouts.people import Scope
from payouts.registering import NewPartner, register_quietly
from payouts.storage.partner_rows import partners_by_reference
from payouts.words import shortened


class PartnerFile:
    """One partner a line."""

    name = "partners"
    scope = Scope.OPERATE
    required: Sequence[str] = ("reference", "account", "name", "email", "currency")
    optional: Sequence[str] = ()

    def write(self, part: Part, lines: Sequence[Line]) -> Done:
        """Register those that are new. RefusedError never: each line is judged by itself."""

        def take(line: Line) -> bool:
            wanted = NewPartner(*(line.get(column) for column in self.required))
            return register_quietly(part.connection, wanted, part.actor, part.make_id, part.now_ms)[1]

        return each_line(lines, part, take)


class CreditFile:
    """One credit a line, or with an amount below zero one debit."""

    name = "credits"
    scope = Scope.CREDIT
    required: Sequence[str] = ("partner", "amount", "currency", "reference")
    optional: Sequence[str] = ("effective_date", "description")

    def write(self, part: Part, lines: Sequence[Line]) -> Done:
        """Post those that are new, all at once. RefusedError where one of them cannot be posted."""
        known = partners_by_reference(part.connection, (line.get("partner") for line in lines))
        items: list[tuple[Change, Entry]] = []

        def take(line: Line) -> bool:
            items.extend(self._items(line, partner_of(line, known), part))
            return True

        read = each_line(lines, part, take)
        posted = post_once(part.connection, items, part.make_id, part.now_ms)
        new = sum(each.is_new for each in posted)
        return Done(new, read.new - new)

    def _items(self, line: Line, partner: Partner, part: Part) -> list[tuple[Change, Entry]]:
        change = change_in(line, partner, line.get("reference"))
        cause = Cause.CREDIT if change.amount_minor > 0 else Cause.DEBIT
        return [(change, partner_entry(cause, partner, change, part.actor, part.now_ms))]


class BalanceFile(CreditFile):
    """What each partner was owed when this service began: more than nothing, nothing, or less. Without the
    payouts that are in flight, which have a file of their own."""

    name = "balances"
    required = ("partner", "amount", "currency")
    optional = ("reference", "effective_date", "description")

    def _items(self, line: Line, partner: Partner, part: Part) -> list[tuple[Change, Entry]]:
        change = change_in(line, partner, line.get("reference") or "balance")
        if change.amount_minor == 0:
            return []
        return [(change, partner_entry(Cause.OPENING, partner, change, part.actor, part.now_ms))]


def partner_of(line: Line, known: Mapping[str, Partner]) -> Partner:
    """The partner that a line names. Raises NotFoundError."""
    reference = line.get("partner")
    if reference not in known:
        raise NotFoundError(f"there is no partner {shortened(reference)}: import the partners first")
    return known[reference]


def change_in(line: Line, partner: Partner, reference: str) -> Change:
    """What a line posts. RefusedError with the column's code."""
    currency = check_partner_currency(partner, line.get("currency"))
    return Change(
        parse_money(line.get("amount"), currency),
        currency,
        reference,
        line.get("description") or None,
        _date_ms(line.get("effective_date")),
    )


def _date_ms(text: str) -> int | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise RefusedError(
            "bad_date", f"{shortened(text)} is no date: write it as 2026-10-31 or 2026-10-31T12:00:00Z"
        ) from None
