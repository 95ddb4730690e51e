"""The states of a payout as a drawing: where it has been, where it is, and which ways lead on.

Which arrows there are comes from the tables of transitions; only where the boxes lie is laid out by hand, and
a test finds a state without a place, and an arrow that runs through a box.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from payouts.states import (
    CONFIRMED_TRANSITIONS,
    REQUEST_TRANSITIONS,
    TRANSITIONS,
    PayoutStatus,
    RequestStatus,
)

Place = tuple[float, float]
"""Column and row."""
Arrows = Mapping[tuple[str | None, str], float]
"""From a state (None: the beginning) to another, with how far the arrow bends to its left, in pixels."""

REQUEST_PLACES: dict[str, Place] = {
    RequestStatus.REJECTED: (0, 0),
    RequestStatus.CANCELED: (1, 0),
    RequestStatus.SHADOWED: (2, 0),
    RequestStatus.AWAITING_APPROVAL: (0, 1),
    RequestStatus.QUEUED: (1, 1),
    RequestStatus.SENDING: (2, 1),
    RequestStatus.SENT: (3, 1),
    RequestStatus.PAID: (4, 1),
    RequestStatus.FAILED: (1, 2),
    RequestStatus.UNCLEAR: (2, 2),
    RequestStatus.RETURNED: (3, 2),
    RequestStatus.REVERSING: (2, 3),
    RequestStatus.REVERSED: (3, 3),
}
PAYOUT_PLACES: dict[str, Place] = {
    PayoutStatus.PENDING: (0, 0),
    PayoutStatus.IN_TRANSIT: (1, 0),
    PayoutStatus.PAID: (2, 0),
    PayoutStatus.REVERSED: (3, 0),
    PayoutStatus.CANCELED: (0.5, 1),
    PayoutStatus.FAILED: (1.5, 1),
}
_REQUEST_BENDS = {(RequestStatus.SENDING, RequestStatus.PAID): 150.0}
REQUEST_ARROWS: Arrows = {
    (old, new): _REQUEST_BENDS.get((old, new), 0.0)  # type: ignore[arg-type]
    for old, news in REQUEST_TRANSITIONS.items()
    for new in news
}
USUAL_PAYOUT_ARROWS: Arrows = dict.fromkeys(
    [
        (None, PayoutStatus.PENDING),
        (PayoutStatus.PENDING, PayoutStatus.IN_TRANSIT),
        (PayoutStatus.IN_TRANSIT, PayoutStatus.PAID),
        (PayoutStatus.PENDING, PayoutStatus.CANCELED),
        (PayoutStatus.IN_TRANSIT, PayoutStatus.CANCELED),
        (PayoutStatus.PENDING, PayoutStatus.FAILED),
        (PayoutStatus.IN_TRANSIT, PayoutStatus.FAILED),
        (PayoutStatus.PAID, PayoutStatus.FAILED),
        (PayoutStatus.PAID, PayoutStatus.REVERSED),
        (PayoutStatus.FAILED, PayoutStatus.CANCELED),
        (PayoutStatus.CANCELED, PayoutStatus.FAILED),
    ],
    0.0,
)
"""The road that docs/state-machine.md draws. Where a payout left out a step, that arrow is drawn too."""
PAYOUT_ARROWS: Arrows = {
    (old, new): USUAL_PAYOUT_ARROWS.get(
        (old, new), 80.0 if {old, new} <= set(list(PAYOUT_PLACES)[:4]) else 0.0
    )
    for old, new in sorted(TRANSITIONS | CONFIRMED_TRANSITIONS, key=str)
}
_ENTRIES: dict[str, Place] = {
    RequestStatus.AWAITING_APPROVAL: (-1, 0),
    PayoutStatus.PENDING: (-1, 0),
    RequestStatus.QUEUED: (0, 1),
}
"""From which side a payout that begins comes in; from above where nothing is said."""

BOX_WIDTH, BOX_HEIGHT = 136.0, 54.0
_COLUMN, _ROW, _LEFT, _TOP = 190.0, 112.0, 36.0, 34.0
_STUB = 24.0
"""How long the arrow is by which a payout begins."""
_APART = 16.0
"""How far two arrows bend that run between the same two states."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One time that a payout came into a state. `number` counts the moves from 1."""

    number: int
    state: str
    from_state: str | None
    at_ms: int
    until_ms: int | None
    """When it went on; None: it is there."""
    reason: str
    actor: str | None


@dataclass(frozen=True, slots=True)
class Box:
    """A state. `x`, `y`: its middle, in pixels of the drawing."""

    state: str
    x: float
    y: float
    mark: str
    """`here`, `been`, or `never`."""
    said: str
    """In which moves it was come to, and when last; empty where it never was."""

    @property
    def left(self) -> float:
        return self.x - BOX_WIDTH / 2

    @property
    def top(self) -> float:
        return self.y - BOX_HEIGHT / 2


