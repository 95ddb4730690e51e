"""Bar charts as SVG: drawn by the server, coloured by the style sheet, with their numbers in words."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 84
"""Of the drawing, in its own units."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it stands, how high it is, and what it counts."""

    x: float
    y: float
    width: float
    height: float
    at_ms: int
    value: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A series of counts over equal spans of time."""

    name: str
    tone: str
    bars: Sequence[Bar]
    total: int
    most: int
    span_ms: int
    from_ms: int
    until_ms: int


def bar_chart(name: str, tone: str, counts: Sequence[tuple[int, int]], span_ms: int) -> Chart:
    """A chart of `counts`: when each span began, and what was counted in it; the oldest first, not empty."""
    most = max((value for _, value in counts), default=0)
    step = WIDTH / max(1, len(counts))
    bars = [
        Bar(
            x=round(step * at, 2),
            y=round(HEIGHT - _height(value, most), 2),
            width=round(step * 0.82, 2),
            height=_height(value, most),
            at_ms=at_ms,
            value=value,
        )
        for at, (at_ms, value) in enumerate(counts)
    ]
    until_ms = counts[-1][0] + span_ms
    total = sum(value for _, value in counts)
    return Chart(name, tone, bars, total, most, span_ms, counts[0][0], until_ms)


def in_spans(counts: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Sums over `size` counts each, in line with the clock's own spans; the oldest may cover less."""
    if not counts:
        return []
    minute_ms = 60_000
    found: dict[int, int] = {}
    for at_ms, value in counts:
        begins = at_ms - at_ms % (size * minute_ms)
        found[begins] = found.get(begins, 0) + value
    return sorted(found.items())


def _height(value: int, most: int) -> float:
    if not value or not most:
        return 0.0
    return round(max(2.0, (HEIGHT - 4) * value / most), 2)  # what is there at all is seen
