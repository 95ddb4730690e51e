"""The ledger in the console: sums, transactions, invariants as a worker found them, closed months."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from console.web import window
from console.web.pages import ledger
from payouts import checking
from payouts.clock import now_ms
from payouts.partner import Partner
from payouts.people import Role
from payouts.period import month_of
from payouts.storage.queries import reading
from tests.support.databases import migrated_file
from tests.support.requests import a_partner, keep, owe
from tests.support.sent import Sent, keep_messages
from tests.support.site import Site, hidden_fields, words_of
from workers.check import LedgerChecking


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"))
    yield made
    made.close()


@pytest.fixture
def sent(site: Site) -> Sent:
    return keep_messages(site)


def credited(site: Site, count: int = 1) -> Partner:
    partner = a_partner(reference="nord")
    with site.engine.begin() as connection:
        keep(connection, partner)
        for number in range(count):
            owe(connection, partner, 1_000, f"c-{number}")
    return partner


def check(site: Site) -> None:
    LedgerChecking(site.engine, site.parts.make_id, site.parts.clock).check()


def break_books(site: Site) -> None:
    with site.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE postings SET amount_minor = amount_minor + 1 WHERE amount_minor > 0")
        )


def sums(site: Site) -> dict[str, int | None]:
    return {row["kind"]: row["amount_minor"] for row in site.visit().json("/ledger")["sums"]}


def test_sums_are_of_now_and_add_up_on_both_sides(site: Site) -> None:
    credited(site, 3)
    found = sums(site)
    assert found["owed"] == 3_000
    assert found["credits"] == -3_000
    assert "30.00 EUR" in site.visit().reads("/ledger")


def test_what_is_too_much_to_count_for_a_page_is_as_the_worker_counted_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    credited(site, 3)
    with reading(site.engine) as connection:
        unknown = {total.kind: total.amount_minor for total in checking.totals(connection, 2)}
    check(site)
    with reading(site.engine) as connection:
        known = {total.kind: total for total in checking.totals(connection, 2)}
    assert unknown["credits"] is None
    assert known["credits"].amount_minor == -3_000
    assert known["credits"].counted_at_ms is not None


def test_an_invariant_says_when_it_last_held_and_what_is_wrong(site: Site) -> None:
    credited(site)
    anna = site.visit()
    assert {each["state"] for each in anna.json("/ledger/invariants")} == {"not checked"}
    check(site)
    held = {each["name"]: each["held_at"] for each in anna.json("/ledger/invariants")}
    break_books(site)
    check(site)
    broken = {each["name"]: each for each in anna.json("/ledger/invariants") if each["state"] == "broken"}
    found = broken["transactions_sum_to_zero"]
    assert found["held_at"] == held["transactions_sum_to_zero"]
    assert found["checked_at"] > found["held_at"]
    page = anna.reads("/ledger/invariants")
    assert found["first"] in page
    assert "What to do" in page
    assert "do not hold" in anna.reads("/ledger") or "does not hold" in anna.reads("/ledger")


def test_a_check_is_asked_of_a_worker_by_who_may_operate(site: Site, sent: Sent) -> None:
    anna, vera = site.visit("anna", Role.OPERATOR), site.visit("vera", Role.VIEWER)
    assert "a worker checks the books" in anna.send("/ledger", "/ledger/check")
    assert sent.all == [("check_ledger", ())]
    csrf = hidden_fields(vera.get("/ledger"), "/sign-out")["csrf"]
    assert vera.client.post("/ledger/check", data={"csrf": csrf}).status_code == 403
    assert sent.all == [("check_ledger", ())]


def test_a_check_of_which_no_worker_can_be_told_says_that_it_is_not_done(site: Site) -> None:
    anna = site.visit()  # the queue of this console is nowhere
    answer = anna.sent("/ledger", "/ledger/check")
    assert answer.status_code == 503
    assert "the books are not checked: the queue does not answer" in words_of(answer.text)
    assert "ledger.check" in anna.reads("/audit?actor=anna")


class LastMessage(Sent):
    """Redis is away from the first message on."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.server = site.redis_server

    def _send(self, queue: str, actor: str, *arguments: object, delay_ms: int | None = None) -> None:
        super()._send(queue, actor, *arguments, delay_ms=delay_ms)
        self.server.connected = False


