"""Checking the books: every invariant in turn, in bounded memory, while the service runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Engine

from payouts.errors import NotFoundError
from payouts.storage.invariants import Invariant, Violation, all_invariants
from payouts.storage.queries import reading

SHOWN_MOST = 100
"""Of the violations of one invariant: where there are more, the first ones tell enough."""


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


def _finding(engine: Engine, name: str, invariant: Invariant) -> Finding:
    with reading(engine) as connection:
        found = list(islice(invariant.find(connection), SHOWN_MOST + 1))
    return Finding(name, invariant, found[:SHOWN_MOST], len(found) > SHOWN_MOST)
