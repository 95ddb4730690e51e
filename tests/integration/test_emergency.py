"""Emergency mode: nothing is paid, webhooks wait in Redis, no database is needed, and nothing is lost."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from payouts.access import Step, bootstrap
from payouts.apply import Applier
from payouts.batch import Rules
from payouts.clock import now_ms
from payouts.emergency import switch_off, switch_on, write_notes
from payouts.emergency_state import Switched, Unchecked
from payouts.emergency_watch import EmergencyWatch
from payouts.errors import RefusedError
from payouts.people import BOOTSTRAP, Role
from payouts.settings import Settings
from payouts.storage import unit
from payouts.storage.emergency_switch import EmergencySwitch
from payouts.storage.engine import build_engine
from payouts.storage.spill import Spill
from payouts.tokens import DEFAULT_DAYS, digest_of, new_token
from tests.support.commands import run_here
from tests.support.databases import bring_up_to_date
from tests.support.lives import event_body, payout_object
from tests.support.money import NOW_MS, Payer
from tests.support.requests import ANNA, BEN, actor, make_id
from tests.support.servers import RedisServer, SqlServer
from tests.support.small_stripe import SmallStripe
from tests.support.stack import PATH, SECRET, signature
from webhooks.app import build_app
from workers.drain import Drainer

NOBODY = "mysql://nobody@127.0.0.1:1/none"


class Bench(Payer):
    """A service in this process, whose parts follow the switch at once."""

    def __init__(self, engine: Engine, server: RedisServer) -> None:
        self.stripe, self.server = SmallStripe(), server
        self.client = server.client
        self.switch = EmergencySwitch(self.client, "payouts")
        self.watch = EmergencyWatch(self.switch, every_s=0)
        super().__init__(engine, self.stripe, emergency=self.watch.is_on)
        self.spill = Spill(self.client, "auto", "payouts")
        self.hinted: list[int] = []
        self.drainer = Drainer(
            *(engine, self.spill, self.switch, self.watch, self.make_id, self.clock, self.hinted.extend)
        )
        self.applier = Applier(engine, Rules(self.make_id, self.clock, "tests:1", 3))

    def on(self, by: Any = ANNA) -> None:
        switch_on(self.switch, by, "no database", self.make_id, self.clock())

    def off(self, by: Any = BEN) -> None:
        switch_off(self.switch, by, "it is back", self.make_id, self.clock())

    def send(self, request_id: int) -> str:
        self.sender.send(request_id)
        return self.status(request_id)

    def deliver(self, *names: str, **settings: Any) -> list[int]:
        """Events to a receiver of its own; the statuses."""
        bodies = [event_body(f"evt_{name}", "paid", payout_object(f"po_{name}", "paid")) for name in names]
        url = self.engine.url.render_as_string(hide_password=False)
        known = {"database_url": url, "redis_url": self.server.url, "stripe_webhook_secret": SECRET}
        return deliver(bodies, **{**known, **settings})

    def rows(self, sql: str) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(sql))]

    def received(self) -> set[str]:
        return {event_id.removeprefix("evt_") for (event_id,) in self.rows("SELECT event_id FROM inbox")}

    def drain_and_apply(self) -> list[str]:
        """What the scheduler and a worker make of what was spilled; the states of its payouts."""
        self.drainer.drain()
        self.applier.apply(self.hinted)
        return sorted(status for (status,) in self.rows("SELECT status FROM payouts"))


def deliver(bodies: Sequence[bytes], **settings: Any) -> list[int]:
    app = build_app(Settings(**settings))

    async def post() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
            app.router.lifespan_context(app),
        ):
            sent = [
                client.post(PATH, content=body, headers={"Stripe-Signature": signature(body)})
                for body in bodies
            ]
            return [answer.status_code for answer in await asyncio.gather(*sent)]

    return asyncio.run(post())


@pytest.fixture
def bench(shared_engine: Engine, redis_server: RedisServer) -> Iterator[Bench]:
    made = Bench(shared_engine, redis_server)
    yield made
    made.client.close()


@pytest.fixture
def small(tmp_path: Path, redis_server: RedisServer) -> Iterator[Bench]:
    engine = build_engine(f"sqlite:///{tmp_path / 'payouts.db'}", timeout_s=10, pool_size=5)
    bring_up_to_date(engine)
    made = Bench(engine, redis_server)
    yield made
    made.client.close()
    engine.dispose()


def test_nothing_is_paid_while_it_is_on_and_what_waited_goes_out_afterwards(bench: Bench) -> None:
    request_id = bench.request(bench.partner())
    bench.on()

    assert bench.send(request_id) == "queued"
    assert (bench.blocked(request_id), bench.stripe.calls) == ("emergency", [])

    bench.off()
    bench.drainer.write_notes()
    assert bench.send(request_id) == "queued", "a worker that has not heard of it would stop it again"
    bench.clock.pass_(seconds=3)
    bench.drainer.write_notes()
    assert bench.send(request_id) == "sent"
    assert len(bench.stripe.calls) == 2


def test_webhooks_go_to_the_spill_without_the_database_and_are_applied_afterwards(bench: Bench) -> None:
    assert bench.deliver("before") == [200]
    bench.on()

    assert bench.deliver("one", "two") == [200, 200]
    assert bench.received() == {"before"}
    assert bench.drainer.drain() == 0, "the database must not be asked while it is on"
    assert bench.spill.waiting() == 2

    bench.off()
    assert bench.deliver("after") == [200]
    assert bench.drain_and_apply() == ["paid", "paid"]
    assert bench.received() == {"before", "one", "two", "after"}
    assert bench.spill.waiting() == 0


def test_the_database_stops_while_it_is_on_and_nothing_is_lost(
    own_mariadb: SqlServer, redis_server: RedisServer
) -> None:
    # given a service whose database is gone, and somebody with a token
    engine = build_engine(own_mariadb.new_database(), timeout_s=5, pool_size=5)
    bring_up_to_date(engine)
    bench = Bench(engine, redis_server)
    with engine.begin() as connection:
        token = bootstrap(Step(connection, make_id, now_ms(), BOOTSTRAP), "olga", DEFAULT_DAYS).secret
    own_mariadb.kill()

    # when emergency mode is switched on, events come, and it is switched off before the database is back
    bench.on(Unchecked("root", digest_of(token)))
    assert bench.deliver("one", "two", "one") == [200] * 3
    with pytest.raises(SQLAlchemyError):
        bench.drainer.write_notes()
    bench.off(Unchecked("root", digest_of(new_token())))
    own_mariadb.start()
    assert bench.deliver("three") == [200]

    # then all of it is there, once, and it is on record who did it
    bench.drain_and_apply()
    assert bench.received() == {"one", "two", "three"}
    assert bench.drainer.write_notes() == 2
    assert bench.rows("SELECT action, actor FROM audit WHERE action LIKE 'emergency%' ORDER BY number") == [
        ("emergency.on", "olga"),
        ("emergency.off", "unchecked:root"),
    ]
    bench.client.close()
    engine.dispose()


def test_where_the_spill_may_not_be_used_the_database_takes_them_as_ever(small: Bench) -> None:
    small.on()
    assert small.deliver("one", redis_spill="off") == [200]
    assert small.received() == {"one"}
    assert small.deliver("two", redis_spill="off", database_url=NOBODY) == [503]


def test_the_setting_switches_it_on_too(small: Bench) -> None:
    assert small.deliver("one", enable_mock_data=True) == [200]
    assert (small.received(), small.spill.waiting()) == (set(), 1)

    watch = EmergencyWatch(small.switch, by_setting=True)
    held = Payer(small.engine, small.stripe, emergency=watch.is_on)
    request_id = held.request(held.partner())
    held.sender.send(request_id)
    assert (held.blocked(request_id), small.stripe.calls) == ("emergency", [])


def test_each_switching_is_on_record_once_even_if_its_writer_is_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(point: str) -> None:
        if point == "unit.after_commit":
            raise Killed

    bench.on()
    with monkeypatch.context() as patch:
        patch.setattr(unit, "crash_point", kill)
        with pytest.raises(Killed):
            bench.drainer.write_notes()
    bench.off()

    assert bench.drainer.write_notes() == 1
    bench.clock.pass_(seconds=3)
    assert bench.drainer.write_notes() == 0
    assert bench.switch.notes() == []
    actions = bench.rows("SELECT action, actor, reason FROM audit ORDER BY number")
    assert actions == [("emergency.on", "anna", "no database"), ("emergency.off", "ben", "it is back")]
    told = bench.rows("SELECT name FROM outbox ORDER BY created_at_ms, name DESC")
    assert sorted(told) == [("alert.emergency_off",), ("alert.emergency_on",)]


def test_it_is_switched_once_and_by_those_who_may(small: Bench) -> None:
    def refused(step: Any, by: Any = ANNA) -> str:
        with pytest.raises(RefusedError) as error:
            step(by)
        return error.value.code

    assert refused(small.off) == "emergency_off"
    assert refused(small.on, actor("vera", Role.VIEWER)) == "not_allowed"
    small.on()
    assert refused(small.on) == "emergency_on"
    assert len(small.switch.notes()) == 1


def test_a_switch_that_was_set_by_hand_counts_as_on_and_is_switched_off(small: Bench) -> None:
    small.client.set("payouts:emergency", "true")
    assert small.watch.is_on()
    small.off()
    assert not small.watch.is_on()


def test_while_redis_does_not_answer_it_stays_as_it_was_last_heard_of(own_redis: RedisServer) -> None:
    switch = EmergencySwitch(redis.Redis.from_url(own_redis.url, retry=None), "payouts")
    now_s = [0.0]
    watch = EmergencyWatch(switch, monotonic=lambda: now_s[0])
    assert watch.now() is None
    switch_on(switch, ANNA, "no database", make_id, NOW_MS)
    assert watch.now() is None, "it asks at most once a second"
    now_s[0] = 1.0
    assert watch.is_on()

    own_redis.kill()
    now_s[0] = 5.0
    assert watch.is_on()
    now_s[0] = 6.0
    with pytest.raises(redis.RedisError):
        watch.ask()


@pytest.fixture
def office(small: Bench) -> dict[str, str]:
    with small.engine.begin() as connection:
        token = bootstrap(Step(connection, make_id, now_ms(), BOOTSTRAP), "olga", DEFAULT_DAYS).secret
    url = small.engine.url.render_as_string(hide_password=False)
    return {"DATABASE_URL": url, "REDIS_URL": small.server.url, "PAYOUTS_TOKEN": token}


def test_the_command_switches_it_on_without_a_database_and_says_what_is_missing(
    small: Bench, office: dict[str, str]
) -> None:
    reason = ("--reason", "no database")
    on = run_here("emergency", "on", *reason, **{**office, "DATABASE_URL": NOBODY})
    assert on.returncode == 0, on.stderr
    assert "emergency mode is on" in on.stdout
    assert "the entry in the audit log waits in Redis" in on.stdout
    shown = run_here("emergency", "show", "--json", **{**office, "DATABASE_URL": NOBODY})
    said = json.loads(shown.stdout)
    assert (said["on"], said["by_setting"], said["reason"]) == (True, False, "no database")
    assert (said["by"].partition(":")[0], said["spilled"], said["notes"]) == ("unchecked", 0, 1)
    mode = run_here("mode", **{**office, "DATABASE_URL": NOBODY})
    assert mode.stdout.startswith("emergency since ")

    again = run_here("emergency", "on", *reason, **office)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    off = run_here("emergency", "off", "--reason", "it is back", **office)
    assert off.returncode == 0, off.stderr
    assert small.rows("SELECT action, actor FROM audit WHERE action LIKE 'emergency%' ORDER BY number") == [
        ("emergency.on", "olga"),
        ("emergency.off", "olga"),
    ]
    assert run_here("mode", **office).stdout == "normal\n"


def test_the_command_says_that_the_setting_holds_it(small: Bench, office: dict[str, str]) -> None:
    small.on()
    held = {**office, "ENABLE_MOCK_DATA": "true"}

    off = run_here("emergency", "off", "--reason", "it is back", **held)

    assert "ENABLE_MOCK_DATA=true still holds emergency mode" in off.stdout
    assert "by ENABLE_MOCK_DATA=true" in run_here("emergency", "show", **held).stdout
    write_notes(small.engine, small.switch, make_id, small.clock)


def test_a_redis_that_does_not_answer_leaves_the_setting_and_the_command_says_so(
    office: dict[str, str],
) -> None:
    nowhere = {**office, "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = run_here("emergency", "on", "--reason", "no database", **nowhere)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "set ENABLE_MOCK_DATA=true" in done.stderr


def test_a_process_that_starts_while_it_is_on_takes_it_for_off_in_none_of_its_threads(
    redis_server: RedisServer,
) -> None:
    class SlowSwitch(EmergencySwitch):
        def read(self) -> Switched | None:
            time.sleep(0.2)
            return super().read()

    switch = SlowSwitch(redis_server.client, "payouts")
    switch_on(switch, ANNA, "no database", make_id, NOW_MS)
    watch = EmergencyWatch(switch)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: watch.is_on(), range(4))) == [True] * 4
