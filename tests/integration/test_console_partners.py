"""Partners in the console: found, read, registered, credited, held, blocked; their banks approved."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from payouts.clock import now_ms
from payouts.ledger import LedgerKind
from payouts.partner import Partner, PartnerState
from payouts.people import Role
from payouts.period import month_of
from payouts.storage.audit_rows import entry_list
from payouts.storage.ledger_rows import partner_balances
from payouts.storage.partner_rows import find_partner
from payouts.storage.queries import Filters, reading
from tests.support.databases import migrated_file
from tests.support.requests import a_partner, keep, owe
from tests.support.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"))
    yield made
    made.close()


def kept(site: Site, **values: object) -> Partner:
    partner = a_partner(**values)
    with site.engine.begin() as connection:
        keep(connection, partner)
    return partner


def now(site: Site, partner: Partner) -> Partner:
    with reading(site.engine) as connection:
        found = find_partner(connection, str(partner.id))
    assert found is not None
    return found


def owed(site: Site, partner: Partner) -> int:
    with reading(site.engine) as connection:
        return partner_balances(connection, partner.id).get((partner.currency, LedgerKind.OWED), 0)


def test_partners_are_found_by_the_beginning_of_their_reference_state_and_account(site: Site) -> None:
    nord = kept(site, reference="nord-1", name="Nord")
    kept(site, reference="nord-2", name="Zweite", state=PartnerState.BLOCKED)
    kept(site, reference="süd-1", name="Süd")
    anna = site.visit()
    assert [row["reference"] for row in anna.json("/partners?reference=nord")] == ["nord-1", "nord-2"]
    assert [row["name"] for row in anna.json("/partners?reference=nord&state=blocked")] == ["Zweite"]
    assert [row["name"] for row in anna.json(f"/partners?account={nord.account}")] == ["Nord"]
    assert "Nothing fits these filters" in anna.reads("/partners?reference=west")


def test_a_long_list_by_reference_goes_on_where_it_stopped(site: Site) -> None:
    for number in range(51):
        kept(site, reference=f"p-{number:02}")
    anna = site.visit()
    assert "after=p-49" in anna.get("/partners?reference=p-")
    assert [row["reference"] for row in anna.json("/partners?reference=p-&after=p-49")] == ["p-50"]


def test_a_partner_shows_what_stripe_requires_its_money_and_its_bank_account(site: Site) -> None:
    wants = {
        "disabled_reason": "requirements.past_due",
        "past_due": ["individual.verification.document"],
        "currently_due": ["external_account"],
        "current_deadline": 1_800_000_000,
    }
    partner = kept(site, requirements=json.dumps(wants), bank_approved=None, name="<script>alert(1)</script>")
    with site.engine.begin() as connection:
        owe(connection, partner, 12_345)
    page = site.visit().reads(f"/partners/{partner.reference}")
    for shown in ("123.45 EUR", "individual: verification: document", "2027-01-15", "not yet", "Past due"):
        assert shown in page
    assert "<script>alert" not in site.visit().get(f"/partners/{partner.account}")
    kept(site, reference="odd", requirements="no json")
    assert "no json" in site.visit().reads("/partners/odd")


def test_a_partner_is_registered_once_and_what_was_typed_stays_where_it_is_refused(site: Site) -> None:
    anna = site.visit("anna", Role.OPERATOR)
    typed = {"reference": "new-1", "account": "acct_New1", "name": "New", "email": "n@example.com"}
    refused = anna.sent("/partners/new", "/partners", **typed, currency="euros")
    assert refused.status_code == 409
    assert "acct_New1" in refused.text
    assert "is registered" in anna.send("/partners/new", "/partners", **typed, currency="eur")
    assert anna.client.get("/partners/new-1").status_code == 200
    assert site.visit("vera", Role.VIEWER).client.get("/partners/new").status_code == 403


def test_a_credit_counts_once_for_its_reference_and_a_debit_takes_it_back(site: Site) -> None:
    partner, anna = kept(site), site.visit("anna", Role.OPERATOR)
    path = f"/partners/{partner.account}"
    said = anna.send(path, f"{path}/credit", amount="120.50", reference="june")
    assert "credit:june over 120.50 EUR" in said
    assert "nothing changed" in anna.send(path, f"{path}/credit", amount="120.50", reference="june")
    anna.send(path, f"{path}/debit", amount="20.50", reference="june-fee")
    assert owed(site, partner) == 10_000
    assert "not more than nothing" in anna.send(path, f"{path}/credit", amount="-1.00", reference="x")
    assert owed(site, partner) == 10_000


def test_who_may_not_sees_no_form_and_is_refused_all_the_same(site: Site) -> None:
    partner = kept(site, bank_approved=None)
    path = f"/partners/{partner.account}"
    vera, ben = site.visit("vera", Role.VIEWER), site.visit("ben", Role.APPROVER)
    assert 'action="/partners' not in vera.get(path)
    csrf = {"csrf": _csrf(vera.get(path))}
    for verb in ("credit", "debit", "update", "schedule", "block", "unblock", "bank/approve", "hold"):
        assert vera.client.post(f"{path}/{verb}", data={**csrf, "reason": "x"}).status_code == 403, verb
    assert ben.client.post(f"{path}/credit", data={"csrf": _csrf(ben.get(path))}).status_code == 403
    assert now(site, partner) == partner
    assert owed(site, partner) == 0


def test_schedule_name_and_address_are_changed(site: Site) -> None:
    partner, anna = kept(site), site.visit("anna", Role.OPERATOR)
    path = f"/partners/{partner.account}"
    anna.send(path, f"{path}/schedule", schedule="weekly", day="0", minimum="50.00")
    page = anna.send(path, f"{path}/update", name="Nord neu", email="new@example.com")
    assert "weekly, Monday" in page
    assert "50.00 EUR" in page
    changed = now(site, partner)
    assert (changed.name, changed.email, changed.schedule_minimum_minor) == (
        "Nord neu",
        "new@example.com",
        5_000,
    )
    assert "needs a day" in anna.send(path, f"{path}/schedule", schedule="monthly", day="", minimum="")


def test_a_blocked_partner_is_unblocked_by_its_page_with_the_reasons_on_record(site: Site) -> None:
    partner, anna = kept(site), site.visit("anna", Role.OPERATOR)
    path = f"/partners/{partner.account}"
    assert "fraud" in anna.send(path, f"{path}/block", reason="fraud")
    assert now(site, partner).state == PartnerState.BLOCKED
    anna.send(path, f"{path}/unblock", reason="cleared")
    assert now(site, partner).state == PartnerState.UNVERIFIED
    with reading(site.engine) as connection:
        entries = entry_list(connection, Filters({"account": partner.account}), 10)
    assert [entry["reason"] for entry in entries] == ["cleared", "fraud"]


def test_a_new_bank_account_is_approved_only_as_it_was_looked_at(site: Site) -> None:
    partner, ben = kept(site, bank_approved=None), site.visit("ben", Role.APPROVER)
    path = f"/partners/{partner.account}"
    action = f"{path}/bank/approve"
    form = {"csrf": _csrf(ben.get(path)), "back": path, "seen": "ba_older", "reason": "looked"}
    stale = ben.client.post(action, data=form)
    assert "by now, not ba_older" in ben.reads(stale.headers["location"])
    assert now(site, partner).bank_approved is None
    ben.send(path, action, reason="called them")
    assert now(site, partner).bank_approved == partner.bank_account
    assert "it is approved" in ben.reads(path)


def test_a_hold_is_placed_once_and_released_once(site: Site) -> None:
    partner, anna, ben = kept(site), site.visit("anna"), site.visit("ben", Role.OPERATOR)
    path = f"/partners/{partner.account}"
    stale = {"csrf": _csrf(ben.get(path)), "back": path, "reason": "me too"}
    assert "odd invoices" in anna.send(path, f"{path}/hold", reason="odd invoices")
    second = ben.client.post(f"{path}/hold", data=stale)
    assert "is held already, by anna" in ben.reads(second.headers["location"])
    (held,) = anna.json(path)["holds"]
    release = f"{path}/holds/{held['id']}/release"
    assert "is held no more" in anna.send(path, release, reason="explained")
    again = ben.client.post(release, data=stale)
    assert "was released before, by anna" in ben.reads(again.headers["location"])


def test_a_statement_goes_on_in_pages_and_comes_as_a_file(site: Site) -> None:
    partner = kept(site)
    with site.engine.begin() as connection:
        for number in range(60):
            owe(connection, partner, 100, f"c-{number}")
    anna, month = site.visit(), month_of(now_ms())
    path = f"/partners/{partner.account}/statement?month={month}"
    first = anna.json(path)
    last = first["lines"][-1]
    assert len(first["lines"]) == 50
    assert last["balance_minor"] == 5_000
    behind = anna.get(path).partition("behind=")[2].partition('"')[0]
    rest = anna.json(f"{path}&behind={behind}")["lines"]
    assert [line["balance_minor"] for line in rest] == [5_000 + 100 * n for n in range(1, 11)]
    assert first["closing_minor"] == 6_000
    file = anna.client.get(f"/partners/{partner.account}/statement.csv?month={month}")
    assert (
        file.headers["content-disposition"]
        == f'attachment; filename="statement-{partner.account}-{month}.csv"'
    )
    assert len(file.text.splitlines()) == 1 + 60 + 3
    assert "is no month" in anna.get(f"/partners/{partner.account}/statement?month=soon", 400)


def _csrf(html: str) -> str:
    return html.partition('name="csrf" value="')[2].partition('"')[0]


def test_an_address_that_mail_came_back_from_is_shown_and_written_to_again(site: Site) -> None:
    partner = kept(site, email_bounced_at_ms=now_ms(), email_bounce="mail came back <hard>")
    path = f"/partners/{partner.account}"
    anna = site.visit()
    assert "mail came back <hard>" in anna.reads(path)
    assert "written to again" in anna.send(path, f"{path}/trust-email", reason="she called")
    assert now(site, partner).email_bounced_at_ms is None
    page = anna.get(path)
    assert f"{path}/trust-email" not in page
    assert "mail comes back" not in page
    assert "she called" in anna.reads("/audit?actor=anna")
