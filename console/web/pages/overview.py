"""Is all well? The first page: the mode, the vital signs, the last hours, and what needs a person."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from console.status_document import document
from console.web.call import Call
from console.web.charts import Chart, bar_chart, in_spans
from payouts.errors import RefusedError
from payouts.overview import HOURS
from payouts.people import Scope
from payouts.storage.attention_queries import COUNTED_MOST, waiting_for_a_person
from payouts.storage.minutes import Minute

SPANS = {1: 1, 6: 5, 24: 15, 48: 30}
"""Hours that can be asked for, and the minutes that each bar of a chart stands for then."""
CHARTS = (
    ("received", "Received", "moving"),
    ("applied", "Applied", "good"),
    ("failed", "Failed attempts", "waiting"),
    ("dead", "Died", "bad"),
)


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that needs a person: how many there are, what they are, and where to decide."""

    name: str
    count: int
    text: str
    path: str

    @property
    def shown(self) -> str:
        return f"{self.count:,}" if self.count < COUNTED_MOST else f"{self.count:,} or more"


def overview(call: Call) -> Response:
    """The first page."""
    hours = _hours(call)
    seen = call.parts.looks.look(hours)
    matters = _matters(call)
    needed = {each.name: each.count for each in matters}
    # Of up to 2,880 minutes: only made for who reads it.
    data = {**document(seen), "needs_a_person": needed} if call.wants_json else None
    charts = _charts(seen.redis.minutes, SPANS[hours]) if seen.redis else []
    return call.page(
        "overview.html",
        title="Overview",
        data=data,
        seen=seen,
        charts=charts,
        hours=hours,
        choices=list(SPANS),
        matters=[each for each in matters if each.count],
    )


def _hours(call: Call) -> int:
    asked = call.asked("hours") or str(HOURS)
    if not (asked.isascii() and asked.isdigit() and len(asked) < 4 and int(asked) in SPANS):
        raise RefusedError(
            "bad_hours", f"hours takes one of {', '.join(map(str, SPANS))}, not {asked[:20]!r}"
        )
    return int(asked)


def _charts(minutes: Sequence[Minute], span: int) -> list[Chart]:
    return [
        bar_chart(
            name,
            tone,
            in_spans([(minute.at_ms, getattr(minute, attribute)) for minute in minutes], span),
            span * 60_000,
        )
        for attribute, name, tone in CHARTS
    ]


def _matters(call: Call) -> list[Matter]:
    counts = waiting_for_a_person(call.connection)
    return [
        Matter(name, counts[name], f"{one if counts[name] == 1 else many} {rest}", path)
        for name, (one, many, rest, path) in _MATTERS.items()
    ]


_MATTERS = {
    "dead_events": ("event is dead,", "events are dead,", "to be replayed or ignored", "/dead"),
    "approvals": ("payout waits", "payouts wait", "for a second person", "/approvals"),
    "banks": ("payout waits", "payouts wait", "for a bank account to be approved", "/approvals"),
    "unclear_payouts": (
        *("payout is unclear:", "payouts are unclear:"),
        *("nobody knows yet whether Stripe acted", "/payouts?status=unclear"),
    ),
    "returned_payouts": (
        *("payout came back,", "payouts came back,"),
        *("to be sent again or taken back", "/payouts?status=returned"),
    ),
    "replays": ("replay waits", "replays wait", "for a second person", "/replays"),
    "differences": ("difference", "differences", "between our books and Stripe's", "/reconciliation"),
    "dead_notices": ("notice", "notices", "that nobody took", "/operations/notices?status=dead"),
}
"""Of each: what one is, what many are, the rest of the sentence, and where to decide."""

ROUTES = (("GET", "/", overview, Scope.READ),)
