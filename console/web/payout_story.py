"""The history of a payout, ready to be shown: lines by kind, moments to step through, postings in money."""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payouts.clock import iso
from payouts.history import Rows
from payouts.money import format_money
from payouts.timeline import Entry, Kind

GROUPS: dict[str, tuple[Kind, ...]] = {
    "steps": (Kind.REQUESTED, Kind.MOVED, Kind.PAYOUT_MOVED),
    "stripe": (Kind.ATTEMPT, Kind.ANSWER, Kind.EVENT, Kind.EVENT_AGAIN, Kind.EVENT_FAILED),
    "money": (Kind.POSTED,),
    "people": (Kind.DECISION, Kind.HOLD, Kind.HOLD_RELEASED, Kind.AUDIT),
    "notices": (Kind.NOTICE,),
}
"""What an entry is about, in five words: a timeline can be narrowed to one."""
MOMENTS_MOST = 2_000
"""The slider goes by so many moments; a payout with trouble has hundreds."""


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of the timeline."""

    key: str
    """What its folded details are told apart by."""
    at_ms: int
    group: str
    what: str
    text: str
    actor: str | None
    details: Sequence[tuple[str, str]]
    """Names and values, as people read them."""
    event_id: str | None


@dataclass(frozen=True, slots=True)
class Through:
    """Where the slider stands. `moments`: when something happened, in ms, each once, the earliest first."""

    moments: Sequence[int]
    at_ms: int | None
    """None: now."""

    @property
    def position(self) -> int:
        """Which moment is shown: the last one that lies not behind `at_ms`; the number of moments is now."""
        return len(self.moments) if self.at_ms is None else bisect_right(self.moments, self.at_ms) - 1

    @property
    def before(self) -> int | None:
        """The moment one step back."""
        return self.moments[self.position - 1] if self.position > 0 else None

    @property
    def after(self) -> int | None:
        """The moment one step on; None: now comes next, or it is now."""
        return self.moments[self.position + 1] if self.position + 1 < len(self.moments) else None


@dataclass(frozen=True, slots=True)
class Booked:
    """A transaction of the books, with what it added to each ledger account, in money."""

    at_ms: int
    kind: str
    reference: str
    actor: str | None
    postings: Sequence[tuple[str, str]]


def lines_of(entries: Sequence[Entry], group: str | None = None) -> list[Line]:
    """The timeline, or what of it belongs to one group."""
    return [
        Line(
            *(f"{entry.kind}-{entry.id}", entry.at_ms, of, entry.kind.replace("_", " "), entry.text),
            *(entry.actor, list(_details(entry.details)), entry.details.get("event_id")),
        )
        for entry in entries
        for of in [_GROUP_OF[entry.kind]]
        if group is None or of == group
    ]


def counts_of(entries: Sequence[Entry]) -> dict[str, int]:
    """How many entries each group has."""
    found = dict.fromkeys(GROUPS, 0)
    for entry in entries:
        found[_GROUP_OF[entry.kind]] += 1
    return found


def through(entries: Sequence[Entry], at_ms: int | None) -> Through:
    """The slider over all entries that there are now."""
    return Through(sorted({entry.at_ms for entry in entries})[-MOMENTS_MOST:], at_ms)


def booked(rows: Rows) -> list[Booked]:
    """The payout's transactions, the oldest first."""
    return [
        Booked(
            *(row["posted_at_ms"], row["kind"], row["reference"], row["actor"]),
            [(kind, format_money(amount, row["currency"])) for kind, amount in row["sums"].items()],
        )
        for row in rows.transactions
    ]


def _details(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    currency = details.get("currency")
    for name, value in details.items():
        if value is None:
            continue
        if name.endswith("_at_ms"):
            yield name.removesuffix("_ms").replace("_", " "), str(iso(value))
        elif name.endswith("_minor") and currency:
            yield name.removesuffix("_minor").replace("_", " "), _money(value, currency)
        else:
            yield name.replace("_", " "), _plain(value)


def _money(value: Any, currency: str) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{kind} {format_money(amount, currency)}" for kind, amount in value.items())
    return format_money(value, currency)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False, default=str)


_GROUP_OF = {kind: group for group, kinds in GROUPS.items() for kind in kinds}
