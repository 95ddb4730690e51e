"""The audit log as a chain: each entry's digest covers its content and the digest of the one before.

Whoever changes, removes or moves an entry would have to write every later one anew, and the chain's head
with them. To notice even that, keep the heads that `payouts audit verify` prints somewhere else.

Pure: what is stored where is the business of `payouts.storage.audit_rows`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, TypeVar

GENESIS = "0" * 64
"""The `previous` of a chain's first entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a person or token did. `details` is JSON with sorted keys, `number` counts from 1."""

    id: int
    account: str
    chain: str
    number: int
    at_ms: int
    actor: str
    action: str
    subject: str
    reason: str | None
    details: str
    previous: str
    digest: str = ""


class Link(Protocol):
    """A dataclass that can stand in a chain; `number` counts from 1."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def number(self) -> int: ...
    @property
    def previous(self) -> str: ...
    @property
    def digest(self) -> str: ...


L = TypeVar("L", bound=Link)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the number and the digest of its last entry."""

    number: int
    digest: str


START = Head(0, GENESIS)
"""The head of a chain without entries."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry of a chain that does not fit, and why."""

    number: int
    what: str

    def __str__(self) -> str:
        return f"entry {self.number} {self.what}"


def chain_of(account: str, at_ms: int) -> str:
    """The chain that an entry belongs to: one for each account and month (UTC), as `acct_1/2026-11`."""
    return f"{account}/{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m}"


def canonical(value: Any) -> str:
    """`value` as JSON that is the same for equal values: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_of(entry: Link) -> str:
    """SHA-256 in hex over the canonical JSON of every field but `digest` itself."""
    fields = dataclasses.asdict(entry)
    del fields["digest"]
    return hashlib.sha256(canonical(fields).encode()).hexdigest()


def sealed(entry: L) -> L:
    """`entry` with its digest."""
    return dataclasses.replace(entry, digest=digest_of(entry))


def verify(entries: Iterable[Link], head: Head) -> Fault | None:
    """The first of a chain's `entries`, read in the order of their numbers, that does not fit; else None."""
    last = START
    for entry in entries:
        what = _misfit(last, entry, head)
        if what is not None:
            return what
        last = Head(entry.number, entry.digest)
    if last.number < head.number:
        return Fault(last.number + 1, f"is missing: the chain ends too early, its head is {head.number}")
    return None


def _misfit(last: Head, entry: Link, head: Head) -> Fault | None:
    due = last.number + 1
    if entry.number < due:
        return Fault(entry.number, "does not belong here: the chain counts from 1, each number once")
    if entry.number > head.number:
        return Fault(entry.number, f"is behind the chain's end: its head is {head.number}")
    if entry.number > due:
        return Fault(due, f"is missing: the next one is {entry.number}")
    if digest_of(entry) != entry.digest:
        return Fault(due, "was changed: its digest is not that of its content")
    if entry.previous != last.digest:
        return Fault(due, "does not follow the one before it: that one was changed or moved")
    if entry.number == head.number and entry.digest != head.digest:
        return Fault(due, "is not the one that the chain's head names")
    return None
