"""Checking the books: every invariant in turn, in bounded memory, while the service runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from sqlalchemy import Connection, Engine

from payouts.audit import Entry
from payouts.clock import Clock
from payouts.errors import NotFoundError
from payouts.ids import IdMaker
from payouts.ledger import LedgerKind
from payouts.people import Actor, Scope
from payouts.storage import audit_rows
from payouts.storage.check_rows import Counted, note_check, note_sum, sums
from payouts.storage.invariants import Invariant, Violation, all_invariants
from payouts.storage.queries import reading
from payouts.storage.sum_queries import sum_at_most, sum_of, summed_kinds
from payouts.storage.unit import in_transaction

SHOWN_MOST = 100
"""Of the violations of one invariant: where there are more, the first ones tell enough."""
COUNTED_MOST = 10_000
"""Rows that are read for sums of now. Where there are more, those of the last check are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one invariant. No violations: it holds."""

    name: str
    invariant: Invariant
    violations: list[Violation]
    more: bool
    """There are more violations than these."""


def check(engine: Engine, names: Iterable[str] = ()) -> Iterator[Finding]:
    """Check all invariants, or those of these names, one after the other. Raises NotFoundError."""
    known = all_invariants()
    wanted = list(names) or list(known)
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise NotFoundError(f"there is no invariant {unknown[0]}: there are {', '.join(known)}")
    return (_finding(engine, name, known[name]) for name in wanted)


def note(engine: Engine, finding: Finding, make_id: IdMaker, now_ms: int) -> None:
    """Keep what came of a check: pages show when each invariant last held."""
    first = next(iter(finding.violations), None)
    text = None if first is None else f"{first.subject}: {first.text}"
    in_transaction(
        engine,
        lambda connection: note_check(
            connection, finding.name, len(finding.violations), text, make_id, now_ms
        ),
    )


def count(engine: Engine, make_id: IdMaker, clock: Clock) -> None:
    """Count what each kind of ledger account holds in all, and keep it. Takes as long as it takes."""
    with reading(engine) as connection:
        kinds = list(summed_kinds(connection))
        connection.rollback()
        for currency, kind in kinds:
            amount_minor = sum_of(connection, currency, kind)
            noted = partial(
                note_sum,
                currency=currency,
                kind=kind,
                amount_minor=amount_minor,
                make_id=make_id,
                now_ms=clock(),
            )
            in_transaction(engine, noted)


@dataclass(frozen=True, slots=True)
class Total:
    """What a kind of ledger account holds in all. `counted_at_ms`: by the last check; None: now, if
    `amount_minor` is known at all."""

    currency: str
    kind: LedgerKind
    amount_minor: int | None
    counted_at_ms: int | None


def totals(connection: Connection, most: int = COUNTED_MOST) -> list[Total]:
    """What each kind holds in all: counted now from `most` rows, and else as it was counted last."""
    kept, left, found = sums(connection), most, []
    for currency, kind in summed_kinds(connection):
        amount_minor, read = sum_at_most(connection, currency, kind, left)
        left -= read
        last = kept.get((currency, kind)) if amount_minor is None else None
        found.append(_total(currency, kind, amount_minor, last))
    return found


def ask_for_check(connection: Connection, actor: Actor, make_id: IdMaker, now_ms: int) -> Entry:
    """Note that somebody has the books checked by a worker; the caller sends the message."""
    actor.require(Scope.OPERATE)
    return audit_rows.append(
        connection, make_id, now_ms, actor=actor.name, action="ledger.check", subject="ledger"
    )


def _total(currency: str, kind: LedgerKind, amount_minor: int | None, last: Counted | None) -> Total:
    if last is None:
        return Total(currency, kind, amount_minor, None)
    return Total(currency, kind, last.amount_minor, last.counted_at_ms)


def _finding(engine: Engine, name: str, invariant: Invariant) -> Finding:
    with reading(engine) as connection:
        found = list(islice(invariant.find(connection), SHOWN_MOST + 1))
    return Finding(name, invariant, found[:SHOWN_MOST], len(found) > SHOWN_MOST)
