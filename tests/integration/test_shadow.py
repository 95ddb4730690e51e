"""Shadow mode: what it decided can be laid beside what the system before has paid, and is no difference."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from console.main import app
from payouts import mending
from payouts.calls import Call
from payouts.clock import iso
from payouts.ledger import Entry, LedgerKind, funding
from payouts.reconciling import Reconciler
from payouts.sending import Sender
from payouts.storage.columns import PLATFORM
from payouts.storage.ledger_rows import NO_PARTNER, post
from tests.support.reconciling import Bench
from tests.support.story import ANNA


class Shadow(Bench):
    """A service in shadow mode. The platform has 100.00 EUR, which another system pays out."""

    even_balances = False

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.sender = Sender(self.engine, self.gateway, dataclasses.replace(self.rules, shadow=True))
        self.reconciler = self.reconciler_of(shadow=True)
        top_up = Entry(
            *("fund", "fund:1", PLATFORM, NO_PARTNER, "eur", funding(10_000), self.clock()),
        )
        with self.engine.begin() as connection:
            post(connection, [top_up], self.make_id, self.clock())

    def reconciler_of(self, *, shadow: bool) -> Reconciler:
        return Reconciler(self.engine, self.gateway, self.make_id, self.clock, shadow=shadow)

    def found_with(self, stripe_minor: int) -> list[tuple[str | None, str | None]]:
        """What differs of the platform's balance, ours and theirs, where Stripe holds so much."""
        self.stripe.balances[None] = {"eur": stripe_minor}
        self.pass_(seconds=1)
        self.compare(PLATFORM)
        return [(row.ours, row.theirs) for row in self.rows() if row.healed_at_ms is None]

    def said(self, *words: str) -> str:
        environment = {"DATABASE_URL": str(self.engine.url.render_as_string(False)), "COLUMNS": "300"}
        environment["REDIS_URL"] = "redis://127.0.0.1:9/0"
        done = CliRunner().invoke(
            app, ["payout", "shadowed", *words], env=environment, catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.stdout


@pytest.fixture
def shadow(database_url: str) -> Iterator[Shadow]:
    made = Shadow(database_url)
    yield made
    made.engine.dispose()


def test_what_the_other_system_may_have_paid_is_no_difference_up_to_its_sum(shadow: Shadow) -> None:
    shadow.sent(3_000)
    shadow.sent(1_000)

    assert shadow.platform(LedgerKind.STRIPE_BALANCE) == 10_000
    assert shadow.found_with(10_000) == []
    assert shadow.found_with(7_000) == []
    assert shadow.found_with(6_000) == []
    assert shadow.found_with(5_900) == [("60.00 EUR", "59.00 EUR")]
    assert shadow.found_with(6_000) == []
    assert shadow.found_with(10_100) == [("100.00 EUR", "101.00 EUR")]


def test_without_shadow_mode_what_the_other_system_paid_has_to_be_booked(shadow: Shadow) -> None:
    shadow.sent(3_000)
    shadow.reconciler = shadow.reconciler_of(shadow=False)

    assert shadow.found_with(7_000) == [("100.00 EUR", "70.00 EUR")]


def test_a_shadowed_payout_is_never_missed_at_stripe(shadow: Shadow) -> None:
    shadow.sent()
    shadow.pass_(hours=24 * 30)
    shadow.stripe.balances |= {None: {"eur": 9_000}, "acct_1": {"eur": 0}}

    shadow.compare(PLATFORM)
    shadow.compare()
    shadow.reconciler.find_late()

    assert shadow.open() == []


def test_what_a_person_sends_again_waits_until_shadow_mode_is_over(shadow: Shadow) -> None:
    in_shadow, shadow.sender = shadow.sender, Sender(shadow.engine, shadow.gateway, shadow.rules)
    shadow.stripe.refuse = {Call.PAYOUT: "invalid_account_number"}
    request_id = shadow.sent()
    shadow.stripe.refuse = {}
    assert (shadow.status(request_id), len(shadow.stripe.calls)) == ("returned", 2)
    shadow.sender = in_shadow

    with shadow.engine.begin() as connection:
        mending.retry(connection, request_id, ANNA, "a new account", shadow.make_id, shadow.clock())
    shadow.sender.send(request_id)

    assert (shadow.blocked(request_id), len(shadow.stripe.calls)) == ("shadow_mode", 2)


def test_what_was_decided_is_a_csv_to_lay_beside_the_other_systems(shadow: Shadow) -> None:
    partner = shadow.partner()
    by_itself = shadow.partner(2, manual_schedule=False)
    requested_ms = shadow.clock()
    first = shadow.request(partner, 12_050, reference="invoice-7")
    second = shadow.request(by_itself, 1_000, reference="=1+1")
    waits = shadow.request(partner, 700)
    shadow.pass_(seconds=5)
    shadow.sender.send(first)
    shadow.sender.send(second)

    rows = list(csv.DictReader(io.StringIO(shadow.said("--csv"))))

    assert [row["payout"] for row in rows] == [f"pay_{second}", f"pay_{first}"]
    assert rows[1] == {
        "payout": f"pay_{first}",
        "reference": "invoice-7",
        "partner": "partner-1",
        "account": "acct_1",
        "currency": "eur",
        "amount_minor": "12050",
        "amount": "120.50",
        "source": "api",
        "requested_by": "tests",
        "requested_at": iso(requested_ms),
        "decided_at": iso(requested_ms + 5_000),
        "calls": "transfers.create payouts.create",
    }
    assert (rows[0]["reference"], rows[0]["calls"]) == ("'=1+1", "transfers.create")
    assert shadow.status(waits) == "queued"
    assert shadow.stripe.calls == []


def test_what_was_decided_is_listed_by_partner_and_read_by_programs(shadow: Shadow) -> None:
    shadow.sender.send(shadow.request(shadow.partner(), 12_050, reference="invoice-7"))
    shadow.sender.send(shadow.request(shadow.partner(2), 500))

    screen = shadow.said("--partner", "partner-1")
    found = [json.loads(line) for line in shadow.said("--partner", "partner-1", "--json").splitlines()]

    assert "120.50 EUR" in screen
    assert "transfers.create, payouts.create" in screen
    assert "partner-2" not in screen
    assert [(row["reference"], row["amount_minor"]) for row in found] == [("invoice-7", 12_050)]
    assert found[0]["calls"] == ["transfers.create", "payouts.create"]