@dataclass(frozen=True, slots=True)
class Arrow:
    """A move. `path`: as an SVG path; `points`: from, control and to."""

    old: str | None
    new: str
    points: tuple[Place, Place, Place]
    mark: str
    """`taken`, `open` (it leads on from here), or `idle`."""

    @property
    def path(self) -> str:
        (ax, ay), (cx, cy), (bx, by) = self.points
        return f"M{ax:.1f} {ay:.1f}Q{cx:.1f} {cy:.1f} {bx:.1f} {by:.1f}"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A diagram, with the same in words."""

    width: float
    height: float
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    stays: Sequence[Stay]
    says: str


def draw_request(moves: Sequence[Mapping[str, Any]], now: str) -> Drawing:
    """A requested payout. `moves`: rows of its transitions, oldest first; `now`: the state it is in."""
    return _draw(REQUEST_PLACES, REQUEST_ARROWS, REQUEST_ARROWS, stays_of(moves), now)


def draw_payout(moves: Sequence[Mapping[str, Any]], now: str | None) -> Drawing:
    """Stripe's payout; `now` None: it was seen, and its state is not known."""
    return _draw(PAYOUT_PLACES, PAYOUT_ARROWS, USUAL_PAYOUT_ARROWS, stays_of(moves), now)


def stays_of(moves: Sequence[Mapping[str, Any]]) -> list[Stay]:
    """The states that these moves went through."""
    times = [*(int(move["at_ms"]) for move in moves), None][1:] if moves else []
    return [
        Stay(
            *(number, str(move["to_status"]), move["from_status"], int(move["at_ms"]), until_ms),
            *(str(move["reason"]), move.get("actor")),
        )
        for number, (move, until_ms) in enumerate(zip(moves, times, strict=True), start=1)
    ]


def _draw(
    places: Mapping[str, Place], arrows: Arrows, shown: Arrows, stays: Sequence[Stay], now: str | None
) -> Drawing:
    taken = {(stay.from_state, stay.state) for stay in stays}
    boxes = [
        _box(state, place, [s for s in stays if s.state == state], now) for state, place in places.items()
    ]
    at = {box.state: box for box in boxes}
    drawn = [
        Arrow(old, new, _points(at[old] if old else None, at[new], bend, is_pair=(new, old) in shown), mark)
        for (old, new), bend in arrows.items()
        if (old, new) in shown or (old, new) in taken
        for mark in [_mark(old, new, taken, now)]
    ]
    # What matters is drawn last, over the rest.
    drawn.sort(key=lambda arrow: ("idle", "open", "taken").index(arrow.mark))
    columns, rows = max(x for x, _ in places.values()), max(y for _, y in places.values())
    return Drawing(
        width=_LEFT + columns * _COLUMN + BOX_WIDTH + _LEFT / 2,
        height=_TOP + rows * _ROW + BOX_HEIGHT + _TOP / 2,
        boxes=boxes,
        arrows=drawn,
        stays=stays,
        says=_in_words(stays, now, [new for (old, new) in shown if old == now and now is not None]),
    )


def _box(state: str, place: Place, stays: Sequence[Stay], now: str | None) -> Box:
    x = _LEFT + BOX_WIDTH / 2 + place[0] * _COLUMN
    y = _TOP + BOX_HEIGHT / 2 + place[1] * _ROW
    mark = "here" if state == now else "been" if stays else "never"
    return Box(str(state), x, y, mark, _said(stays))


def _said(stays: Sequence[Stay]) -> str:
    if not stays:
        return ""
    numbers = [str(stay.number) for stay in stays]
    shown = ", ".join(numbers if len(numbers) < 4 else [numbers[0], "…", numbers[-1]])
    return f"{shown} · {datetime.fromtimestamp(stays[-1].at_ms / 1000, UTC):%m-%d %H:%M:%S}"


def _mark(old: str | None, new: str, taken: Iterable[tuple[str | None, str]], now: str | None) -> str:
    if (old, new) in taken:
        return "taken"
    return "open" if old == now and now is not None else "idle"


def _points(old: Box | None, new: Box, bend: float, *, is_pair: bool) -> tuple[Place, Place, Place]:
    if old is None:
        dx, dy = _ENTRIES.get(new.state, (0, -1))
        end = (new.x + dx * BOX_WIDTH / 2, new.y + dy * BOX_HEIGHT / 2)
        start = (end[0] + dx * _STUB, end[1] + dy * _STUB)
        return start, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), end
    bend = bend or (2 * _APART if is_pair else 0.0)
    dx, dy = new.x - old.x, new.y - old.y
    length = math.hypot(dx, dy)
    # To the left of the way from `old` to `new`; y grows downwards.
    middle = (
        (old.x + new.x) / 2 + bend * dy / length,
        (old.y + new.y) / 2 - bend * dx / length,
    )
    return _edge(old, middle), middle, _edge(new, middle)


def _edge(box: Box, towards: Place) -> Place:
    """Where the line from the middle of `box` to `towards` leaves it."""
    dx, dy = towards[0] - box.x, towards[1] - box.y
    share = min(
        BOX_WIDTH / 2 / abs(dx) if dx else math.inf,
        BOX_HEIGHT / 2 / abs(dy) if dy else math.inf,
    )
    return box.x + dx * share, box.y + dy * share


def _in_words(stays: Sequence[Stay], now: str | None, on: Sequence[str]) -> str:
    been = ", then ".join(_words(stay.state) for stay in stays) or "nothing is kept of its way"
    leads = ", ".join(sorted(_words(state) for state in on)) or "nowhere: it has ended"
    return f"Its way: {been}. It is {_words(now or 'not known')}. From here it can go to {leads}."


def _words(state: str) -> str:
    return str(state).replace("_", " ")
