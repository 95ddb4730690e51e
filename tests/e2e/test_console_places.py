"""What a person does at each place of the console but a payout's page, pressed in Chromium.

One console serves them all: each test has a partner, events or people of its own, and leaves the mode normal.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, expect

from payouts.clock import iso
from payouts.errors import PayoutsError
from payouts.partner import Partner
from payouts.people import Role
from payouts.storage.audit_rows import entry_list
from payouts.storage.queries import Filters, reading
from tests.conftest import need
from tests.support.browser import browser, chromium, sign_in, window
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.outbox import Office
from tests.support.payout_site import PayoutSite
from tests.support.served import Clicker, clicker, served
from tests.support.servers import RedisServer
from tests.support.world import World

HOUR_MS = 3_600_000


class BadAmountError(PayoutsError):
    """Cannot heal."""


@pytest.fixture(scope="module")
def chrome(request: pytest.FixtureRequest) -> Iterator[Browser]:
    need(request, "Chromium", chromium())
    with browser() as made:
        yield made


@pytest.fixture(scope="module")
def at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PayoutSite]:
    redis_server: RedisServer = request.getfixturevalue("_redis")
    redis_server.client.flushall()
    url = migrated_file(tmp_path_factory.mktemp("places") / "payouts.db")
    made = PayoutSite(url, client=redis_server.client, bank_account_approval=True, replay_confirm_above=2)
    made.queue_in(redis_server.client)
    yield made
    made.close()


@pytest.fixture(scope="module")
def base(at: PayoutSite) -> Iterator[str]:
    with served(at.site) as address:
        yield address


@pytest.fixture(scope="module")
def anna(chrome: Browser, at: PayoutSite, base: str) -> Iterator[Clicker]:
    """An admin at a window that stays open."""
    with clicker(chrome, base, at.site, "anna") as made:
        yield made


def noted(at: PayoutSite) -> Mapping[str, Any]:
    """The newest entry of the audit log."""
    with reading(at.site.engine) as connection:
        return entry_list(connection, Filters({}), 1)[0]


def expect_noted(at: PayoutSite, actor: str, action: str, reason: str | None = None) -> None:
    entry = noted(at)
    assert (entry["actor"], entry["action"], entry["reason"]) == (actor, action, reason)


# Partners


def test_a_partner_is_registered_and_what_was_typed_stays_where_it_is_refused(
    anna: Clicker, at: PayoutSite
) -> None:
    anna.at("/partners").page.get_by_role("link", name="Register a partner").click()
    fields = {"reference": "süd-1", "account": "acct_sued", "name": "Süd", "email": "s@example.com"}
    form = anna.verb("Register").first
    for name, value in {**fields, "currency": "euro"}.items():
        form.locator(f"[name={name}]").fill(value)
    anna.send(form)
    anna.expect_told("euro")
    expect(form.locator("[name=reference]")).to_have_value("süd-1")
    form.locator("[name=currency]").fill("eur")
    anna.send(form)
    anna.expect_told("süd-1 (acct_sued) is registered")
    expect(anna.page.locator("h1")).to_contain_text("Süd")
    expect_noted(at, "anna", "partner.register")


def test_what_a_partner_is_owed_changes_once_by_each_reference(anna: Clicker, at: PayoutSite) -> None:
    partner = at.story.partner(2)
    anna.at(f"/partners/{partner.account}")
    sales = {"amount": "120.50", "reference": "sales of May"}
    assert "earned so much more, in EUR" in anna.press("Credit", None, **sales)
    anna.expect_told("120.50 EUR for partner-2: posted")
    expect_noted(at, "anna", "partner.credit")
    anna.press("Credit", None, **sales)
    anna.expect_told("was posted before; nothing changed")
    says = anna.press("Debit", None, amount="20.50", reference="a mistake in May")
    assert "Take back from Partner 2" in says
    anna.expect_told("20.50 EUR for partner-2: posted")
    expect_noted(at, "anna", "partner.debit")
    expect(anna.main).to_contain_text("100.00 EUR")


def test_a_partner_is_held_released_blocked_and_unblocked(anna: Clicker, at: PayoutSite) -> None:
    partner = at.story.partner(3)
    page = f"/partners/{partner.account}"
    assert "No payout of Partner 3 is sent" in anna.at(page).press("Hold", "a strange invoice")
    anna.expect_told("partner-3 is held")
    expect_noted(at, "anna", "hold.place", "a strange invoice")
    expect(anna.main).to_contain_text("it is held already")
    assert "placed by anna: a strange invoice" in anna.press("Release", "it was right")
    anna.expect_told("partner-3 is held no more; 0 payouts waited")
    expect_noted(at, "anna", "hold.release", "it was right")
    assert "Nothing more is paid to Partner 3" in anna.press("Block", "fraud")
    anna.expect_told("partner-3 is blocked")
    expect_noted(at, "anna", "partner.block", "fraud")
    expect(anna.verb("Block")).to_have_count(0)
    assert "once Stripe was asked about its account" in anna.press("Unblock", "all is well")
    anna.expect_told("is not blocked any more")
    expect_noted(at, "anna", "partner.unblock", "all is well")


def test_a_partner_gets_another_address_a_schedule_and_its_bank_approved(
    anna: Clicker, at: PayoutSite
) -> None:
    partner = at.story.partner(4)
    anna.at(f"/partners/{partner.account}")
    says = anna.press("Change name or e-mail", None, name="Nord GmbH", email="n@example.com")
    assert "Notices go to the new address" in says
    expect(anna.page.locator("h1")).to_contain_text("Nord GmbH")
    expect_noted(at, "anna", "partner.update")
    form = anna.opened("Change schedule")
    form.locator("[name=schedule]").select_option("weekly")
    form.locator("[name=day]").fill("2")
    form.locator("[name=minimum]").fill("50.00")
    anna.send(form)
    anna.expect_told("the schedule of partner-4 is weekly")
    expect(anna.main).to_contain_text("Wednesday")
    assert "a person answers for it" in anna.press("Approve bank account", "called them")
    anna.expect_told("of partner-4 is approved")
    expect_noted(at, "anna", "bank_account.approve", "called them")


def test_a_bank_account_that_was_changed_meanwhile_is_not_approved_unseen(
    anna: Clicker, at: PayoutSite
) -> None:
    partner = at.story.partner(5)
    form = anna.at(f"/partners/{partner.account}").opened("Approve bank account")
    form.get_by_label("Why").fill("called them")
    with at.site.engine.begin() as connection:
        swap = sa.text("UPDATE partners SET bank_account = 'ba_other' WHERE id = :id")
        connection.execute(swap, {"id": partner.id})
    anna.send(form)
    expect(anna.told).to_have_class("told refused")
    assert bank_approved(at, partner) is None


def bank_approved(at: PayoutSite, partner: Partner) -> str | None:
    approved: str | None = at.story.value("SELECT bank_approved FROM partners WHERE id = :id", id=partner.id)
    return approved


# Dead letters and replays


def die(at: PayoutSite, name: str, many: int = 1) -> list[str]:
    """Events that die of a cause of their own; a replay would apply them."""
    world = World(at.site.engine)
    names = [f"{name}{number}" for number in range(many)]
    ids = world.add(*(event_body(f"evt_{n}", "paid", payout_object(f"po_{n}", "paid")) for n in names))
    error = type(f"{name.title()}Error", (BadAmountError,), {})

    def refuse(*_: Any, **__: Any) -> Any:
        raise error(f"{name} is odd")

    world.apply(ids, refuse)
    return [f"evt_{each}" for each in names]


def test_a_dead_event_is_ignored_and_restored(anna: Clicker, at: PayoutSite) -> None:
    [event_id] = die(at, "single")
    assert "nothing more is done about it" in anna.at(f"/events/{event_id}").press(
        "Ignore", "a test of theirs"
    )
    anna.expect_told(f"{event_id} is ignored")
    expect(anna.main).to_contain_text("Ignored by anna")
    expect_noted(at, "anna", "event.dismiss", "a test of theirs")
    assert "dead again" in anna.press("Restore", "it was real")
    expect(anna.main).to_contain_text("This event is dead.")
    expect_noted(at, "anna", "event.restore", "it was real")
    anna.press("Show all of it", "the bank asks")
    expect(anna.page.locator("#payload")).to_be_visible()
    expect_noted(at, "anna", "event.unredacted", "the bank asks")


def test_a_whole_cause_is_ignored_and_restored_and_an_old_page_does_it_once(
    chrome: Browser, base: str, anna: Clicker, at: PayoutSite
) -> None:
    die(at, "whole", 2)
    anna.at("/dead").page.get_by_role("link", name="WholeError").click()
    cause = anna.page.url
    with clicker(chrome, base, at.site, "ben", Role.OPERATOR) as ben:
        old = ben.at(cause).opened("Ignore all of these")
        old.get_by_label("Why").fill("me too")
        assert "Ignores 2 dead events" in anna.press("Ignore all of these", "theirs")
        anna.expect_told("2 events are ignored")
        ben.send(old)
        ben.expect_told("nothing was changed")
    expect_noted(at, "anna", "event.dismiss", "theirs")
    assert "Makes 2 ignored events" in anna.at(cause).press("Restore", "ours after all")
    anna.expect_told("2 events are dead again")


def test_a_replay_is_asked_for_its_rate_changed_and_called_off(anna: Clicker, at: PayoutSite) -> None:
    [event_id] = die(at, "rated")
    anna.at(f"/events/{event_id}").page.get_by_role("link", name="What would a replay change?").click()
    form = anna.verb("Replay this event").first
    assert "Runs 1 event once more" in form.inner_text()
    form.get_by_label("Why").fill("mended")
    anna.send(form)
    anna.expect_told("is asked for")
    expect_noted(at, "anna", "replay.ask", "mended")
    assert "at once" in anna.press("Change the rate", None, rate="7")
    anna.expect_told("runs at 7 events a second at the most")
    expect(anna.page.locator("#facts")).to_contain_text("7 events a second at the most")
    assert "events are not run" in anna.press("Call off", "not now")
    anna.expect_told("is called off")
    expect_noted(at, "anna", "replay.cancel", "not now")
    expect(anna.page.locator("main details.verb")).to_have_count(0)


def test_a_large_replay_waits_for_somebody_else_is_paused_and_goes_on(
    chrome: Browser, base: str, anna: Clicker, at: PayoutSite
) -> None:
    die(at, "large", 3)
    anna.at("/dead").page.get_by_role("link", name="LargeError").click()
    anna.page.get_by_role("link", name="What would a replay change?").click()
    form = anna.verb("Replay").first
    assert "More than 2 wait for a second person first" in form.inner_text()
    form.get_by_label("Why").fill("mended")
    anna.send(form)
    counted(at)
    anna.at(anna.page.url)
    expect(anna.main).to_contain_text("another person must confirm it")
    expect(anna.verb("Confirm")).to_have_count(0)
    with clicker(chrome, base, at.site, "carl") as carl:
        carl.at("/approvals").page.locator("main a[href^='/replays/rep_']").first.click()
        carl.page.wait_for_url("**/replays/rep_*")
        assert "that anna wants run once more" in carl.press("Confirm", None)
        carl.expect_told("begins")
        expect_noted(at, "carl", "replay.confirm")
        assert "Stops after the events under way" in carl.press("Pause", "too much at once")
        carl.expect_told("is paused")
        carl.press("Go on", None)
        carl.expect_told("goes on")
        expect_noted(at, "carl", "replay.resume")
    anna.at(anna.page.url).press("Call off", "enough")


def counted(at: PayoutSite) -> None:
    """What a worker does first: it finds the events, which are too many for one person."""
    with at.site.engine.begin() as connection:
        sql = "UPDATE replays SET status = 'awaiting_confirmation', total = 3 WHERE reason = 'mended' "
        connection.execute(sa.text(sql + "AND status = 'selecting'"))


# Operations


def test_every_payout_is_stopped_and_an_old_page_is_told(
    chrome: Browser, base: str, anna: Clicker, at: PayoutSite
) -> None:
    anna.at("/operations")
    with clicker(chrome, base, at.site, "ben", Role.OPERATOR) as ben:
        old = ben.at("/operations").opened("Stop every payout")
        old.get_by_label("Why").fill("me too")
        assert "Nothing is sent any more, at once" in anna.press("Stop every payout", "odd amounts")
        expect(anna.page.locator("#mode")).to_contain_text("odd amounts")
        expect_noted(at, "anna", "hold.place", "odd amounts")
        ben.send(old)
        ben.expect_told("already")
    expect_noted(at, "anna", "hold.place", "odd amounts")
    assert "Payouts are sent again" in anna.press("Let payouts go on", "all is well")
    expect(anna.page.locator("#mode")).to_contain_text("Payouts are sent.")
    expect_noted(at, "anna", "hold.release", "all is well")


def test_maintenance_is_announced_called_off_announced_started_and_ended(
    anna: Clicker, at: PayoutSite
) -> None:
    now_ms = at.site.parts.clock()
    window_of = {"starts": iso(now_ms + HOUR_MS) or "", "ends": iso(now_ms + 2 * HOUR_MS) or ""}
    says = anna.at("/operations").press("Announce maintenance", None, **window_of, text="New disks.")
    assert "Nothing is stopped until somebody starts it" in says
    expect(anna.page.locator("#mode")).to_contain_text("New disks.")
    expect_noted(at, "anna", "maintenance.announce")
    anna.press("Call maintenance off", "the disks are late")
    expect_noted(at, "anna", "maintenance.call_off", "the disks are late")
    anna.press("Announce maintenance", None, **window_of, text="New disks.")
    assert "the API answers 503" in anna.press("Start maintenance", "it is time")
    expect(anna.page.locator("#mode")).to_contain_text("it is time")
    expect_noted(at, "anna", "maintenance.start", "it is time")
    anna.press("End maintenance", "done")
    expect(anna.page.locator("#mode")).to_contain_text("Payouts are sent.")
    expect_noted(at, "anna", "maintenance.end", "done")


def test_a_time_that_is_none_is_refused_and_what_was_typed_stays(anna: Clicker) -> None:
    anna.at("/operations").press("Announce maintenance", None, starts="noon", ends="one", text="New disks.")
    anna.expect_told("noon")
    form = anna.verb("Announce maintenance")
    expect(form.locator("[name=text]")).to_be_visible()
    expect(form.locator("[name=text]")).to_have_value("New disks.")
    expect(form.locator("[name=starts]")).to_have_value("noon")


def test_emergency_mode_is_switched_on_and_off(anna: Clicker, at: PayoutSite) -> None:
    assert "nothing is paid" in anna.at("/operations").press("Emergency mode", "disk full")
    expect(anna.page.locator("#mode")).to_contain_text("disk full")
    expect_noted(at, "anna", "emergency.on", "disk full")
    assert "spilled events are drained" in anna.press("End emergency mode", "mended")
    expect(anna.page.locator("#mode")).to_contain_text("Payouts are sent.")
    expect_noted(at, "anna", "emergency.off", "mended")


def test_a_limit_on_payouts_is_set_changed_and_removed(anna: Clicker, at: PayoutSite) -> None:
    form = anna.at("/operations/payout-limits").opened("Set a limit")
    anna.page.set_viewport_size({"width": 390, "height": 900})
    assert anna.page.evaluate("document.documentElement.scrollWidth") == 390  # long choices do not widen it
    anna.page.set_viewport_size({"width": 1280, "height": 900})
    form.locator("[name=kind]").select_option("velocity_count")
    form.locator("[name=value]").fill("20")
    form.locator("[name=partner]").fill("nobody")
    form.get_by_label("Why").fill("a quiet night")
    anna.send(form)
    anna.expect_told("there is no partner nobody")
    expect(form.locator("[name=value]")).to_have_value("20")
    form.locator("[name=partner]").fill("")
    form.locator("[name=window]").fill("24h")
    anna.send(form)
    anna.expect_told("velocity_count for all partners is 20 payouts within 24 h")
    expect_noted(at, "anna", "limit.set", "a quiet night")
    assert "In place of 20 payouts" in anna.press("Change", "a busy day", value="400")
    expect(anna.main).to_contain_text("400 payouts")
    assert "counts no more" in anna.press("Remove", "it is over")
    expect(anna.main).to_contain_text("No limit is set.")
    expect_noted(at, "anna", "limit.remove", "it is over")


def test_a_rate_limit_is_raised_and_lowered_again(anna: Clicker, at: PayoutSite) -> None:
    row = anna.at("/operations/limits").page.locator("main tbody tr", has_text="api-read").first
    row.locator("summary").click()
    assert "are allowed for a while" in row.locator("details.verb p").first.inner_text()
    row.locator("[name=most]").fill("20000")
    row.get_by_label("Why").fill("a launch")
    anna.send(row.locator("details.verb"))
    anna.expect_told("api-read allows 20,000 requests a minute")
    expect(row).to_contain_text("anna: a launch")
    expect_noted(at, "anna", "rate_limit.raise", "a launch")
    assert "are allowed again, at once" in anna.press("Lower again", "it is over")
    anna.expect_told("api-read allows what is set again")
    expect(row).not_to_contain_text("20,000")
    expect_noted(at, "anna", "rate_limit.reset", "it is over")


def test_an_address_is_blocked_and_let_go(anna: Clicker, at: PayoutSite) -> None:
    flood = {"address": "203.0.113.7", "for": "30m"}
    says = anna.at("/operations/limits").press("Block an address", "a flood", **flood)
    assert "answered 403" in says
    anna.expect_told("203.0.113.7 is blocked")
    expect(anna.main).to_contain_text("a flood")
    expect_noted(at, "anna", "address.block", "a flood")
    anna.press("Block an address", "Stripe?", **{**flood, "address": "all of them"})
    expect(anna.told).to_have_class("told refused")
    expect(anna.verb("Block an address").locator("[name=address]")).to_have_value("all of them")
    assert "are answered again" in anna.at("/operations/limits").press("Unblock", "mended")
    anna.expect_told("203.0.113.7 is answered again")
    expect(anna.main).to_contain_text("No address is blocked.")
    expect_noted(at, "anna", "address.unblock", "mended")


def test_a_dead_notice_is_sent_again_by_the_channels_that_gave_up(anna: Clicker, at: PayoutSite) -> None:
    office = Office(at.site.engine)
    [notice_id] = office.write(None)
    office.a.down = True
    office.tell_all(step_s=600)
    anna.at("/operations/notices?status=dead").page.locator(f"main a[href$='/{notice_id}']").first.click()
    assert "are not told twice" in anna.press("Send again", "the portal is up")
    anna.expect_told("it is sent again by a")
    expect_noted(at, "anna", "notice.retry", "the portal is up")
    expect(anna.main).to_contain_text("only where a channel gave up on it")


# People and tokens


def test_somebody_is_added_comes_in_by_the_token_shown_and_goes(
    chrome: Browser, base: str, anna: Clicker, at: PayoutSite
) -> None:
    form = anna.at("/people").opened("Add somebody")
    form.locator("[name=name]").fill("dora")
    form.locator("[name=role]").select_option("operator")
    anna.send(form)
    token = anna.page.locator("#token").inner_text()
    expect_noted(at, "anna", "token.create")
    with window(chrome, base) as page:
        sign_in(page, token)
        expect(page.get_by_text("dora operator")).to_be_visible()
        assert "They may sign in again" in anna.at("/people/dora").press("Sign out everywhere", "lost laptop")
        anna.expect_told("1 session of dora ended")
        page.goto("/events")
        sign_in(page, token, "/events")
        assert "Lets dora in no more" in anna.press("Deactivate", "left us")
        anna.expect_told("dora is let in no more")
        expect_noted(at, "anna", "person.deactivate", "left us")
        page.goto("/events")
        page.get_by_label("Your token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
    expect(anna.main).to_contain_text("dora")
    expect(anna.page.locator("main details.verb")).to_have_count(0)


def test_tokens_of_programs_people_and_ones_own_are_made_and_revoked(anna: Clicker, at: PayoutSite) -> None:
    form = anna.at("/people/tokens").opened("Make a token for a program")
    form.locator("[name=name]").fill("portal")
    anna.send(form)
    secret = anna.page.locator("#token").inner_text()
    anna.at("/people/tokens")
    expect(anna.page.locator("main")).not_to_contain_text(secret)
    row = anna.page.locator("main tbody tr", has_text="portal")
    row.locator("summary").click()
    row.get_by_label("Why").fill("a new one is in use")
    anna.send(row.locator("details.verb"))
    anna.expect_told("the token portal lets nobody in any more")
    expect_noted(at, "anna", "token.revoke", "a new one is in use")
    form = anna.at("/me").opened("Make a token")
    form.locator("[name=name]").fill("laptop")
    for box in form.locator("[name=scopes]").all():
        box.set_checked(box.get_attribute("value") == "read")
    anna.send(form)
    expect(anna.page.locator("dl.facts")).to_contain_text("read")
    row = anna.at("/me").page.locator("main tbody tr", has_text="laptop")
    row.locator("summary").click()
    anna.send(row.locator("details.verb"))
    anna.expect_told("your token laptop lets nobody in any more")
    expect_noted(at, "anna", "token.revoke")


# The books, Stripe's side, and the record of it all


def test_a_top_up_is_noted_the_books_are_checked_and_a_month_is_closed(anna: Clicker, at: PayoutSite) -> None:
    says = anna.at("/ledger").press(
        "Note a top-up", None, amount="1000.00", currency="eur", reference="top-up of May"
    )
    assert "moves no money by itself" in says
    anna.expect_told("1,000.00 EUR: posted")
    expect_noted(at, "anna", "ledger.fund")
    assert "checks all invariants" in anna.press("Check now", None)
    anna.expect_told("a worker checks the books")
    expect_noted(at, "anna", "ledger.check")
    assert "There is no way back" in anna.at("/ledger/closes").press("Close a month", None)
    anna.expect_told("is closed with")
    expect(anna.page.locator("main tbody tr")).to_have_count(1)


ASKED: list[tuple[str, str, dict[str, str], str, str]] = [
    ("/reconciliation", "Compare an account now", {}, "a worker compares platform", "reconcile.run"),
    ("/completeness", "Catch up", {"since": "2d"}, "the workers walk the events", "catch_up.run"),
    ("/completeness", "Prove a day", {}, "the workers prove", "proof.make"),
]


@pytest.mark.parametrize(("page", "label", "fields", "said", "action"), ASKED, ids=[row[1] for row in ASKED])
def test_workers_are_asked_to_look_at_stripe(
    anna: Clicker, at: PayoutSite, page: str, label: str, fields: dict[str, str], said: str, action: str
) -> None:
    assert "worker" in anna.at(page).press(label, None, **fields)
    anna.expect_told(said)
    expect_noted(at, "anna", action)


def test_a_walk_that_stands_still_is_sent_on(anna: Clicker) -> None:
    anna.at("/completeness").press("Catch up", None, account="acct_still", since="2d")
    assert "nothing is added twice" in anna.at("/completeness/walks").press("Go on", None)
    anna.expect_told("a worker goes on with the walk of")


def test_the_audit_log_is_checked_and_shows_who_did_what(anna: Clicker) -> None:
    assert "none was changed, removed or moved" in anna.at("/audit").press("Check this chain", None)
    anna.expect_told("whole")
    expect(anna.main).to_contain_text("anna")
