"""The portal registers partners, credits them, and sees what they are owed and how that came about."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.portal import Portal, portal_on, problem

NORD = {
    "reference": "nord",
    "account": "acct_1Nord",
    "name": "Nord Logistik",
    "email": "pay@nord.example",
    "currency": "eur",
}


@pytest.fixture
def portal(database_url: str) -> Iterator[Portal]:
    with portal_on(database_url) as portal:
        yield portal


def credit(amount_minor: int, reference: str, **more: Any) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "eur", "reference": reference, **more}


def test_a_partner_is_registered_once_and_found_by_reference_and_account(portal: Portal) -> None:
    made = portal.post("/partners", NORD)
    again = portal.post("/partners", NORD)
    other = portal.post("/partners", {**NORD, "currency": "usd"})

    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json() == again.json()
    assert {name: made.json()[name] for name in NORD} == NORD
    assert made.json()["state"] == "unverified"
    assert problem(other) == (409, "reference_taken")
    assert portal.get("/partners/nord").json() == portal.get("/partners/acct_1Nord").json() == made.json()
    assert problem(portal.get("/partners/süd")) == (404, "not_found")
    assert problem(portal.get("/partners/acct_ü")) == (404, "not_found")


def test_partners_are_listed_newest_first(portal: Portal) -> None:
    for number in range(3):
        portal.post("/partners", {**NORD, "reference": f"p-{number}", "account": f"acct_{number}"})

    first = portal.get("/partners?limit=2").json()
    rest = portal.get(f"/partners?limit=2&before={first['next']}").json()

    assert [partner["reference"] for partner in first["data"]] == ["p-2", "p-1"]
    assert [partner["reference"] for partner in rest["data"]] == ["p-0"]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_credits_and_debits_change_what_is_owed_once_each(portal: Portal) -> None:
    portal.post("/partners", NORD)
    made = portal.post("/partners/nord/credits", credit(1_000, "r-1", description="October"), key="a")
    repeated = portal.post("/partners/nord/credits", credit(1_000, "r-1", description="October"), key="a")
    named_again = portal.post("/partners/nord/credits", credit(1_000, "r-1", description="October"), key="b")
    debit = portal.post("/partners/nord/credits", credit(-1_300, "r-2"), key="c")
    other = portal.post("/partners/nord/credits", credit(1, "r-1"), key="d")

    assert [answer.status_code for answer in (made, repeated, named_again, debit)] == [201, 201, 200, 201]
    assert repeated.headers["idempotent-replayed"] == "true"
    assert made.json() == named_again.json()
    assert (made.json()["reference"], made.json()["description"]) == ("r-1", "October")
    assert problem(other) == (409, "reference_taken")
    balance = portal.get("/partners/nord/balance").json()
    assert (balance["owed_minor"], balance["payable_minor"]) == (-300, 0)
    assert portal.value("SELECT COUNT(*) FROM audit WHERE actor = 'program:portal'") == 3


def test_a_credit_counts_from_the_date_it_is_given(portal: Portal) -> None:
    portal.post("/partners", NORD)
    at = "2026-10-31T23:59:59.5+01:00"

    made = portal.post("/partners/nord/credits", credit(1_000, "r-1", effective_at=at), key="a")
    ahead = portal.post(
        "/partners/nord/credits", credit(1, "r-2", effective_at="9999-01-01T00:00:00Z"), key="b"
    )
    naive = portal.post(
        "/partners/nord/credits", credit(1, "r-3", effective_at="2026-10-31T00:00:00"), key="c"
    )

    assert made.json()["effective_at"] == "2026-10-31T22:59:59.500000Z"
    assert problem(ahead) == (422, "bad_date")
    assert problem(naive) == (422, "wrong_fields")


def test_a_credit_of_nothing_in_another_currency_or_of_nobody_is_refused(portal: Portal) -> None:
    portal.post("/partners", NORD)

    assert problem(portal.post("/partners/nord/credits", credit(0, "r"), key="a")) == (422, "bad_amount")
    dollars = portal.post("/partners/nord/credits", {**credit(1, "r"), "currency": "usd"}, key="b")
    assert problem(dollars) == (422, "wrong_currency")
    assert problem(portal.post("/partners/west/credits", credit(1, "r"), key="c")) == (404, "not_found")
    assert problem(portal.post("/partners/nord/credits", credit(1, "r"))) == (400, "idempotency_key_missing")


def test_a_statement_says_how_the_claim_came_about(portal: Portal) -> None:
    portal.post("/partners", NORD)
    portal.post("/partners/nord/credits", credit(1_000, "october"), key="a")
    wish = {"partner": "nord", "currency": "eur", "amount_minor": 600}
    payout = portal.post("/payouts", wish, key="b").json()["id"]
    portal.post(f"/payouts/{payout}/cancel", {"reason": "too early"})

    lines = portal.get("/partners/nord/statement").json()["data"]
    first = portal.get("/partners/nord/statement?limit=2").json()
    rest = portal.get(f"/partners/nord/statement?before={first['next']}").json()

    assert [(line["kind"], line["owed_minor"], line["in_transit_minor"]) for line in lines] == [
        ("request_back", 600, -600),
        ("request", -600, 600),
        ("credit", 1_000, 0),
    ]
    assert [line["payout"] for line in lines] == [payout, payout, None]
    assert [*first["data"], *rest["data"]] == lines
    assert sum(line["owed_minor"] for line in lines) == 1_000