def test_what_was_done_is_told_even_where_redis_goes_away_before_the_next_page(site: Site) -> None:
    keep_messages(site, LastMessage(site))
    answer = site.visit().sent("/ledger", "/ledger/check")
    assert answer.status_code == 200
    assert "a worker checks the books" in words_of(answer.text)
    assert "Redis does not answer" in words_of(answer.text)


def test_transactions_are_narrowed_and_one_shows_its_postings(site: Site) -> None:
    partner = credited(site, 2)
    anna = site.visit()
    assert len(anna.json("/ledger/transactions?kind=credit&partner=nord")) == 2
    assert anna.json("/ledger/transactions?kind=debit") == []
    (one,) = anna.json("/ledger/transactions?reference=credit:c-1")
    page = anna.reads(f"/ledger/transactions/{one['id']}")
    assert "-10.00 EUR" in page
    assert "Together they are zero" in page
    assert f"/partners/{partner.account}" in anna.get(f"/ledger/transactions/{one['id']}")
    for missing in ("1", "abc", "9" * 30):
        anna.get(f"/ledger/transactions/{missing}", 404)


def test_a_filter_without_an_index_stops_and_says_how_to_look_further(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    credited(site, 7)
    monkeypatch.setattr(window, "LOOKED_AT", 3)
    anna = site.visit()
    path, found, pages = "/ledger/transactions?reference=credit:c-0", [], 0
    while path:
        html = anna.get(path)
        found += anna.json(path)
        pages += 1
        more = html.partition('rel="next"')[0].rpartition('<a href="')[2].partition('"')[0]
        path = more.replace("&amp;", "&") if 'rel="next"' in html else ""
    assert pages == 3
    assert [row["reference"] for row in found] == ["credit:c-0"]
    # So it is for a partner that has more.
    monkeypatch.setattr(ledger, "OF_PARTNER_LOOKED_AT", 4)
    assert anna.json("/ledger/transactions?kind=debit&partner=nord") == []
    assert "Look further back" in anna.reads("/ledger/transactions?kind=debit&partner=nord")


def test_a_top_up_is_noted_once(site: Site) -> None:
    anna = site.visit("anna", Role.OPERATOR)
    typed = {"amount": "500.00", "currency": "eur", "reference": "wire-1"}
    assert "over 500.00 EUR" in anna.send("/ledger", "/ledger/fund", **typed)
    assert "nothing changed" in anna.send("/ledger", "/ledger/fund", **typed)
    assert sums(site)["stripe_balance"] == 50_000
    vera = site.visit("vera", Role.VIEWER)
    csrf = hidden_fields(vera.get("/ledger"), "/sign-out")["csrf"]
    assert vera.client.post("/ledger/fund", data={"csrf": csrf, **typed}).status_code == 403


def test_a_month_is_closed_by_an_admin_once_and_its_digest_is_checked(site: Site) -> None:
    credited(site)
    last = str(month_of(month_of(now_ms()).from_ms - 1))
    anna, ben = site.visit("anna"), site.visit("ben", Role.OPERATOR)
    csrf = hidden_fields(ben.get("/ledger/closes"), "/sign-out")["csrf"]
    assert ben.client.post("/ledger/closes", data={"csrf": csrf, "month": last}).status_code == 403
    stale = {**hidden_fields(anna.get("/ledger/closes"), "/ledger/closes"), "month": "2020-01"}
    page = anna.send("/ledger/closes", "/ledger/closes", month=last)
    assert f"{last} is closed with 0 transactions" in page
    assert "fits" in page
    answer = anna.client.post("/ledger/closes", data=stale)
    assert "the next month to close is" in anna.reads(answer.headers["location"])
    assert [row["period"] for row in anna.json("/ledger/closes")] == [last]
    with site.engine.begin() as connection:
        connection.execute(sa.text("UPDATE ledger_closes SET transactions = 9 WHERE digest IS NOT NULL"))
    assert "was changed" in anna.reads("/ledger/closes")
