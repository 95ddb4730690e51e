"""What is counted, page by page, while a walk becomes a proof. Pure; kept as JSON between two pages."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec

from payouts.states import EventStatus

NAMED_MOST = 1_000
"""So many missing or unlisted events are kept by their ids; all are counted."""
REASONS_MOST = 50
OTHER_REASONS = "other reasons"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the inbox says of an event."""

    id: int
    status: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """What of an event counts here: its id, and when it was created by Stripe's clock."""

    id: str
    created_s: int


class Named(msgspec.Struct):
    """Events, all of them counted and the first of them named."""

    count: int = 0
    ids: list[str] = []

    def add(self, ids: Iterable[str]) -> None:
        """Count these."""
        for each in ids:
            self.count += 1
            if len(self.ids) < NAMED_MOST:
                self.ids.append(each)


class Tally(msgspec.Struct):
    """What of the listed events was found in the inbox, and what was not."""

    statuses: dict[str, int] = {}
    reasons: dict[str, int] = {}
    """Of those ignored, by reason."""
    missing: Named = msgspec.field(default_factory=Named)
    not_healed: Named = msgspec.field(default_factory=Named)
    """Of the missing ones: those that do not read as events, so that the inbox cannot take them."""
    healed: int = 0
    unlisted: Named = msgspec.field(default_factory=Named)
    edge_s: int | None = None
    """The second at which the last page ended: the next one may go on within it."""
    edge_ids: list[str] = []
    """What was listed of that second."""

    @classmethod
    def read(cls, text: str | None) -> Self:
        """A tally as it was written; a new one where there is none."""
        return cls() if text is None else msgspec.json.decode(text, type=cls)

    def write(self) -> str:
        """It as JSON."""
        return msgspec.json.encode(self).decode()

    def count(self, found: Iterable[Stored]) -> None:
        """Count events that were in the inbox."""
        for event in found:
            self.statuses[event.status] = self.statuses.get(event.status, 0) + 1
            if event.status == EventStatus.IGNORED:
                reason = event.reason or "no reason"
                if reason not in self.reasons and len(self.reasons) >= REASONS_MOST:
                    reason = OTHER_REASONS
                self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def span(self, page: Sequence[Listed], since_s: int, until_s: int, *, last: bool) -> tuple[int, int]:
        """The seconds, both included, of which all that Stripe lists is known with `page`, newest first."""
        upper = until_s if self.edge_s is None else self.edge_s
        return (since_s if last or not page else page[-1].created_s + 1), upper

    def compare(self, page: Sequence[Listed], ours: Collection[str]) -> None:
        """Count those of `ours`, the inbox's events of that span, that Stripe does not list."""
        listed = {event.id for event in page} | set(self.edge_ids)
        self.unlisted.add(sorted(set(ours) - listed))

    def move_on(self, page: Sequence[Listed]) -> None:
        """Keep what the next page needs to know of this one."""
        if not page:
            return
        edge_s = page[-1].created_s
        before = self.edge_ids if edge_s == self.edge_s else []
        self.edge_s, self.edge_ids = edge_s, [*before, *(e.id for e in page if e.created_s == edge_s)]


def totals(statuses: Mapping[str, int]) -> dict[str, int]:
    """Events by where they stand: applied, ignored, dead, dismissed, and open, which is all else."""
    final = {name: statuses.get(name, 0) for name in FINAL}
    return {**final, "open": sum(statuses.values()) - sum(final.values())}


FINAL = tuple(map(str, (EventStatus.APPLIED, EventStatus.IGNORED, EventStatus.DEAD, EventStatus.DISMISSED)))
