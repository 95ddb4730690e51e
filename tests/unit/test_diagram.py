"""The drawings of states have a place for each state, and no arrow that misleads."""

import pytest

from console.web.diagram import (
    BOX_HEIGHT,
    BOX_WIDTH,
    PAYOUT_ARROWS,
    PAYOUT_PLACES,
    REQUEST_ARROWS,
    REQUEST_PLACES,
    USUAL_PAYOUT_ARROWS,
    Arrow,
    Box,
    Drawing,
    draw_payout,
    draw_request,
)
from payouts.states import (
    CONFIRMED_TRANSITIONS,
    REQUEST_TRANSITIONS,
    TRANSITIONS,
    PayoutStatus,
    RequestStatus,
)
from tests.unit.test_states import START_OR_END, diagrams

AT_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


def moves(*states: str) -> list[dict[str, object]]:
    """Moves through these states, an hour apart."""
    return [
        {
            "from_status": old,
            "to_status": new,
            "at_ms": AT_MS + number * HOUR_MS,
            "reason": f"move {number}",
            "actor": "anna",
        }
        for number, (old, new) in enumerate(zip([None, *states], states, strict=False))
    ]


def test_every_state_has_a_place_and_every_move_an_arrow() -> None:
    assert set(REQUEST_PLACES) == set(RequestStatus)
    assert set(PAYOUT_PLACES) == set(PayoutStatus)
    assert set(REQUEST_ARROWS) == {(old, new) for old, news in REQUEST_TRANSITIONS.items() for new in news}
    assert set(PAYOUT_ARROWS) == TRANSITIONS | CONFIRMED_TRANSITIONS


def test_the_usual_road_of_a_payout_is_the_one_that_the_docs_draw() -> None:
    drawn = {(START_OR_END if old is None else str(old), str(new)) for old, new in USUAL_PAYOUT_ARROWS}
    assert drawn == set(diagrams()[0])


def all_roads() -> list[Drawing]:
    """Each diagram with all arrows it can ever show."""
    skips = [{"from_status": o, "to_status": n, "at_ms": 0, "reason": ""} for o, n in PAYOUT_ARROWS]
    return [draw_request([], RequestStatus.PAID), draw_payout(skips, PayoutStatus.PAID)]


def inside(box: Box, x: float, y: float) -> bool:
    return abs(x - box.x) < BOX_WIDTH / 2 + 1 and abs(y - box.y) < BOX_HEIGHT / 2 + 1


def crossed(drawing: Drawing, arrow: Arrow) -> list[str]:
    """The states whose boxes an arrow runs through, its own two left out."""
    (ax, ay), (cx, cy), (bx, by) = arrow.points
    found = set()
    for step in range(101):
        t = step / 100
        x = (1 - t) ** 2 * ax + 2 * t * (1 - t) * cx + t * t * bx
        y = (1 - t) ** 2 * ay + 2 * t * (1 - t) * cy + t * t * by
        assert 0 <= x <= drawing.width, f"{arrow.old} to {arrow.new} leaves the drawing"
        assert 0 <= y <= drawing.height, f"{arrow.old} to {arrow.new} leaves the drawing"
        found |= {b.state for b in drawing.boxes if b.state not in (arrow.old, arrow.new) and inside(b, x, y)}
    return sorted(found)


@pytest.mark.parametrize("drawing", all_roads(), ids=["request", "payout"])
def test_no_arrow_runs_through_a_state_that_it_does_not_touch(drawing: Drawing) -> None:
    wrong = {(a.old, a.new): through for a in drawing.arrows if (through := crossed(drawing, a))}
    assert wrong == {}


@pytest.mark.parametrize("drawing", all_roads(), ids=["request", "payout"])
def test_no_two_states_lie_over_each_other(drawing: Drawing) -> None:
    for box in drawing.boxes:
        others = [other for other in drawing.boxes if other is not box]
        assert not [o.state for o in others if inside(box, o.left, o.top) or inside(box, o.x, o.y)]


def test_it_shows_where_a_payout_has_been_in_which_order_and_which_ways_lead_on() -> None:
    drawn = draw_request(moves("queued", "sending", "returned", "sending", "sent"), "sent")
    marks = {box.state: box.mark for box in drawn.boxes}
    said = {box.state: box.said for box in drawn.boxes}
    assert marks["sent"] == "here"
    assert {state for state, mark in marks.items() if mark == "been"} == {"queued", "sending", "returned"}
    assert said["sending"] == "2, 4 · 09-21 17:13:20"
    assert said["paid"] == ""
    by_mark = {mark: {(a.old, a.new) for a in drawn.arrows if a.mark == mark} for mark in ("taken", "open")}
    assert by_mark["open"] == {("sent", "paid"), ("sent", "returned")}
    assert (None, "queued") in by_mark["taken"]
    assert ("returned", "sending") in by_mark["taken"]
    assert len(drawn.arrows) == len(REQUEST_ARROWS)
    assert drawn.says.endswith("It is sent. From here it can go to paid, returned.")
    assert [(stay.number, stay.state, stay.until_ms) for stay in drawn.stays][-2:] == [
        (4, "sending", AT_MS + 4 * HOUR_MS),
        (5, "sent", None),
    ]


def test_a_step_that_a_payout_left_out_is_drawn_only_where_it_was() -> None:
    usual = draw_payout(moves("pending", "in_transit", "paid"), "paid")
    skipped = draw_payout(moves("pending", "paid"), "paid")
    assert len(usual.arrows) == len(USUAL_PAYOUT_ARROWS)
    assert {(a.old, a.new) for a in skipped.arrows if a.mark == "taken"} == {
        (None, "pending"),
        ("pending", "paid"),
    }
    assert len(skipped.arrows) == len(USUAL_PAYOUT_ARROWS) + 1


def test_what_has_ended_leads_nowhere() -> None:
    drawn = draw_request(moves("awaiting_approval", "rejected"), "rejected")
    assert not [arrow for arrow in drawn.arrows if arrow.mark == "open"]
    assert "nowhere" in drawn.says
