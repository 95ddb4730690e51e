"""Catching up through the SDK with a Stripe whose deliveries get lost, or are acknowledged and then lost."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from payouts.gateway import EventsQuery, Window
from payouts.sdk_gateway import PAGE, SdkGateway
from payouts.storage.columns import PLATFORM
from payouts.walk import Recipe
from tests.support.catching_up import Catcher
from tests.support.sandbox import Listener, Sandbox, sandbox_here

SOON_S = 60


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with sandbox_here() as made:
        yield made


class AtStripe(Catcher):
    """A bench whose gateway is the SDK, and whose clock is the sandbox's."""

    def __init__(self, engine: Engine, sandbox: Sandbox) -> None:
        super().__init__(engine, SdkGateway(sandbox.key, sandbox.url))
        self.sandbox = sandbox
        self.account = sandbox.account(available_minor=10_000_000)
        self.pass_(SOON_S)

    def pass_(self, seconds: float = 0) -> None:
        self.clock.now_ms = int(self.sandbox.advance(seconds) * 1000)

    def paid(self, count: int) -> list[str]:
        """Stripe pays so many times by itself, from beginning to end; the payouts' ids."""
        made = [self.sandbox.automatic_payout(self.account, 100)["id"] for _ in range(count)]
        self.pass_(SOON_S)
        return made

    def statuses(self) -> dict[str, str]:
        return {row.stripe_id: row.status for row in self.rows("SELECT stripe_id, status FROM payouts")}


@pytest.fixture
def bench(shared_engine: Engine, sandbox: Sandbox) -> AtStripe:
    return AtStripe(shared_engine, sandbox)


def test_what_no_endpoint_heard_is_caught_up_with_page_by_page(bench: AtStripe) -> None:
    paid = bench.paid(PAGE // 2)

    walk = bench.walk(bench.account)
    bench.apply()

    assert walk.reads > 1
    assert walk.added == walk.listed > PAGE
    assert bench.statuses() == dict.fromkeys(paid, "paid")
    assert {row.status for row in bench.rows("SELECT DISTINCT status FROM inbox")} <= {"applied", "ignored"}


def test_failed_deliveries_are_found_by_the_cheap_recipe_and_swallowed_ones_by_the_whole_walk(
    bench: AtStripe,
) -> None:
    sandbox, client = bench.sandbox, bench.sandbox.client()
    bench.walk(bench.account)  # how the account came to be: before there was an endpoint
    before = set(bench.inbox())
    with Listener() as listener:
        endpoint = client.v1.webhook_endpoints.create(
            {"url": listener.url, "enabled_events": ["*"], "connect": True}
        )
        sandbox.set_faults(event_lost=0.3)
        paid = bench.paid(12)
        sandbox.set_faults()
        client.v1.webhook_endpoints.delete(endpoint.id)
    got = [event for event in listener.events() if event["account"] == bench.account]
    swallowed = got[::4]  # acknowledged, and then lost
    for event in got:
        if event not in swallowed:
            bench.arrives(event)
    arrived = set(bench.inbox())

    failed = bench.walk(bench.account, recipe=Recipe.FAILED)
    whole = bench.walk(bench.account)
    bench.apply()

    ids = {event["id"] for event in swallowed}
    assert failed.added > 0
    assert failed.listed < whole.listed
    assert whole.added == len(ids)
    assert {name for name, source in bench.inbox().items() if source == "webhook"} == arrived - before
    assert bench.statuses() == dict.fromkeys(paid, "paid")
    proof = bench.prove(bench.account)
    assert (proof.missing, proof.unlisted, proof.open) == (0, 0, 0)
    assert proof.listed == proof.applied + proof.ignored == whole.listed


def test_the_platforms_list_has_its_own_events_and_only_the_types_and_seconds_asked_for(
    bench: AtStripe,
) -> None:
    bench.paid(1)
    before_s = bench.now_s
    bench.pass_(SOON_S)
    bench.sandbox.top_up(700)
    bench.pass_(SOON_S)

    bench.walk(PLATFORM, since_s=before_s + 1)

    assert [(row.account, row.type) for row in bench.rows("SELECT account, type FROM inbox")] == [
        (PLATFORM, "balance.available")
    ]
    window = Window(before_s + 1, bench.now_s)
    asked = bench.gateway.events_page(None, EventsQuery(window, ["transfer.created"]), None)
    assert (asked.objects, asked.after) == ([], None)
