"""The portal's API during maintenance and in emergency mode: what it still says, and how plainly."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from payouts import maintenance
from payouts.clock import iso, now_ms
from payouts.emergency import switch_off, switch_on
from payouts.emergency_watch import EmergencyWatch
from payouts.sealing import Sealer, new_key
from payouts.storage.emergency_switch import EmergencySwitch
from payouts.storage.kept_answers import BYTES_MOST, PLACES, KeptAnswers
from payouts.storage.unit import in_transaction
from payouts.window import Window
from tests.support.portal import Portal, portal_on, problem
from tests.support.requests import ANNA, make_id
from tests.support.servers import RedisServer, SqlServer

HOUR_MS = 3_600_000
WISH = {"partner": "nord", "currency": "eur", "amount_minor": 100}


@pytest.fixture
def portal(database_url: str) -> Iterator[Portal]:
    with portal_on(database_url) as portal:
        portal.partner(10_000, reference="nord")
        yield portal


def announce(engine: Engine) -> Window:
    times = now_ms(), now_ms() + HOUR_MS // 2
    return in_transaction(
        engine, lambda c: maintenance.announce(c, *times, "A new database.", ANNA, make_id, now_ms())
    )


def step(engine: Engine, verb: Any, window: Window) -> None:
    in_transaction(engine, lambda c: verb(c, window.id, ANNA, "the plan", make_id, now_ms()))


def test_maintenance_is_a_503_with_its_end_for_all_but_what_tells_of_it(portal: Portal) -> None:
    window = announce(portal.engine)
    assert portal.get("/payouts").status_code == 200
    step(portal.engine, maintenance.start, window)

    for answer in (portal.get("/payouts"), portal.post("/payouts", WISH, key="k")):
        assert problem(answer) == (503, "maintenance")
        assert 1_700 <= int(answer.headers["retry-after"]) <= 1_800
        shown = answer.json()["maintenance"]
        assert (shown["status"], shown["text"], shown["id"]) == ("started", window.text, str(window.id))
    assert portal.get("/live", token="").status_code == 200
    assert portal.get("/openapi.json", token="").status_code == 200
    assert portal.get("/maintenance", token="").json() == shown

    step(portal.engine, maintenance.end, window)
    assert portal.get("/payouts").status_code == 200
    assert portal.post("/payouts", WISH, key="k").status_code == 201


def test_the_portal_can_show_what_is_announced_without_a_token(portal: Portal) -> None:
    assert portal.get("/maintenance", token="").json()["status"] == "none"
    window = announce(portal.engine)

    shown = portal.get("/maintenance", token="").json()

    assert (shown["status"], shown["text"]) == ("announced", "A new database.")
    assert datetime.fromisoformat(shown["ends_at"]).timestamp() * 1000 == window.ends_at_ms
    assert shown["started_at"] is None
    step(portal.engine, maintenance.call_off, window)
    assert portal.get("/maintenance", token="").json()["status"] == "none"


def test_the_setting_closes_it_too(tmp_path: Any) -> None:
    with portal_on(f"sqlite:///{tmp_path / 'payouts.db'}", maintenance=True) as portal:
        refused = portal.get("/payouts")
        assert problem(refused) == (503, "maintenance")
        assert int(refused.headers["retry-after"]) == 30
        assert portal.get("/maintenance", token="").json()["status"] == "started"


def test_a_database_that_is_away_during_maintenance_changes_nothing_of_what_is_said(
    own_mariadb: SqlServer,
) -> None:
    with portal_on(own_mariadb.new_database()) as portal:
        step(portal.engine, maintenance.start, announce(portal.engine))
        assert problem(portal.get("/payouts")) == (503, "maintenance")
        own_mariadb.kill()

        assert problem(portal.get("/payouts")) == (503, "maintenance")
        assert portal.get("/maintenance", token="").json()["status"] == "started"


class Emergency:
    """The switch, in a Redis, and a portal that follows it at once."""

    def __init__(self, server: RedisServer) -> None:
        self.client = server.client
        self.switch = EmergencySwitch(self.client, "payouts")
        self.watch = EmergencyWatch(self.switch, every_s=0)
        self.kept = KeptAnswers(self.client, "payouts", Sealer())

    def on(self) -> None:
        switch_on(self.switch, ANNA, "no database", make_id, now_ms())

    def off(self) -> None:
        switch_off(self.switch, ANNA, "it is back", make_id, now_ms())


@pytest.fixture
def emergency(redis_server: RedisServer) -> Iterator[Emergency]:
    made = Emergency(redis_server)
    yield made
    made.client.close()


def test_in_emergency_mode_reads_are_answered_as_last_known_and_say_so_and_writes_are_not(
    tmp_path: Any, emergency: Emergency
) -> None:
    url = f"sqlite:///{tmp_path / 'payouts.db'}"
    with portal_on(url, emergency=emergency.watch, kept=emergency.kept) as portal:
        portal.partner(10_000, reference="nord")
        before_ms = now_ms()
        fresh = portal.get("/partners/nord/balance")
        assert "stale-since" not in fresh.headers
        emergency.on()
        portal.partner(5, reference="new")

        stale = portal.get("/partners/nord/balance")
        assert (stale.status_code, stale.content) == (200, fresh.content)
        assert (iso(before_ms) or "") <= stale.headers["stale-since"] <= (iso(now_ms()) or "")
        unseen = portal.get("/partners/new")
        assert problem(unseen) == (503, "emergency")
        assert int(unseen.headers["retry-after"]) == 60
        written = portal.post("/payouts", WISH, key="k")
        assert problem(written) == (503, "emergency")
        assert portal.value("SELECT COUNT(*) FROM payout_requests") == 0

        emergency.off()
        assert portal.get("/partners/new").status_code == 200
        assert portal.post("/payouts", WISH, key="k").status_code == 201


def test_what_was_answered_to_one_token_is_shown_to_no_other(tmp_path: Any, emergency: Emergency) -> None:
    url = f"sqlite:///{tmp_path / 'payouts.db'}"
    with portal_on(url, emergency=emergency.watch, kept=emergency.kept) as portal:
        portal.partner(10_000, reference="nord")
        assert portal.get("/partners/nord").status_code == 200
        narrow = portal.new_token("narrow", "request")
        emergency.on()

        assert portal.get("/partners/nord").status_code == 200
        assert problem(portal.get("/partners/nord", token=narrow)) == (503, "emergency")
        assert problem(portal.get("/partners/nord?limit=1")) == (422, "wrong_parameters")


def test_with_the_database_down_reads_are_stale_by_themselves(
    own_mariadb: SqlServer, emergency: Emergency
) -> None:
    with portal_on(own_mariadb.new_database(), kept=emergency.kept) as portal:
        portal.partner(10_000, reference="nord")
        fresh = portal.get("/partners/nord")
        own_mariadb.kill()

        stale = portal.get("/partners/nord")
        assert stale.content == fresh.content
        assert "stale-since" in stale.headers
        assert problem(portal.get("/payouts")) == (503, "unavailable")
        assert problem(portal.post("/payouts", WISH, key="k")) == (503, "unavailable")

        own_mariadb.start()
        assert "stale-since" not in portal.get("/partners/nord").headers


def test_kept_answers_are_sealed_bounded_and_never_in_the_way(redis_server: RedisServer) -> None:
    with redis_server.client as client:
        key = new_key()
        kept = KeptAnswers(client, "payouts", Sealer([key]))
        for number in range(3 * PLACES // 2):
            kept.keep("token", f"/a?{number}", b"pay@nord.example", 7)
        kept.keep("token", "/large", b"x" * (BYTES_MOST + 1), 7)

        found = kept.find("token", f"/a?{number}")
        assert found is not None
        assert (found.body, found.at_ms) == (b"pay@nord.example", 7)
        assert kept.find("token", "/large") is None
        keys = client.keys("payouts:answers:*")
        assert len(keys) <= PLACES
        assert b"nord" not in client.get(keys[0])
        assert KeptAnswers(client, "payouts", Sealer([new_key()])).find("token", f"/a?{number}") is None


def test_a_redis_that_is_away_costs_reads_nothing_but_their_last_state(
    tmp_path: Any, own_redis: RedisServer
) -> None:
    emergency = Emergency(own_redis)
    own_redis.kill()
    with portal_on(
        f"sqlite:///{tmp_path / 'payouts.db'}", emergency=emergency.watch, kept=emergency.kept
    ) as portal:
        portal.partner(10_000, reference="nord")
        assert portal.get("/partners/nord").status_code == 200
        assert portal.post("/payouts", WISH, key="k").status_code == 201
