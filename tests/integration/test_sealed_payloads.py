"""Payloads at rest: sealed from the receiver on, in the spill too, and opened by whoever has the key."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from payouts.apply import Applier
from payouts.batch import Rules
from payouts.gateway import NoGateway
from payouts.lookup import Resolver
from payouts.payloads import Payloads
from payouts.rotating import Rotation
from payouts.sealing import SEALED, Sealer, new_key
from payouts.settings import Settings
from payouts.storage.event_queries import event
from payouts.storage.spill import Spill
from tests.support.keeping import Keeper
from tests.support.lives import event_body, payout_object
from tests.support.servers import RedisServer
from tests.support.stack import PATH, SECRET, signature
from webhooks.app import build_app

KEY, OLD_KEY = new_key(), new_key()
BODY = event_body("evt_1", "paid", payout_object("po_1", "paid"))


@pytest.fixture
def keeper(database_url: str, tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(database_url, tmp_path / "archive")
    yield made
    made.engine.dispose()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(f"sqlite:///{tmp_path / 'payouts.db'}", tmp_path / "archive")
    yield made
    made.engine.dispose()


def deliver(database_url: str, redis_url: str, keys: str) -> int:
    """Deliver BODY to a receiver in this process; its status."""
    app = build_app(
        Settings(
            database_url=database_url, redis_url=redis_url, stripe_webhook_secret=SECRET, payload_keys=keys
        )
    )

    async def post() -> int:
        transport = httpx.ASGITransport(app)
        headers = {"Stripe-Signature": signature(BODY)}
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
            app.router.lifespan_context(app),
        ):
            return (await client.post(PATH, content=BODY, headers=headers)).status_code

    return asyncio.run(post())


def row_of(keeper: Keeper, event_id: str) -> int:
    with keeper.engine.connect() as connection:
        found = event(connection, event_id)
    assert found is not None
    return int(found["id"])


def test_an_event_is_sealed_before_it_reaches_the_database(keeper: Keeper, redis_server: RedisServer) -> None:
    assert deliver(keeper.url, redis_server.url, KEY) == 200
    inbox_id = row_of(keeper, "evt_1")
    assert keeper.stored(inbox_id).startswith(SEALED)
    keeper.sealer = Sealer([KEY])
    assert keeper.read(inbox_id) == BODY
    assert [str(outcome.status) for outcome in keeper.apply(inbox_id).outcomes] == ["applied"]


def test_with_the_database_down_an_event_is_sealed_in_the_spill_and_stays_so(
    small: Keeper, redis_server: RedisServer
) -> None:
    assert deliver("mysql://nobody@127.0.0.1:9/none", redis_server.url, KEY) == 200
    with redis_server.client as client:
        spill = Spill(client, "auto", "payouts")
        ((_, fields),) = client.xrange(spill.stream)
        assert b"data" not in fields[b"event"], "the payload is not to be read in Redis"
        assert spill.drain(small.engine, small.make_id, lambda _: None) == 1
    inbox_id = row_of(small, "evt_1")
    assert small.stored(inbox_id).startswith(SEALED)
    small.sealer = Sealer([KEY])
    assert small.read(inbox_id) == BODY
    assert [str(outcome.status) for outcome in small.apply(inbox_id).outcomes] == ["applied"]


def test_plain_and_sealed_events_of_one_batch_are_all_applied(keeper: Keeper) -> None:
    ids = [keeper.add("plain")]
    for name, keys in (("old", [OLD_KEY]), ("new", [KEY, OLD_KEY])):
        keeper.sealer = Sealer(keys)
        ids.append(keeper.add(name))
    assert [str(outcome.status) for outcome in keeper.apply(*ids).outcomes] == ["applied"] * 3


def test_a_missing_key_holds_its_event_up_and_kills_nothing(keeper: Keeper) -> None:
    keeper.sealer = Sealer([OLD_KEY])
    closed = keeper.add("closed")
    keeper.sealer = Sealer([KEY])
    there = keeper.add("there")
    for _ in range(20):  # far more often than an event may fail
        keeper.apply(closed, there)
        keeper.now_ms += 3_600_000
    assert [keeper.status(closed), keeper.status(there)] == ["deferred", "applied"]
    with keeper.engine.connect() as connection:
        found = event(connection, "evt_closed")
    assert found is not None
    assert "PAYLOAD_KEYS" in found["reason"]
    assert (found["attempts"], found["failed_attempts"]) == (0, [])

    keeper.sealer = Sealer([KEY, OLD_KEY])
    keeper.apply(closed)
    assert keeper.status(closed) == "applied"


def test_a_look_up_at_stripe_waits_for_the_key_too(small: Keeper) -> None:
    small.sealer = Sealer([OLD_KEY])
    closed = small.add("closed")
    rules = Rules(small.make_id, lambda: small.now_ms, "tests:1", 1, payloads=Payloads(Sealer([KEY])))
    Resolver(Applier(small.engine, rules), NoGateway()).resolve(closed)
    assert small.status(closed) == "deferred"


def test_rotation_seals_all_that_opens_and_names_what_does_not(keeper: Keeper) -> None:
    plain, archived = keeper.add("plain", age_days=1), keeper.add("archived")
    keeper.set_status(archived, "applied")
    keeper.archive()
    keeper.sealer = Sealer([OLD_KEY])
    old = [keeper.add(f"old{n}", age_days=1) for n in range(5)]
    keeper.sealer = Sealer([new_key()])
    lost = keeper.add("lost", age_days=1)
    lost_bytes = keeper.stored(lost)
    keeper.sealer = Sealer([KEY, OLD_KEY])
    current = keeper.add("current", age_days=1)
    current_bytes = keeper.stored(current)

    rotation = Rotation(keeper.engine, keeper.sealer, step_rows=2)
    last_id: int | None = 0
    steps = []
    while last_id is not None:
        steps.append(rotation.step(last_id))
        last_id = steps[-1].last_id

    assert sum(step.sealed for step in steps) == 6
    assert sum(step.archived for step in steps) == 1
    assert [inbox_id for step in steps for inbox_id in step.closed] == [lost]
    assert (keeper.stored(lost), keeper.stored(current)) == (lost_bytes, current_bytes)
    assert keeper.is_archived(archived)
    keeper.sealer = Sealer([KEY])
    assert keeper.read(plain) == keeper.bodies["plain"]
    assert [keeper.read(inbox_id) for inbox_id in old] == [keeper.bodies[f"old{n}"] for n in range(5)]
    again = Rotation(keeper.engine, Sealer([KEY, OLD_KEY])).step(0)
    assert (again.rows, again.sealed) == (9, 0)


def test_a_step_of_rotation_holds_no_more_bytes_than_it_may(small: Keeper) -> None:
    for n in range(6):
        small.add(f"{n}", description="x" * 10_000)
    assert Rotation(small.engine, Sealer([KEY]), step_bytes=35_000).step(0).rows == 3
    assert Rotation(small.engine, Sealer([KEY]), step_bytes=1).step(0).rows == 1


def test_what_is_archived_while_its_turn_comes_is_left_to_the_archive(small: Keeper) -> None:
    inbox_id = small.add("a")
    small.set_status(inbox_id, "applied")

    class Meanwhile(Sealer):
        def is_current(self, stored: bytes) -> bool:
            if not small.on_disk():
                small.archive()
            return super().is_current(stored)

    Rotation(small.engine, Meanwhile([KEY])).step(0)
    assert small.is_archived(inbox_id)
    assert small.read(inbox_id) == small.bodies["a"]
