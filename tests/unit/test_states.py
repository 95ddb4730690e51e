"""The page on states draws exactly what the code allows, and the other way round."""

import re
from pathlib import Path

import pytest

from payouts.claims import PLACES
from payouts.ledger import LedgerKind
from payouts.states import (
    CONFIRMED_TRANSITIONS,
    DOMAIN_EVENT,
    OPEN_EVENT_STATUSES,
    RANK,
    REQUEST_TRANSITIONS,
    SETTLED_EVENT_STATUSES,
    TRANSITIONS,
    EventStatus,
    PayoutStatus,
    RequestStatus,
)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "state-machine.md").read_text()
START_OR_END = "[*]"
Arrow = tuple[str, str]


def diagrams() -> list[dict[Arrow, str]]:
    """Each diagram as its arrows with their labels."""
    found = []
    for text in re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", PAGE, re.DOTALL):
        lines = [line.strip() for line in text.strip().splitlines()]
        arrows = [re.fullmatch(r"(\S+) --> (\S+)(?: : (.+))?", line) for line in lines]
        assert all(arrows), f"does not read as an arrow: {lines}"
        pairs = [((arrow[1], arrow[2]), arrow[3] or "") for arrow in arrows if arrow]
        assert len(dict(pairs)) == len(pairs), "an arrow is drawn twice"
        found.append(dict(pairs))
    return found


def table(heading: str) -> list[list[str]]:
    """The rows of the table with this header, without the marks of code."""
    _, rule, *rows = PAGE[PAGE.index(heading) :].split("\n\n")[0].splitlines()
    assert set(rule) <= set("|-")
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


def listed_skips() -> list[Arrow]:
    rows = table("| from | to |")
    return [
        (START_OR_END if old == "nothing" else old, new) for old, news in rows for new in news.split(", ")
    ]


def in_code(moves: object) -> set[Arrow]:
    return {(START_OR_END if old is None else str(old), str(new)) for old, new in moves}  # type: ignore[attr-defined]


def test_every_move_that_an_event_may_make_is_drawn_or_listed_and_no_other() -> None:
    drawn = {arrow for arrow, label in diagrams()[0].items() if label != "Stripe was asked"}
    skips = listed_skips()
    assert len(skips) == len(set(skips))
    assert drawn & set(skips) == set()
    assert drawn | set(skips) == in_code(TRANSITIONS)


def test_every_move_that_stripe_must_confirm_is_drawn_as_such_and_no_other() -> None:
    drawn = {arrow for arrow, label in diagrams()[0].items() if label == "Stripe was asked"}
    assert drawn == in_code(CONFIRMED_TRANSITIONS)


def test_the_table_of_payout_states_names_each_once() -> None:
    names = [row[0] for row in table("| state | what it means")]
    assert sorted(names) == sorted(PayoutStatus)


def test_the_table_of_ranks_is_that_of_the_code() -> None:
    listed = {}
    for rank, states in table("| rank | states |"):
        for state in states.split(", "):
            listed[None if state == "nothing is known" else state] = float(rank.replace("−", "-"))
    assert listed == {None if state is None else str(state): rank for state, rank in RANK.items()}


def test_every_move_of_a_request_is_drawn_and_no_other() -> None:
    drawn = set(diagrams()[1])
    moves = {(old, new) for old, news in REQUEST_TRANSITIONS.items() for new in news}
    ends = {(str(status), START_OR_END) for status in RequestStatus if status not in REQUEST_TRANSITIONS}
    assert drawn == in_code(moves) | ends


def test_the_table_of_requests_names_each_once_with_where_its_claim_stands() -> None:
    words = {"in transit": LedgerKind.IN_TRANSIT, "paid": LedgerKind.PAID, "returned": LedgerKind.RETURNED}
    listed = {row[0]: words.get(row[2]) for row in table("| state of a request |")}
    assert listed == {str(status): PLACES.get(status) for status in RequestStatus}


def test_the_diagram_of_events_names_every_status_and_ends_those_that_are_through() -> None:
    arrows = diagrams()[2]
    names = {name for arrow in arrows for name in arrow} - {START_OR_END}
    assert names == set(EventStatus)
    final = {old for old, new in arrows if new == START_OR_END}
    assert final == set(SETTLED_EVENT_STATUSES)
    assert [new for old, new in arrows if old == START_OR_END] == [EventStatus.RECEIVED]


def test_no_event_leaves_a_final_status_and_only_a_decision_takes_up_what_is_dead() -> None:
    arrows = diagrams()[2]
    final = {old for old, new in arrows if new == START_OR_END}
    assert not [(old, new) for old, new in arrows if old in final and new != START_OR_END]
    decided = {"replayed", "resent at Stripe", "an operator ignores it", "restored"}
    dead = (EventStatus.DEAD, EventStatus.DISMISSED)
    assert {label for (old, _), label in arrows.items() if old in dead} == decided
    for status in OPEN_EVENT_STATUSES:
        assert {new for old, new in arrows if old == status} >= {*final, EventStatus.DEAD}


def test_the_table_of_event_states_names_each_once() -> None:
    rest = PAGE[PAGE.index("## An event in the inbox") :]
    names = re.findall(r"^\| `(\w+)` \|", rest, re.MULTILINE)
    assert sorted(names) == sorted(EventStatus)


@pytest.mark.parametrize("status", PayoutStatus)
def test_every_payout_state_has_a_domain_event_of_its_own_and_a_line_of_its_own(status: PayoutStatus) -> None:
    others = {name for other, name in DOMAIN_EVENT.items() if other != status}
    assert DOMAIN_EVENT[status].startswith("payout.")
    assert DOMAIN_EVENT[status] not in others
    source = (Path(__file__).resolve().parents[2] / "payouts" / "states.py").read_text()
    assert re.search(rf'    {status.name} = "{status}"\n    """.+"""', source)
