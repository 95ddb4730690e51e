"""What the checks of the books found last: written by the worker that checks, read by pages."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker
from payouts.ledger import LedgerKind
from payouts.storage.check_tables import FIRST_CHARS, ledger_checks, ledger_sums
from payouts.storage.columns import PLATFORM
from payouts.storage.records import Records


@dataclass(frozen=True, slots=True)
class Checked:
    """A row of `ledger_checks`; the fields are its columns. `violations` ends at what a check shows."""

    id: int
    account: str
    name: str
    checked_at_ms: int
    held_at_ms: int | None
    violations: int
    first_text: str | None


@dataclass(frozen=True, slots=True)
class Counted:
    """A row of `ledger_sums`; the fields are its columns."""

    id: int
    account: str
    currency: str
    kind: LedgerKind
    amount_minor: int
    counted_at_ms: int


CHECKS = Records(ledger_checks, Checked, fixed={"id", "account", "name"}, reads={})
SUMS = Records(ledger_sums, Counted, fixed={"id", "account", "currency", "kind"}, reads={"kind": LedgerKind})


def note_check(
    connection: Connection, name: str, violations: int, first: str | None, make_id: IdMaker, now_ms: int
) -> None:
    """Keep what the check of one invariant found; when it last held stays where it does not hold now."""
    c = ledger_checks.c
    query = CHECKS.query(c.account == PLATFORM, c.name == name).with_for_update()
    held = next(iter(CHECKS.all(connection, query)), None)
    text = None if first is None else first[:FIRST_CHARS]
    if held is not None:
        held_at_ms = held.held_at_ms if violations else now_ms
        found = replace(
            held, checked_at_ms=now_ms, held_at_ms=held_at_ms, violations=violations, first_text=text
        )
        CHECKS.save(connection, [found])
        return
    row = Checked(make_id(), PLATFORM, name, now_ms, None if violations else now_ms, violations, text)
    try:
        CHECKS.insert(connection, [row])
    except IntegrityError:
        raise RowIdTakenError(f"somebody noted the check of {name} at the same time") from None


def checks(connection: Connection) -> dict[str, Checked]:
    """What the last check of each invariant found, by name. A row for each, no more."""
    return {row.name: row for row in CHECKS.find(connection, ledger_checks.c.account == PLATFORM)}


def note_sum(
    connection: Connection,
    currency: str,
    kind: LedgerKind,
    amount_minor: int,
    make_id: IdMaker,
    now_ms: int,
) -> None:
    """Keep what a kind of ledger account held in all when it was counted."""
    s = ledger_sums.c
    one = (s.account == PLATFORM, s.currency == currency, s.kind == kind)
    held = next(iter(SUMS.all(connection, SUMS.query(*one).with_for_update())), None)
    if held is not None:
        SUMS.save(connection, [replace(held, amount_minor=amount_minor, counted_at_ms=now_ms)])
        return
    try:
        SUMS.insert(connection, [Counted(make_id(), PLATFORM, currency, kind, amount_minor, now_ms)])
    except IntegrityError:
        raise RowIdTakenError(f"somebody noted the sum of {kind} at the same time") from None


def sums(connection: Connection) -> dict[tuple[str, LedgerKind], Counted]:
    """What was counted last, by currency and kind."""
    return {(row.currency, row.kind): row for row in SUMS.find(connection, ledger_sums.c.account == PLATFORM)}
