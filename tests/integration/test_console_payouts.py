"""The pages on payouts: lists, the story of one, what may be done about it, and two people at once."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from payouts.canceling import cancel
from payouts.clock import iso
from payouts.errors import RefusedError
from payouts.holding import hold_request, place
from payouts.holds import EVERYTHING, HoldKind
from payouts.people import Role
from payouts.states import RequestStatus
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.payout_site import PayoutSite, forced, pressed
from tests.support.servers import RedisServer
from tests.support.site import Visit, words_of
from tests.support.story import BEN
from tests.support.world import World

Setup = Callable[[PayoutSite], int]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[PayoutSite]:
    made = PayoutSite(migrated_file(tmp_path / "payouts.db"))
    yield made
    made.close()


@pytest.fixture
def on_each_database(database_url: str) -> Iterator[PayoutSite]:
    made = PayoutSite(database_url)
    yield made
    made.close()


def told(visit: Visit, answer: object) -> str:
    """What the page says after a form was sent."""
    assert answer.status_code == 303, answer.text  # type: ignore[attr-defined]
    page = visit.get(answer.headers["location"])  # type: ignore[attr-defined]
    found = re.search(r'<div class="told [a-z]+" role="(?:alert|status)">(.*?)</div>', page, re.DOTALL)
    assert found is not None, "the page tells nothing"
    return unescape(found[1])


# --- lists -------------------------------------------------------------------------------------------------


def test_requested_payouts_are_listed_with_their_money_and_narrowed_by_what_the_address_says(
    at: PayoutSite,
) -> None:
    paid = at.paid(reference="invoice-7")
    held = at.held()
    at.story.send(held)
    visit = at.site.visit("ben", Role.VIEWER)
    everything = visit.reads("/payouts")
    assert f"pay_{paid}" in everything
    assert "120.50 EUR" in everything
    for query, wanted, other in (
        ("status=paid", paid, held),
        ("waits_for=held", held, paid),
        ("reference=invoice-7", paid, held),
    ):
        page = visit.reads(f"/payouts?{query}")
        assert f"pay_{wanted}" in page, query
        assert f"pay_{other}" not in page, query
    assert len(visit.json("/payouts?partner=partner-1")) == 2
    assert "Nothing fits these filters" in visit.reads("/payouts?partner=nobody")
    assert "Nothing fits these filters" in visit.reads("/payouts?until=2026-01-01")


@pytest.mark.parametrize(
    ("setup", "waits"),
    [
        (PayoutSite.waiting, "a second person: approve or reject"),
        (PayoutSite.unclear, "a person: look or never-made"),
        (PayoutSite.returned, "a person: retry or reverse"),
    ],
    ids=["waiting", "unclear", "returned"],
)
def test_a_list_says_whom_a_payout_waits_for(at: PayoutSite, setup: Setup, waits: str) -> None:
    setup(at)
    assert waits in at.site.visit("ben").reads("/payouts")


def test_stripes_payouts_are_listed_with_foreign_ones_and_each_has_a_page(at: PayoutSite) -> None:
    at.paid()
    foreign = payout_object("po_foreign", "in_transit", 4_200)
    at.story.deliver(event_body("evt_9", "updated", foreign, account=at.story.nord.account))
    visit = at.site.visit("ben", Role.VIEWER)
    assert [row["stripe_id"] for row in visit.json("/payouts/at-stripe")] == ["po_foreign", "po_1"]
    assert [row["stripe_id"] for row in visit.json("/payouts/at-stripe?status=paid")] == ["po_1"]
    assert visit.json("/payouts/at-stripe?account=acct_2") == []
    page = visit.get("/payouts/po_foreign")
    assert "a foreign payout" in words_of(page)
    assert "/events/evt_9" in page
    assert 'action="/payouts/' not in page.replace('action="/payouts/po_foreign"', "")


# --- the story of one --------------------------------------------------------------------------------------


def test_the_story_joins_all_that_is_kept_about_a_payout(at: PayoutSite) -> None:
    paid = at.paid(reference="invoice-7")
    visit = at.site.visit("ben", Role.VIEWER)
    page = visit.get(f"/payouts/pay_{paid}")
    for wanted in (
        f"/partners/{at.story.nord.id}",
        "https://dashboard.stripe.com/acct_1/test/payouts/po_1",
        "https://dashboard.stripe.com/test/connect/transfers/tr_1",
        f"pay_{paid}-transfer-",
        f"pay_{paid}-payout-",
        "/events/evt_1",
    ):
        assert wanted in page, wanted
    words = words_of(page)
    for wanted in ("invoice-7", "sending → sent: payout po_1 is pending", "payout.completed", "-120.50 EUR"):
        assert wanted in words, wanted
    for key in (str(paid), "po_1", "tr_1", "invoice-7"):
        assert visit.json(f"/payouts/{key}")["payout"] == f"pay_{paid}", key
    visit.get("/payouts/pay_7", 404)


def test_an_events_page_shows_what_it_changed_posted_and_told_and_nothing_else(at: PayoutSite) -> None:
    at.returned()
    visit = at.site.visit("ben", Role.VIEWER)
    paid, failed = visit.json("/events/evt_1"), visit.json("/events/evt_2")
    assert [row["to_status"] for row in paid["transitions"]] == ["paid"]
    assert [row["to_status"] for row in failed["transitions"]] == ["failed"]
    posted = [{row["reference"] for row in event["postings"]} for event in (paid, failed)]
    assert all(posted)
    assert posted[0].isdisjoint(posted[1])
    assert [row["name"] for row in paid["notices"]] == ["payout.completed"]
    assert {row["name"] for row in failed["notices"]} == {"payout.failed", "payout.returned"}
    words = visit.reads("/events/evt_2")
    for wanted in (
        "What was posted",
        "Who was told",
        "payout.failed",
        "Mode test",
        "returned 120.50 EUR",
        "paid -120.50 EUR",
    ):
        assert wanted in words, wanted


def test_a_payout_whose_event_died_says_so_first_and_leads_to_it(at: PayoutSite) -> None:
    request_id = at.queued()
    at.story.send(request_id)
    body = event_body("evt_dead", "paid", payout_object("po_1", "paid"), account=at.story.nord.account)
    world = World(at.story.engine)

    def refuse(*_: Any, **__: Any) -> Any:
        raise RefusedError("odd", "an amount is odd")

    world.apply(world.add(body), refuse)
    page = at.site.visit().get(f"/payouts/pay_{request_id}")
    before = page.partition('id="story"')[2].partition("<dl")[0]
    assert 'href="/events/evt_dead"' in before
    assert "is dead: what it tells is not applied here" in words_of(before)
    assert "an amount is odd" in before
    world.apply(world.add(event_body("evt_well", "paid", payout_object("po_9", "paid"))))
    assert "is dead" not in at.site.visit().reads("/payouts/po_9")


def test_a_partners_page_shows_its_latest_payouts_and_what_each_waits_for(at: PayoutSite) -> None:
    asked = [at.queued(reference=f"invoice {number}") for number in range(6)]
    at.story.request(at.story.partner(2), 1_000)
    at.story.do(hold_request, asked[-1], "checking the invoice")
    at.story.send(asked[-1])
    visit = at.site.visit()
    found = visit.json(f"/partners/{at.story.nord.account}")["latest_payouts"]
    assert [row["payout"] for row in found] == [f"pay_{request_id}" for request_id in asked[:0:-1]]
    page = visit.reads(f"/partners/{at.story.nord.account}")
    assert "invoice 5" in page
    assert "checking the invoice" in page


def test_the_timeline_can_be_narrowed_to_one_kind(at: PayoutSite) -> None:
    paid = at.paid()
    visit = at.site.visit()
    money = visit.get(f"/payouts/pay_{paid}?show=money")
    entries = re.findall(r'<li class="(\w+)">', money)
    assert set(entries) == {"money"}
    assert len(entries) == 4
    visit.get(f"/payouts/pay_{paid}?show=everything", 400)


def test_the_drawing_marks_where_it_has_been_where_it_is_and_what_comes_next(at: PayoutSite) -> None:
    returned = at.returned()
    page = at.site.visit().get(f"/payouts/pay_{returned}")
    marks = {
        unescape(state): mark
        for mark, state in re.findall(
            r'<g class="state (\w+) \w*">.*?<text [^>]*>([^<]+)</text>', page, re.DOTALL
        )
    }
    assert marks["returned"] == "here"
    assert marks["failed"] == "here"  # Stripe's payout
    assert marks["paid"] == "been"
    assert marks["rejected"] == "never"
    assert "From here it can go to paid, reversed, reversing, sending." in page


def test_a_step_back_in_time_shows_what_was_known_then_and_offers_nothing_to_do(at: PayoutSite) -> None:
    request_id = at.queued()
    before_ms = at.story.clock()
    at.story.send(request_id)
    visit = at.site.visit()
    address = f"/payouts/pay_{request_id}"
    then = visit.get(f"{address}?at={before_ms}")
    assert "This is the past" in words_of(then)
    assert f'action="{address}/' not in then
    assert visit.json(f"{address}?at={iso(before_ms)}")["request"]["status"] == "queued"
    assert visit.json(address)["request"]["status"] == "sent"
    assert "what it waited for" in words_of(then)  # not kept, and said so
    assert "This is the past" not in visit.reads(address)


def test_without_scripts_links_lead_through_every_moment_to_now(at: PayoutSite) -> None:
    paid = at.paid()
    visit = at.site.visit()
    address = f"/payouts/pay_{paid}"
    entries = visit.json(address)["timeline"]
    page, seen = visit.get(address), []
    while found := re.search(r'href="([^"]*)" rel="prev"', page):
        link = unescape(found[1])
        seen.append(int(link.partition("at=")[2]))
        page = visit.get(link)
    assert [iso(at_ms) for at_ms in reversed(seen)] == sorted({entry["at"] for entry in entries})
    assert 'rel="next"' in page
    assert f'href="{address}">Now' in page


@pytest.mark.parametrize(
    ("query", "status"),
    [("at=1790000000000", 404), ("at=2999-01-01", 400), ("at=yesterday", 400), ("at=" + "9" * 30, 400)],
)
def test_a_time_before_it_was_there_or_that_is_none_is_told(at: PayoutSite, query: str, status: int) -> None:
    paid = at.paid()
    at.site.visit().get(f"/payouts/pay_{paid}?{query}", status)


def test_what_others_wrote_is_shown_as_text(at: PayoutSite) -> None:
    script = "<script>alert(1)</script>"
    request_id = at.queued(reference=script)
    visit = at.site.visit()
    for page in ("/payouts", f"/payouts/pay_{request_id}", "/approvals", f"/payouts?partner={script}"):
        html = visit.get(page)
        assert script not in html, page
    assert "&lt;script&gt;alert(1)" in visit.get(f"/payouts/pay_{request_id}")


# --- verbs -------------------------------------------------------------------------------------------------

VERBS: list[tuple[str, Setup, str, str]] = [
    ("approve", PayoutSite.waiting, "queued", "Sends 120.50 EUR to Partner 1 (partner-1)"),
    ("reject", PayoutSite.waiting, "rejected", "120.50 EUR is owed to Partner 1 (partner-1) again"),
    ("cancel", PayoutSite.queued, "canceled", "120.50 EUR is owed to Partner 1 (partner-1) again"),
    ("hold", PayoutSite.queued, "queued", "Keeps 120.50 EUR to Partner 1 (partner-1) from being sent"),
    ("release", PayoutSite.held, "queued", "Lets 120.50 EUR to Partner 1 (partner-1) go"),
    ("retry", PayoutSite.returned, "sending", "Pays 120.50 EUR out again to Partner 1 (partner-1)"),
    ("reverse", PayoutSite.returned, "reversing", "Takes the transfer of 120.50 EUR back"),
    ("look", PayoutSite.unclear, "sending", "Asks Stripe once more what became of 120.50 EUR"),
    ("never-made", PayoutSite.unclear, "sending", "Sends 120.50 EUR to Partner 1 (partner-1)"),
]
verbs = pytest.mark.parametrize(("verb", "setup", "then", "says"), VERBS, ids=[verb for verb, *_ in VERBS])


@verbs
def test_a_verb_says_what_it_will_do_and_does_it_once(
    at: PayoutSite, verb: str, setup: Setup, then: str, says: str
) -> None:
    request_id = setup(at)
    page, action = f"/payouts/pay_{request_id}", f"/payouts/pay_{request_id}/{verb}"
    visit = at.site.visit("ben")
    assert says in visit.reads(page)
    old = pressed(visit, page, action)
    moved = len(at.moves(request_id))

    after = visit.send(page, action, reason="looked into it")

    assert f"pay_{request_id}: 120.50 EUR" in after
    assert at.status(request_id) == then
    rows = at.story.rows(request_id)
    assert (rows.audit[-1]["actor"], rows.audit[-1]["reason"]) == ("ben", "looked into it")
    # The page that is still open in another window is a stale one.
    moved_after, audited = len(at.moves(request_id)), len(rows.audit)
    assert moved_after - moved == (0 if verb in ("hold", "release") else 1)
    refused = visit.client.post(action, data={**old, "reason": "once more"})
    assert "told refused" in visit.get(refused.headers["location"])
    assert (at.status(request_id), len(at.moves(request_id))) == (then, moved_after)
    assert len(at.story.rows(request_id).audit) == audited


@verbs
def test_a_verb_is_not_offered_to_who_may_not_and_refused_where_they_send_it(
    at: PayoutSite, verb: str, setup: Setup, then: str, says: str
) -> None:
    request_id = setup(at)
    before = at.moves(request_id), len(at.story.rows(request_id).holds)
    viewer = at.site.visit("vera", Role.VIEWER)
    action = f"/payouts/pay_{request_id}/{verb}"
    assert f'action="{action}"' not in viewer.get(f"/payouts/pay_{request_id}")
    assert forced(viewer, action, reason="all the same").status_code == 403
    assert (at.moves(request_id), len(at.story.rows(request_id).holds)) == before


def test_a_verb_of_a_state_that_is_over_is_not_offered_and_comes_too_late(at: PayoutSite) -> None:
    paid = at.paid()
    visit = at.site.visit("ben")
    page = f"/payouts/pay_{paid}"
    assert f'action="{page}/' not in visit.get(page)
    for verb in {verb for verb, *_ in VERBS} - {"hold"}:  # which would stop nothing, and is no harm
        said = told(visit, forced(visit, f"{page}/{verb}", reason="too late", back=page))
        assert f"pay_{paid} is" in said, verb
    assert at.moves(paid)[-1] == "paid"
    assert [entry["actor"] for entry in at.story.rows(paid).audit] == ["anna"]


def test_a_reason_is_needed(at: PayoutSite) -> None:
    request_id = at.queued()
    visit = at.site.visit("ben")
    page = f"/payouts/pay_{request_id}"
    assert "say why" in visit.send(page, f"{page}/cancel", reason="  ")
    assert at.status(request_id) == "queued"


@pytest.mark.parametrize(
    ("setup", "verb"),
    [(PayoutSite.waiting, "approve"), (PayoutSite.waiting, "reject"), (PayoutSite.unclear, "never-made")],
)
def test_who_asked_for_a_payout_is_told_that_somebody_else_decides(
    at: PayoutSite, setup: Setup, verb: str
) -> None:
    request_id = setup(at)
    anna = at.site.visit("anna")
    page = f"/payouts/pay_{request_id}"
    before = at.moves(request_id)
    assert "you asked for it yourself" in anna.reads(page)
    assert f'action="{page}/{verb}"' not in anna.get(page)
    said = told(anna, forced(anna, f"{page}/{verb}", reason="it is mine", back=page))
    assert "somebody else" in said
    assert at.moves(request_id) == before


def test_an_approved_payout_wakes_a_worker_and_says_where_it_goes(
    at: PayoutSite, redis_server: RedisServer
) -> None:
    at.queue_in(redis_server.client)
    request_id = at.waiting()
    visit = at.site.visit("ben", Role.APPROVER)
    page = f"/payouts/pay_{request_id}"
    assert "bank account ba_1, now. anna asked for it." in visit.reads(page)
    visit.send(page, f"{page}/approve", reason="agreed")
    assert at.site.parts.messages.waiting("payouts") == 1


def test_what_else_is_in_the_way_is_told_before_one_approves(at: PayoutSite) -> None:
    request_id = at.waiting()
    story = at.story
    with story.happens() as connection:
        place(
            *(connection, HoldKind.KILL_SWITCH, EVERYTHING, BEN, "an incident"),
            *(story.make_id, story.clock()),
        )
    words = at.site.visit("ben").reads(f"/payouts/pay_{request_id}")
    assert "once it is held back no more (an incident)" in words


def test_what_waits_at_stripe_cannot_be_canceled_and_says_why(at: PayoutSite) -> None:
    story = at.story
    story.stripe.faults = ["lost after"]
    request_id = story.ask()
    story.send(request_id)
    page = at.site.visit("ben").get(f"/payouts/pay_{request_id}")
    assert at.status(request_id) == "sending"
    assert f"/payouts/pay_{request_id}/cancel" not in page


# --- two at once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "then"),
    [
        ("approve", "approve", "queued"),
        ("approve", "reject", "queued"),
        ("approve", "cancel", "queued"),
        ("reject", "approve", "rejected"),
        ("cancel", "approve", "canceled"),
    ],
)
def test_of_two_who_decide_on_the_same_page_the_second_is_told_and_nothing_happens_twice(
    at: PayoutSite, first: str, second: str, then: str
) -> None:
    request_id = at.waiting()
    page = f"/payouts/pay_{request_id}"
    ben, carl = at.site.visit("ben"), at.site.visit("carl")
    seen_by_carl = pressed(carl, page, f"{page}/{second}")

    ben.send(page, f"{page}/{first}", reason="I was first")
    said = told(carl, carl.client.post(f"{page}/{second}", data={**seen_by_carl, "reason": "me too"}))

    assert said == (
        f"nothing was done: pay_{request_id} is {then} by now (ben: I was first), and your page was made "
        "before that"
    )
    assert at.moves(request_id) == ["awaiting_approval", then]
    rows = at.story.rows(request_id)
    assert len(rows.approvals) == (0 if first == "cancel" else 1)
    assert [entry["actor"] for entry in rows.audit] == ["anna", "ben"]
    given_back = [row for row in rows.transactions if row["kind"] == "request_back"]
    assert len(given_back) == (0 if then == "queued" else 1)


@pytest.mark.parametrize("second", ["approve", "reject", "cancel"])
def test_of_two_who_press_in_the_same_moment_one_is_heard(on_each_database: PayoutSite, second: str) -> None:
    at = on_each_database
    request_id = at.waiting()
    page = f"/payouts/pay_{request_id}"
    visits = {"approve": at.site.visit("ben"), second + " too": at.site.visit("carl")}
    forms = [
        (
            visit,
            f"{page}/{verb.removesuffix(' too')}",
            pressed(visit, page, f"{page}/{verb.removesuffix(' too')}"),
        )
        for verb, visit in visits.items()
    ]
    together = Barrier(len(forms))

    def press(form: tuple[Visit, str, dict[str, str]]) -> str:
        visit, action, fields = form
        together.wait(timeout=10)
        return told(visit, visit.client.post(action, data={**fields, "reason": "now"}))

    with ThreadPoolExecutor(len(forms)) as pool:
        said = list(pool.map(press, forms))

    assert sum("nothing was done" in text for text in said) == 1, said
    assert len(at.moves(request_id)) == 2
    words = visits["approve"].reads(page)
    assert f"→ {at.status(request_id)}: now" in words
    assert f"pay_{request_id}" not in visits["approve"].reads("/approvals")


def test_what_came_back_a_second_time_is_not_what_an_old_page_showed(at: PayoutSite) -> None:
    request_id = at.returned()
    page = f"/payouts/pay_{request_id}"
    carl = at.site.visit("carl")
    old = pressed(carl, page, f"{page}/retry")
    at.returned_again(request_id)
    assert at.status(request_id) == "returned"

    said = told(carl, carl.client.post(f"{page}/retry", data={**old, "reason": "try again"}))

    assert "nothing was done" in said
    assert at.status(request_id) == "returned"
    assert carl.sent(page, f"{page}/retry", reason="try again, knowing that").status_code == 303
    assert at.status(request_id) == "sending"


def test_a_program_acts_by_its_persons_token_and_is_refused_in_json(at: PayoutSite) -> None:
    request_id = at.waiting()
    client = at.site.client()
    bearer = {"Authorization": f"Bearer {at.site.token('ben')}", "Accept": "application/json"}
    action = f"/payouts/pay_{request_id}/approve"
    done = client.post(action, data={"reason": "agreed"}, headers=bearer)
    assert done.json()["done"]["status"] == "queued"
    again = client.post(action, data={"reason": "agreed"}, headers=bearer)
    assert (again.status_code, again.json()["error"]) == (409, "not_waiting")


# --- requesting one ----------------------------------------------------------------------------------------


def owed(at: PayoutSite, amount_minor: int) -> None:
    """The partner is owed that much."""
    at.story.do(cancel, at.story.ask(amount_minor), "not yet")


def test_a_payout_is_requested_from_a_page_that_says_what_is_due(
    at: PayoutSite, redis_server: RedisServer
) -> None:
    at.queue_in(redis_server.client)
    owed(at, 30_000)
    visit = at.site.visit("ben", Role.OPERATOR)
    page = "/payouts/new?partner=partner-1"
    assert "all that is due: 300.00 EUR" in visit.reads(page)
    after = visit.send(page, "/payouts/new", how="amount", amount="120.50", reference="invoice-8")
    assert "120.50 EUR to partner-1 is queued" in after
    made = at.story.rows("invoice-8").request
    assert made is not None
    assert (made.amount_minor, made.source, made.requested_by) == (12_050, "console", "ben")
    assert at.site.parts.messages.waiting("payouts") == 1


def test_a_form_that_is_sent_twice_requests_once(at: PayoutSite) -> None:
    owed(at, 30_000)
    visit = at.site.visit("ben")
    form = pressed(visit, "/payouts/new?partner=partner-1", "/payouts/new")
    sent = {**form, "how": "amount", "amount": "100.00"}
    first, again = (visit.client.post("/payouts/new", data=sent) for _ in range(2))
    assert first.headers["location"] == again.headers["location"]
    assert "nothing new was requested" in told(visit, again)
    assert len(visit.json("/payouts?status=queued")) == 1


def test_all_that_is_due_is_what_the_page_showed_or_nothing(at: PayoutSite) -> None:
    owed(at, 30_000)
    visit = at.site.visit("ben")
    form = pressed(visit, "/payouts/new?partner=partner-1", "/payouts/new")
    owed(at, 5_000)
    refused = visit.client.post("/payouts/new", data={**form, "how": "all"})
    assert refused.status_code == 409
    assert "350.00 EUR is due by now" in words_of(refused.text)
    assert visit.json("/payouts?status=queued") == []
    assert "350.00 EUR to partner-1" in visit.send(
        "/payouts/new?partner=partner-1", "/payouts/new", how="all"
    )


def test_what_cannot_be_requested_is_told_beside_what_was_typed(at: PayoutSite) -> None:
    owed(at, 30_000)
    visit = at.site.visit("ben")
    fields = {"how": "amount", "amount": "300.01", "reference": "invoice-9", "descriptor": "NORD 9"}
    refused = visit.sent("/payouts/new?partner=partner-1", "/payouts/new", **fields)
    assert refused.status_code == 409
    assert "is owed 300.00 EUR" in words_of(refused.text)
    for kept in ("300.01", "invoice-9", "NORD 9"):
        assert f'value="{kept}"' in refused.text
    visit.get("/payouts/new?partner=nobody", 404)


def test_a_large_one_waits_for_a_second_person(at: PayoutSite, redis_server: RedisServer) -> None:
    at.queue_in(redis_server.client)
    owed(at, 30_000)
    at.threshold(20_000)
    visit = at.site.visit("ben", Role.OPERATOR)
    after = visit.send("/payouts/new?partner=partner-1", "/payouts/new", how="all")
    assert "300.00 EUR to partner-1 waits for a second person" in after
    assert at.site.parts.messages.waiting("payouts") == 0
    assert [row["status"] for row in visit.json("/payouts?status=awaiting_approval")] == [
        RequestStatus.AWAITING_APPROVAL
    ]


def test_who_may_not_request_sees_no_form_for_it(at: PayoutSite) -> None:
    visit = at.site.visit("vera", Role.APPROVER)
    assert "/payouts/new" not in visit.get("/payouts")
    visit.get("/payouts/new", 403)
