"""Notices on their way to other people's servers: at least once, by the same key, and left to an operator."""

import json
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from sqlalchemy import Engine

from payouts import telling
from payouts.bootstrap import open_teller
from payouts.failure_watch import FailureWatch
from payouts.health_checks import HealthAsks
from payouts.ids import time_of
from payouts.notices import CHANNELS, NOTICES_DEAD, Closes, NoticeError, Route
from payouts.open_channels import open_channels, routes_of
from payouts.retelling import tell_dead_again
from payouts.settings import Settings
from payouts.storage.age_queries import waiting_notices
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction
from payouts.telling import LEASE_MS, PAUSE_MOST_S, Teller, TellingRules
from tests.support.databases import migrated_file
from tests.support.outbox import Office
from tests.support.requests import ANNA, a_partner, keep, migrated
from tests.support.stand_in import Says, StandIn, standing_in

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Post(Office):
    """An outbox whose channels go to servers of this machine."""

    def __init__(self, engine: Engine, there: StandIn) -> None:
        super().__init__(engine)
        self.there = there
        self.settings = Settings(
            database_url="sqlite://",
            redis_url="redis://127.0.0.1:1/0",
            resend_api_key="re_key",
            resend_api_base=f"{there.url}/resend",
            email_from="Payouts <p@example.com>",
            slack_warning_url=f"{there.url}/slack",
            pagerduty_routing_key="R0UT1NGKEY",
            pagerduty_api_base=f"{there.url}/pagerduty",
            portal_webhook_url=f"{there.url}/portal",
            portal_webhook_secret=SECRET,
        )
        self.channels = open_channels(self.settings, engine, self.clock)
        self.teller = self.post()
        self.partner = a_partner(account="acct_1")
        with engine.begin() as connection:
            keep(connection, self.partner)

    def post(self) -> Teller:
        """A teller with all channels, as a worker has it."""
        return open_teller(self.settings, self.engine, self.channels, self.clock)

    def tell_of(self, name: str, **body: Any) -> int:
        """Write a notice; its id."""
        (row_id,) = self.write(None, name=name)
        text = json.dumps({"name": name, "occurred_at_ms": self.clock(), **body})
        self.run("UPDATE outbox SET body = :body WHERE id = :id", body=text, id=row_id)
        return row_id

    def pay(self, name: str = "payout.sent") -> int:
        return self.tell_of(
            name, request_id="pay_7", amount_minor=1_200, currency="eur", status_before="sent"
        )

    def asked(self, path: str) -> list[Any]:
        return [got for got in self.there.got if got.path.startswith(path)]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with standing_in() as there, migrated(migrated_file(tmp_path / "payouts.db")) as engine:
        made = Post(engine, there)
        there.usually = Says(202, {"id": "x"})
        yield made
        for channel in made.channels.values():
            if isinstance(channel, Closes):
                channel.close()


def test_each_channel_takes_what_is_for_it(post: Post) -> None:
    paid, alert, grave = post.pay(), post.tell_of("alert.events_dying"), post.tell_of("alert.paid_twice")
    post.teller.tell()
    assert set(post.deliveries(paid)) == {"log", "email", "portal"}
    assert set(post.deliveries(alert)) == {"log", "slack"}
    assert set(post.deliveries(grave)) == {"log", "slack", "pagerduty"}
    assert post.statuses() == ["delivered"] * 3
    assert [len(post.asked(f"/{name}")) for name in ("resend", "portal", "slack", "pagerduty")] == [
        1,
        1,
        2,
        1,
    ]


