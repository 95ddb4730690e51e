"""Notices: what is told to others, by which channels, and in which order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol, runtime_checkable

from payouts.errors import PayoutsError
from payouts.topics import topic_of

NOTICES_DEAD = "alert.notices_dead"
"""Tells operators that a channel gave up on a notice."""

CHANNELS = ("log", "folder", "email", "slack", "pagerduty", "portal")
"""The channels that there are, by name; the settings say which of them are used."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A row of the outbox on its way out. `body` is JSON, as it was written with the change it tells of."""

    id: int
    account: str
    name: str
    payout_id: int | None
    request_id: int | None
    body: str
    created_at_ms: int

    @property
    def subjects(self) -> "Subjects":
        """What it is about. Notices that share a subject are delivered in the order of their ids."""
        return subjects_of(self.account, self.name, self.payout_id, self.request_id)


class Channel(Protocol):
    """A way to tell others: a folder, the log, e-mail, a chat, a pager or a signed webhook."""

    def deliver(self, notice: Notice) -> None:
        """Deliver `notice`, within seconds. The same one may come again: its id tells.

        Raises NoticeError; any other error counts as one that may heal.
        """
        ...


@runtime_checkable
class Closes(Protocol):
    """A channel, or a part of one, that holds something open."""

    def close(self) -> None:
        """Let go of it; it is opened again when it is needed."""
        ...


class NoticeError(PayoutsError):
    """A channel did not take a notice. `transient`: the same delivery may succeed later.

    `pause_s`: for so long the channel takes nothing at all, whatever the notice. `counts` False: it was not
    looked at, as where a rate is limited, so that no attempt is counted.
    """

    def __init__(
        self, message: str, *, transient: bool, pause_s: float | None = None, counts: bool = True
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.pause_s = pause_s
        self.counts = counts


class NoticeStatus(StrEnum):
    """Where a row of the outbox stands."""

    PENDING = "pending"
    """Written; its channels are not chosen yet."""
    ROUTED = "routed"
    """At least one of its channels has yet to take it."""
    DELIVERED = "delivered"
    """Every channel took it."""
    DEAD = "dead"
    """No channel is left to try, and at least one never took it. Stays until somebody sends it again."""


class DeliveryStatus(StrEnum):
    """Where the delivery of a notice by one channel stands."""

    PENDING = "pending"
    """To be tried when it is due; under way while its lease lasts."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """Its attempts are used up, or the channel refused it for good. Holds nothing back."""


@dataclass(frozen=True, slots=True)
class Route:
    """A channel and the names of notices that it takes: `*`, or as `alert.*`."""

    channel: str
    names: str = "*"


def channels_for(name: str, routes: Iterable[Route]) -> tuple[str, ...]:
    """The channels that a notice of this name goes to, each once, in the order of the routes."""
    return tuple(dict.fromkeys(route.channel for route in routes if fnmatchcase(name, route.names)))


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A notice that a channel has not taken yet. `next_ms`: when it may be over, as far as is known."""

    id: int
    subjects: "Subjects"
    next_ms: int


class Order:
    """Says which notices must wait for an older one about the same payout, request or topic.

    To be asked in the order of the ids. What waits holds back in its turn: a notice about a payout and its
    request ties together those about either.
    """

    def __init__(self) -> None:
        self._until_ms: dict[tuple[str, int | str], int] = {}

    def hold(self, subjects: "Subjects", until_ms: int) -> None:
        """A notice about these is not delivered, and will not be before `until_ms`."""
        for subject in subjects:
            self._until_ms[subject] = max(until_ms, self._until_ms.get(subject, 0))

    def held_until_ms(self, subjects: "Subjects") -> int | None:
        """Until when a notice about these must wait at least; None where nothing holds it back."""
        until = [self._until_ms[subject] for subject in subjects if subject in self._until_ms]
        if not until:
            return None
        self.hold(subjects, max(until))
        return max(until)


def held_back(claimed: Sequence[Notice], older: Iterable[Undelivered]) -> dict[int, int]:
    """Which of `claimed` must wait, by id, and until when, for those of `older` that are not among them."""
    mine = {notice.id for notice in claimed}
    others = {other.id: other for other in older if other.id not in mine}
    order = Order()
    held: dict[int, int] = {}
    both: list[Notice | Undelivered] = [*claimed, *others.values()]
    for each in sorted(both, key=lambda notice: notice.id):
        if isinstance(each, Undelivered):
            order.hold(each.subjects, each.next_ms)
        elif (until_ms := order.held_until_ms(each.subjects)) is not None:
            held[each.id] = until_ms
    return held


Subjects = tuple[tuple[str, int | str], ...]
"""What a notice is about: the payout and the request as (kind, row id), the topic as (topic, account)."""


def subjects_of(account: str, name: str, payout_id: int | None, request_id: int | None) -> Subjects:
    """What a notice is about."""
    topic = topic_of(name)
    about = (("payout", payout_id), ("request", request_id), (topic or "", account if topic else None))
    return tuple((kind, subject) for kind, subject in about if subject is not None)
