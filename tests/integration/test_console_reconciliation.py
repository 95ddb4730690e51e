"""Reconciliation in the console: what differs, what healed, how far it goes, and comparing by message."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from payouts.asked_comparing import compare_further
from payouts.clock import now_ms
from payouts.difference import DifferenceKind, Finding
from payouts.people import Role
from payouts.storage.difference_rows import heal_subjects, report
from payouts.storage.unit import in_transaction
from tests.support.databases import migrated_file
from tests.support.reconciling import ACCOUNT, Bench
from tests.support.sent import Sent, keep_messages
from tests.support.site import Site, hidden_fields


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"))
    yield made
    made.close()


@pytest.fixture
def sent(site: Site) -> Sent:
    return keep_messages(site)


def differs(site: Site, subject: str, kind: DifferenceKind = DifferenceKind.AMOUNT) -> None:
    found = Finding(kind, ACCOUNT, subject, f"{subject} differs", "payouts show", "eur", "10.00", "12.00")
    in_transaction(site.engine, lambda c: report(c, [found], site.parts.make_id, now_ms()))


def heals(site: Site, subject: str) -> None:
    kinds = {DifferenceKind.AMOUNT}
    in_transaction(site.engine, lambda c: heal_subjects(c, ACCOUNT, {subject}, kinds, "gone", now_ms()))


def test_what_differs_is_apart_from_what_healed_and_is_narrowed(site: Site) -> None:
    differs(site, "po_1")
    differs(site, "po_2", DifferenceKind.STATUS)
    differs(site, "po_3")
    heals(site, "po_3")
    anna = site.visit()
    assert [row["subject"] for row in anna.json("/reconciliation")] == ["po_2", "po_1"]
    assert [row["subject"] for row in anna.json("/reconciliation?tab=healed")] == ["po_3"]
    assert [row["subject"] for row in anna.json("/reconciliation?kind=status")] == ["po_2"]
    assert [row["subject"] for row in anna.json("/reconciliation?subject=po_1")] == ["po_1"]
    assert [row["subject"] for row in anna.json("/reconciliation?tab=healed&subject=po_3")] == ["po_3"]
    assert anna.json("/reconciliation?account=platform") == []
    assert "payouts show" in anna.reads("/reconciliation")


def test_one_difference_tells_its_story_and_that_it_was_there_before(site: Site) -> None:
    differs(site, "po_1")
    heals(site, "po_1")
    differs(site, "po_1")
    anna = site.visit()
    (row,) = anna.json("/reconciliation")
    page = anna.reads(f"/reconciliation/{row['id']}")
    for shown in (
        "10.00",
        "12.00",
        "seen for the first time",
        "Other differences of the same object",
        "gone",
    ):
        assert shown in page
    assert "/payouts/po_1" in anna.get(f"/reconciliation/{row['id']}")
    for missing in ("1", "x"):
        anna.get(f"/reconciliation/{missing}", 404)


def test_an_account_is_compared_by_a_worker_when_somebody_who_may_asks(site: Site, sent: Sent) -> None:
    anna, vera = site.visit("anna", Role.OPERATOR), site.visit("vera", Role.VIEWER)
    action = "/reconciliation/compare"
    assert "a worker compares acct_1" in anna.send("/reconciliation", action, account="acct_1")
    assert sent.all == [("compare_account", ("acct_1",))]
    assert "is no Stripe account" in anna.send("/reconciliation", action, account="acct 1")
    csrf = hidden_fields(vera.get("/reconciliation"), "/sign-out")["csrf"]
    assert vera.client.post(action, data={"csrf": csrf, "account": "acct_1"}).status_code == 403
    assert sent.all == [("compare_account", ("acct_1",))]


def test_the_step_of_a_worker_compares_the_account_and_shows_how_far_it_is(site: Site) -> None:
    books = Bench(site.engine.url.render_as_string(hide_password=False))
    books.sent()
    books.stripe.balances[ACCOUNT] = {"eur": 1_000_000}
    assert compare_further(books.reconciler, ACCOUNT) is False
    (row,) = site.visit().json("/reconciliation/rounds")["accounts"]
    assert (row["account"], row["stage"]) == (ACCOUNT, "done")
    assert "over" in site.visit().reads("/reconciliation/rounds")
    books.engine.dispose()
