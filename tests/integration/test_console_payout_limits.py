"""Limits on payouts in the console: what is set, and setting, changing and removing one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from payouts.limits import LimitKind
from payouts.people import Role
from tests.support.databases import migrated_file
from tests.support.requests import a_partner, keep
from tests.support.site import Site, Visit, hidden_fields, words_of

AT = "/operations/payout-limits"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"))
    with made.engine.begin() as connection:
        keep(connection, a_partner(reference="nord-1", account="acct_nord", currency="eur"))
    yield made
    made.close()


def send(visit: Visit, kind: str, value: str, **typed: str) -> str:
    return visit.send(AT, AT, kind=kind, value=value, **{"reason": "a quiet night", **typed})


def test_a_limit_is_set_for_all_and_one_for_a_partner_in_its_place(site: Site) -> None:
    anna = site.visit()
    assert "No limit is set." in anna.reads(AT)
    said = send(anna, "velocity_amount", "20000.00", currency="eur", window="24h")
    assert "velocity_amount eur for all partners is 20,000.00 EUR within 24 h" in said
    assert "daily eur for nord-1 is 500.00 EUR" in send(anna, "daily", "500.00", partner="acct_nord")
    said = anna.send(AT, f"{AT}/{anna.json(AT)[0]['id']}/change", value="400.00", reason="less")
    assert "daily eur for nord-1 is 400.00 EUR" in said
    rows = [(row["kind"], row["partner"], row["limit"], row["window"]) for row in anna.json(AT)]
    assert rows == [
        ("daily", "nord-1", "400.00 EUR", None),
        ("velocity_amount", None, "20,000.00 EUR", "24 h"),
    ]
    page = anna.reads("/audit?actor=anna")
    assert "limit.set" in page
    assert "a quiet night" in page


def test_a_limit_is_changed_and_removed_where_it_is_as_the_page_showed_it(site: Site) -> None:
    anna, ben = site.visit(), site.visit("ben")
    send(anna, "velocity_count", "20", window="60m")
    send(anna, "daily", "500.00", currency="eur")
    one = f"{AT}/{anna.json(AT)[1]['id']}"
    late = {**hidden_fields(ben.get(AT), f"{one}/change"), "window": "60m", "reason": "late"}
    said = anna.send(AT, f"{one}/change", value="30", window="60m", reason="busy")
    assert "is 30 payouts within 1 h" in said
    answer = ben.client.post(f"{one}/change", data={**late, "value": "40"})
    page = ben.get(answer.headers["location"])
    assert "is 30 payouts, set by anna by now" in words_of(page)
    assert page.count('value="40"') == 1  # what was typed comes back in the form that it was typed into
    assert "by now" in told(ben, f"{one}/remove", late)
    assert [row["value"] for row in anna.json(AT)] == [50_000, 30]
    assert "is removed" in anna.send(AT, f"{one}/remove", reason="too narrow")
    assert "is removed by now" in told(ben, f"{one}/change", {**late, "value": "40"})
    assert [row["kind"] for row in anna.json(AT)] == ["daily"]


def told(visit: Visit, action: str, typed: dict[str, str]) -> str:
    return visit.reads(visit.client.post(action, data=typed).headers["location"])


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ({"kind": "nonsense", "value": "5"}, "is no kind of limit"),
        ({"kind": "daily", "value": "500.00"}, "say of which currency"),
        ({"kind": "daily", "value": "much", "currency": "eur"}, "is no amount"),
        ({"kind": "daily", "value": "5", "currency": "eur", "window": "24h"}, "it has no window"),
        ({"kind": "velocity_count", "value": "5", "window": "soon"}, "is no window"),
        ({"kind": "velocity_count", "value": "5.5", "window": "24h"}, "is no number of payouts"),
        ({"kind": "daily", "value": "5", "partner": "nobody"}, "there is no partner nobody"),
        (
            {"kind": "velocity_count", "value": "5", "window": "24h", "partner": "nord-1"},
            "cannot be set for one",
        ),
    ],
)
def test_what_makes_no_limit_is_refused_with_why(site: Site, typed: dict[str, str], why: str) -> None:
    anna = site.visit()
    assert why in send(anna, **typed)
    assert anna.json(AT) == []


def test_only_an_admin_is_shown_the_forms(site: Site) -> None:
    send(site.visit(), LimitKind.DAILY, "500.00", currency="eur")
    olga = site.visit("olga", Role.OPERATOR)
    page = olga.get(AT)
    assert "500.00 EUR" in page
    assert f'action="{AT}' not in page
    with pytest.raises(AssertionError, match="has no form"):
        olga.send(AT, AT)
