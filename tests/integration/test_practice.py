"""The failure to practise on: it stays until an operator replays the event, and is met by no other."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from payouts.apply import Applier
from payouts.practice import DESCRIPTOR, read_failing_once
from tests.support.lives import event_body, payout_object
from tests.support.world import World, world_on


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with world_on(database_url) as made:
        yield made


def practising(world: World) -> Applier:
    return Applier(world.engine, dataclasses.replace(world.rules, read=read_failing_once))


def body(event_id: str, kind: str, status: str, descriptor: Any = DESCRIPTOR) -> bytes:
    payout = payout_object("po_1", status) | {"statement_descriptor": descriptor}
    return event_body(event_id, kind, payout)


def test_the_event_dies_at_once_and_only_a_replay_heals_it(world: World) -> None:
    moved, paid = body("evt_1", "updated", "in_transit"), body("evt_2", "paid", "paid")
    practising(world).apply(world.add(moved, paid))
    assert world.statuses() == {"evt_1": "applied", "evt_2": "dead"}
    [row] = world.rows("SELECT last_error FROM inbox WHERE event_id = 'evt_2'")
    assert "PRACTICE_FAILURE" in row.last_error

    # It is delivered again, another event of the payout comes late, and the sweeper sends its id once more.
    again = world.add(paid, body("evt_3", "created", "pending"))
    world.now_ms += 3_600_000
    practising(world).apply([*world.ids.values(), *again])
    assert world.statuses() == {"evt_1": "applied", "evt_2": "dead", "evt_3": "ignored"}
    assert world.payouts() == {"po_1": "in_transit"}

    dead = world.rows("SELECT id FROM inbox WHERE event_id = 'evt_2'")[0].id
    practising(world).replaying(lambda connection, result: None).apply([dead])
    assert world.statuses()["evt_2"] == "applied"
    assert world.payouts() == {"po_1": "paid"}


@pytest.mark.parametrize("descriptor", [None, "ACME", 7, {"of": "another kind"}])
def test_events_of_other_payouts_are_applied_as_ever(world: World, descriptor: Any) -> None:
    practising(world).apply(world.add(body("evt_1", "paid", "paid", descriptor)))
    assert world.statuses() == {"evt_1": "applied"}


def test_what_took_effect_before_is_replayed_as_ever(world: World) -> None:
    [inbox_id] = world.add(body("evt_1", "paid", "paid"))
    world.apply([inbox_id])
    result = practising(world).replaying(lambda connection, result: None).apply([inbox_id])
    assert [outcome.detail for outcome in result.outcomes] == ["already paid"]