def test_a_worker_that_dies_after_sending_sends_again_by_the_same_key(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice_id = post.pay()

    def die(name: str) -> None:
        if name == "tell.before_record":
            raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(telling, "crash_point", die)
        for _ in range(3):  # each ends the run at the first channel that was asked and not recorded
            with pytest.raises(KeyboardInterrupt):
                post.post().tell()
    post.clock.pass_(seconds=LEASE_MS / 1000 + 1)
    post.teller.tell()

    assert post.statuses() == ["delivered"]
    mails, events = post.asked("/resend"), post.asked("/portal")
    assert len(mails) == len(events) == 2
    assert {got.headers["idempotency-key"] for got in mails} == {f"email-{notice_id}"}
    assert {got.headers["webhook-id"] for got in events} == {str(notice_id)}
    assert mails[0].body == mails[1].body
    assert events[0].body == events[1].body


def test_a_limit_of_rate_holds_the_channel_up_and_costs_no_attempt(post: Post) -> None:
    ids = [post.pay() for _ in range(3)]
    slower = {"statusCode": 429, "name": "rate_limit_exceeded", "message": "slower"}
    post.there.usually = Says(429, slower, {"Retry-After": "20"})
    post.teller.tell()
    assert len(post.asked("/resend")) == 1
    post.clock.pass_(seconds=19)
    post.teller.tell()
    assert len(post.asked("/resend")) == 1

    post.there.usually = Says(200, {"id": "x"})
    post.clock.pass_(seconds=2)
    post.teller.tell()
    assert [post.deliveries(one)["email"][:2] for one in ids] == [("delivered", 1)] * 3


def test_a_server_that_is_away_is_asked_once_in_a_while_however_many_wait(post: Post) -> None:
    for _ in range(5):
        post.tell_of("alert.events_dying")
    post.there.usually = Says(503)
    post.teller.tell()
    post.teller.tell()
    assert len(post.asked("/slack")) == 1
    post.there.usually = Says(200)
    for _ in range(4):
        post.clock.pass_(seconds=10)
        post.teller.tell()
    assert post.statuses() == ["delivered"] * 5


def test_a_pause_is_no_longer_than_an_hour_whatever_is_asked_for(tmp_path: Path) -> None:
    with migrated(migrated_file(tmp_path / "payouts.db")) as engine:
        office = Office(engine)
        (one,) = office.write(1)
        office.a.failing[one] = NoticeError("later", transient=True, pause_s=10**9, counts=False)
        office.teller.tell()
        office.a.failing.clear()
        office.clock.pass_(seconds=PAUSE_MOST_S + 1)
        office.teller.tell()
        assert office.a.got == [one]


def test_what_waits_for_a_pause_keeps_its_order(tmp_path: Path) -> None:
    with migrated(migrated_file(tmp_path / "payouts.db")) as engine:
        office = Office(engine)
        ids = office.write(1, 2, 1, 2)
        office.a.failing[ids[0]] = NoticeError("later", transient=True, pause_s=5, counts=False)
        office.teller.tell()
        assert office.a.asked == 1
        office.a.failing.clear()
        office.tell_all(30)
        for first, second in ((ids[0], ids[2]), (ids[1], ids[3])):
            assert office.a.got.index(first) < office.a.got.index(second)


def test_a_portal_that_is_gone_is_an_alert_and_gets_its_events_when_an_operator_says_so(post: Post) -> None:
    notice_id = post.pay()
    post.there.usually = Says(410)
    post.teller.tell()
    assert post.deliveries(notice_id)["portal"][:2] == ("dead", 1)
    watch = FailureWatch(post.engine, post.make_id, post.clock, 10**9, 10**9)
    post.run("UPDATE notice_deliveries SET status = 'delivered' WHERE channel = 'email'")
    for _ in range(2):
        watch.look()
    post.clock.pass_(hours=25)
    watch.look()
    (alert,) = post.rows("SELECT body FROM outbox WHERE name = :name", name=NOTICES_DEAD)
    assert "portal gave up on a notice: the portal answered 410" in json.loads(alert.body)["text"]

    post.there.usually = Says(200)
    in_transaction(
        post.engine,
        lambda c: tell_dead_again(c, 0, "portal", ANNA, "it is back", post.make_id, post.clock()),
    )
    post.teller.tell()
    assert post.deliveries(notice_id)["portal"][0] == "delivered"


def test_an_alert_that_cannot_be_told_makes_no_other(post: Post) -> None:
    post.tell_of(NOTICES_DEAD)
    post.there.usually = Says(404)
    post.teller.tell()
    FailureWatch(post.engine, post.make_id, post.clock, 10**9, 10**9).look()
    assert len(post.rows("SELECT id FROM outbox")) == 1


def test_an_address_that_resend_refuses_is_written_to_no_more(post: Post) -> None:
    first = post.pay()
    bad = {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field."}
    post.there.answers = [Says(422, bad)]
    # Only e-mail goes out, so that the answer is for it.
    rules = TellingRules(post.make_id, post.clock, [Route("email", "payout.*")], 90)
    teller = Teller(post.engine, {"email": post.channels["email"]}, rules)
    teller.tell()
    assert post.deliveries(first)["email"][:2] == ("dead", 1)
    (row,) = post.rows("SELECT email_bounced_at_ms, email_bounce FROM partners")
    assert row.email_bounced_at_ms == post.clock()
    assert "Invalid `to` field" in row.email_bounce

    second = post.pay()
    teller.tell()
    assert len(post.asked("/resend")) == 1
    status, _, error = post.deliveries(second)["email"]
    assert status == "dead"
    assert "trust-email" in str(error)
    (alert,) = post.rows("SELECT account FROM outbox WHERE name = 'alert.email_bouncing'")
    assert alert.account == "acct_1"


def test_a_notice_that_does_not_read_is_dead_at_once_and_holds_nothing_up(post: Post) -> None:
    wrong, right = post.tell_of("payout.sent", amount_minor="many", currency="eur"), post.pay()
    post.teller.tell()
    status, attempts, error = post.deliveries(wrong)["email"]
    assert (status, attempts) == ("dead", 1)
    assert "no payout_sent can be written" in str(error)
    assert post.deliveries(right)["email"][0] == "delivered"


def test_nobody_is_written_to_about_an_account_that_is_no_partners(post: Post) -> None:
    post.run("UPDATE partners SET account = 'acct_other'")
    notice_id = post.pay()
    post.teller.tell()
    assert post.asked("/resend") == []
    assert post.deliveries(notice_id)["email"][0] == "delivered"


def test_email_gives_up_within_the_day_for_which_resend_knows_its_keys(post: Post) -> None:
    notice_id, began_ms = post.pay(), post.clock()
    post.there.usually = Says(500, {"statusCode": 500, "name": "application_error", "message": "oops"})
    while post.deliveries(notice_id).get("email", ("pending",))[0] == "pending":
        post.clock.pass_(hours=0.25)
        post.teller.tell()
    assert post.deliveries(notice_id)["email"][:2] == ("dead", 26)
    hours = (post.clock() - began_ms) / 3_600_000
    assert 8 < hours < 23
    assert post.deliveries(notice_id)["portal"][0] == "pending", "the portal is tried for days"


def test_the_age_of_the_outbox_is_that_of_the_oldest_nobody_took(post: Post) -> None:
    def since_ms() -> list[int]:
        with reading(post.engine) as connection:
            return [waiting.since_ms for waiting in waiting_notices(connection)]

    assert since_ms() == []
    notice_id = post.pay()

    assert since_ms() == [time_of(notice_id)]
    post.teller.tell()
    assert since_ms() == []


def test_email_fails_where_nobody_takes_mail_and_not_where_one_mail_is_refused(post: Post) -> None:
    asks = HealthAsks(post.engine, fakeredis.FakeRedis(), post.settings, post.clock)
    post.there.usually = Says(422, {"statusCode": 422, "name": "validation_error", "message": "no `from`"})
    post.pay()
    post.teller.tell()
    assert asks.email().status == "pass"
    post.there.usually = Says(500, {"statusCode": 500, "name": "application_error", "message": "oops"})
    post.pay()
    for _ in range(3):
        post.teller.tell()
        post.clock.pass_(seconds=15)
    assert asks.email().status == "fail"
    post.there.usually = Says(200, {"id": "x"})
    post.clock.pass_(hours=1)
    post.teller.tell()
    assert asks.email().status == "pass"


def test_without_settings_only_the_log_is_told(post: Post) -> None:
    bare = Settings(database_url="sqlite://", redis_url="redis://127.0.0.1:1/0")
    assert list(open_channels(bare, post.engine)) == ["log"]


def test_the_channels_that_can_be_named_are_those_that_there_are(post: Post, tmp_path: Path) -> None:
    every = post.settings.model_copy(update={"notice_folder": str(tmp_path)})
    assert set(open_channels(every, post.engine)) == set(CHANNELS)


def test_in_development_mail_goes_to_a_folder(post: Post, tmp_path: Path) -> None:

    settings = Settings(
        database_url="sqlite://", redis_url="redis://127.0.0.1:1/0", email_folder=str(tmp_path / "mail")
    )
    channels = open_channels(settings, post.engine, post.clock)
    rules = TellingRules(post.make_id, post.clock, routes_of(list(channels)), 90)
    notice_id = post.pay()
    Teller(post.engine, channels, rules).tell()
    (file,) = (tmp_path / "mail").iterdir()
    assert file.name == f"email-{notice_id}.eml"
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert message["To"] == "pay@nord.example"
    assert message["Subject"] == "Your payout of 12.00 EUR is on its way"
    text, html = message.iter_parts()
    assert "Hello Nord Logistik" in text.get_content()
    assert html.get_content_type() == "text/html"


def test_the_end_of_a_trouble_does_not_reach_the_pager_before_its_beginning(post: Post) -> None:
    post.there.answers = [Says(202), Says(500)]  # for Slack, for PagerDuty
    post.tell_of("alert.emergency_on")
    post.teller.tell()
    for name in ("alert.emergency_off", "alert.recovery_begun"):
        post.tell_of(name)
    post.tell_all(20)
    told = [got.json for got in post.asked("/pagerduty")]
    assert [(each["event_action"], each["dedup_key"]) for each in told] == [
        ("trigger", "alert.emergency_on:acct_1"),  # not taken
        ("trigger", "alert.recovery_begun:acct_1"),
        ("trigger", "alert.emergency_on:acct_1"),
        ("resolve", "alert.emergency_on:acct_1"),
    ]


def test_what_the_other_side_repeats_of_secrets_and_addresses_is_not_kept(
    post: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = {
        "statusCode": 422,
        "name": "validation_error",
        "message": "Invalid `to` field: pay@nord.example",
    }
    post.there.answers = [
        Says(422, refused),  # Resend
        Says(400, {"errors": ["no such routing_key: R0UT1NGKEY"]}),  # PagerDuty
        Says(500, f"you signed with {SECRET[6:]}".encode()),  # the portal
    ]
    for name in ("payout.sent", "alert.emergency_on"):
        post.pay(name)
    post.teller.tell()
    kept = {row.channel: row.last_error for row in post.rows("SELECT * FROM notice_deliveries")}
    (partner,) = post.rows("SELECT email_bounce FROM partners")
    said = f"{kept} {partner} {capsys.readouterr().out}"
    for each in ("pay@nord.example", "R0UT1NGKEY", SECRET[6:]):
        assert each not in said
    assert "Invalid `to` field: ***" in kept["email"]
