"""What must be true of the books at any moment, one file for each promise.

Each holds for every state that committed transactions can leave behind, so a violation is a mistake of this
service's or a change made by hand, and never mere timing: what belongs together is read in one statement.
Tables are walked in pages, so neither the service nor the database holds much at a time.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Violation:
    """One row that breaks a promise: what it is about, and what is wrong with it."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise as a sentence, how to find what breaks it, and what to do then."""

    promise: str
    remedy: str
    find: Callable[[Connection], Iterator[Violation]]


def all_invariants() -> dict[str, Invariant]:
    """The invariants by name: every file of this folder is one."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name: importlib.import_module(f"{__name__}.{name}").INVARIANT for name in names}
    return {name: invariant for name, invariant in found.items() if isinstance(invariant, Invariant)}
