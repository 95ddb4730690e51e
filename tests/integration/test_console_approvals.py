"""What waits for a second person: what is unusual about it, and that each thing is decided once."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.web.pages.approvals import ROWS
from payouts.people import Actor, Role, Scope
from payouts.replay import ReplayStatus, Selection
from payouts.replaying import ask
from payouts.storage.approval_queries import PARTNERS_MOST, bank_accounts
from payouts.storage.partner_rows import PARTNERS, lock_partners
from payouts.storage.queries import reading
from payouts.storage.replay_rows import REPLAYS
from payouts.storage.request_rows import REQUESTS, lock_requests
from tests.support.databases import migrated_file
from tests.support.payout_site import PayoutSite, forced, pressed
from tests.support.requests import a_partner
from tests.support.site import words_of

PAGE = "/approvals"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[PayoutSite]:
    made = PayoutSite(migrated_file(tmp_path / "payouts.db"), bank_account_approval=True)
    yield made
    made.close()


def bank(at: PayoutSite, **changes: Any) -> None:
    """The partner has another bank account, or something else about it changes."""
    with at.story.engine.begin() as connection:
        partner = lock_partners(connection, [at.story.nord.id])[at.story.nord.id]
        PARTNERS.save(connection, [dataclasses.replace(partner, **changes)])


def oddities(at: PayoutSite, request_id: int) -> dict[str, str]:
    rows = at.site.visit("ben").json(PAGE)["requests"]
    row = next(row for row in rows if row["payout"] == f"pay_{request_id}")
    return {found["code"]: found["text"] for found in row["unusual"]}


def test_with_nothing_to_decide_it_says_so(at: PayoutSite) -> None:
    bank(at, bank_approved="ba_1")
    page = at.site.visit("vera", Role.VIEWER).reads(PAGE)
    for what in ("No payout waits", "No bank account waits", "No replay waits"):
        assert what in page


def test_a_payout_is_shown_with_who_asked_how_much_and_what_is_unusual(at: PayoutSite) -> None:
    at.threshold(50_000)
    at.paid()
    larger = at.story.ask(60_000, reference="invoice-8")
    bank(at, bank_since_ms=at.site.parts.clock() - 3 * 3_600_000)
    page = at.site.visit("ben").reads(PAGE)
    assert "600.00 EUR to Partner 1 partner-1" in page
    assert "anna asked for it by command" in page
    assert "it is larger than any that was paid: 4.9 times the largest, 120.50 EUR" in page
    assert set(oddities(at, larger)) == {"bank_unapproved", "bank_new", "largest"}


def test_a_first_payout_and_many_in_a_day_are_told(at: PayoutSite) -> None:
    at.threshold(50_000)
    for _ in range(4):
        at.story.ask(1_000)
    assert set(oddities(at, at.story.ask(60_000))) == {"bank_unapproved", "first_payout", "many"}


def test_a_payout_is_approved_on_the_spot_and_leaves_the_page(at: PayoutSite) -> None:
    request_id = at.waiting()
    ben = at.site.visit("ben", Role.APPROVER)
    after = ben.send(PAGE, f"/payouts/pay_{request_id}/approve", reason="as agreed")
    assert f"pay_{request_id}: 120.50 EUR is approved and goes out" in after
    assert "No payout waits" in after
    assert at.status(request_id) == "queued"


def test_a_payout_is_rejected_on_the_spot(at: PayoutSite) -> None:
    request_id = at.waiting()
    after = at.site.visit("ben").send(PAGE, f"/payouts/pay_{request_id}/reject", reason="a wrong amount")
    assert "is rejected; it is owed again" in after
    assert at.status(request_id) == "rejected"


@pytest.mark.parametrize("second", ["approve", "reject"])
def test_who_decides_on_a_stale_page_is_told_and_nothing_happens_twice(at: PayoutSite, second: str) -> None:
    request_id = at.waiting()
    ben, carl = at.site.visit("ben"), at.site.visit("carl")
    action = f"/payouts/pay_{request_id}/{second}"
    old = pressed(carl, PAGE, action)
    ben.send(PAGE, f"/payouts/pay_{request_id}/approve", reason="as agreed")
    refused = carl.client.post(action, data={**old, "reason": "I too"})
    page = carl.reads(refused.headers["location"])
    assert f"nothing was done: pay_{request_id} is queued by now (ben: as agreed)" in page
    assert at.moves(request_id) == ["awaiting_approval", "queued"]
    assert len(at.story.rows(request_id).approvals) == 1


def test_nobody_decides_on_what_they_asked_for_and_others_may(at: PayoutSite) -> None:
    request_id = at.waiting()
    anna = at.site.visit("anna")
    assert "you asked for it yourself" in anna.reads(PAGE)
    assert f"/payouts/pay_{request_id}/approve" not in anna.get(PAGE)
    viewer = at.site.visit("vera", Role.OPERATOR)
    assert f"/payouts/pay_{request_id}/approve" not in viewer.get(PAGE)


def test_what_a_lowered_threshold_stopped_waits_here_too(at: PayoutSite) -> None:
    bank(at, bank_approved="ba_1")
    request_id = at.queued()
    at.threshold()
    at.story.send(request_id)
    assert at.story.blocked(request_id) == "not_approved"
    at.site.visit("ben").send(PAGE, f"/payouts/pay_{request_id}/approve", reason="as agreed")
    assert at.moves(request_id) == ["queued", "awaiting_approval", "queued"]


def test_more_than_one_page_of_payouts_is_paged_by_key(at: PayoutSite) -> None:
    at.threshold(100)
    ids = [at.story.ask(1_000) for _ in range(ROWS + 2)]
    visit = at.site.visit("ben")
    first = [row["payout"] for row in visit.json(PAGE)["requests"]]
    assert f'href="/approvals?before={ids[2]}"' in visit.get(PAGE)
    older = [row["payout"] for row in visit.json(f"{PAGE}?before={ids[2]}")["requests"]]
    assert first + older == [f"pay_{request_id}" for request_id in reversed(ids)]


# --- bank accounts -----------------------------------------------------------------------------------------


def test_a_bank_account_is_approved_with_what_waits_for_it(at: PayoutSite) -> None:
    request_id = at.queued()
    _waits_for_bank(at, request_id)
    partner = at.story.nord
    ben = at.site.visit("ben", Role.APPROVER)
    page = ben.reads(PAGE)
    assert "1 payout waits for it" in page
    assert "nobody has approved its bank account ba_1" in page
    after = ben.send(PAGE, f"/approvals/bank/{partner.id}/approve", reason="checked by phone")
    assert "ba_1 of partner-1 is approved" in after
    assert "No bank account waits" in after
    assert at.story.value("SELECT bank_approved FROM partners WHERE id = :id", id=partner.id) == "ba_1"


def test_a_bank_account_that_was_replaced_meanwhile_is_not_approved(at: PayoutSite) -> None:
    partner = at.story.nord
    ben = at.site.visit("ben")
    action = f"/approvals/bank/{partner.id}/approve"
    old = pressed(ben, PAGE, action)
    bank(at, bank_account="ba_2")
    refused = ben.client.post(action, data={**old, "reason": "checked by phone"})
    assert "partner-1 has ba_2 by now, not ba_1" in ben.reads(refused.headers["location"])
    assert at.story.value("SELECT bank_approved FROM partners WHERE id = :id", id=partner.id) is None


def test_a_bank_account_is_approved_once_and_only_by_who_may(at: PayoutSite) -> None:
    action = f"/approvals/bank/{at.story.nord.id}/approve"
    vera = at.site.visit("vera", Role.OPERATOR)
    assert action not in vera.get(PAGE)
    assert forced(vera, action, reason="all the same").status_code == 403
    ben, carl = at.site.visit("ben"), at.site.visit("carl")
    old = pressed(carl, PAGE, action)
    ben.send(PAGE, action, reason="checked by phone")
    refused = carl.client.post(action, data={**old, "reason": "me too"})
    assert "is approved already" in carl.reads(refused.headers["location"])
    assert at.story.value("SELECT COUNT(*) FROM approvals") == 1


def test_bank_accounts_of_partners_far_back_are_found_page_by_page(at: PayoutSite) -> None:
    fine = [a_partner() for _ in range(PARTNERS_MOST)]
    with at.story.engine.begin() as connection:
        PARTNERS.insert(connection, fine)
    with reading(at.story.engine) as connection:
        near = bank_accounts(connection, None, 25)
        assert near.before_id is not None
        far = bank_accounts(connection, near.before_id, 25)
    assert (near.held_up, near.others) == ([], [])
    assert ([one.id for one in far.others], far.before_id) == ([at.story.nord.id], None)
    assert "Look among older partners" in at.site.visit("ben").reads(PAGE)


def test_bank_accounts_are_not_asked_for_where_they_need_no_approval(tmp_path: Path) -> None:
    made = PayoutSite(migrated_file(tmp_path / "other.db"))
    page = made.site.visit("ben").reads(PAGE)
    assert "Bank accounts need no approval here" in page
    made.close()


# --- replays -----------------------------------------------------------------------------------------------


def test_a_replay_that_waits_to_be_confirmed_leads_to_its_page(at: PayoutSite) -> None:
    story = at.story
    with story.happens() as connection:
        by = Actor("anna", 1, 11, frozenset(Scope))
        replay = ask(connection, Selection(status="dead"), by, "mended", story.make_id, story.clock())
        waiting = dataclasses.replace(replay, status=ReplayStatus.AWAITING_CONFIRMATION, total=1_200)
        REPLAYS.save(connection, [waiting])
    html = at.site.visit("ben").get(PAGE)
    assert f"/replays/{replay.public_id}" in html
    assert "Replay of 1200 events" in words_of(html)


def _waits_for_bank(at: PayoutSite, request_id: int) -> None:
    with at.story.engine.begin() as connection:
        request = lock_requests(connection, [request_id])[request_id]
        REQUESTS.save(connection, [dataclasses.replace(request, blocked="bank_unapproved")])
