"""Partners, credits and the books as operators meet them: through the command."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from payouts.storage.engine import build_engine
from tests.support.commands import run_here as run


class Office:
    """The command on a database of its own, as an admin."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'payouts.db'}"
        assert run("db", "upgrade", DATABASE_URL=self.url).returncode == 0
        self.token = run("people", "add", "anna", "--role", "admin", DATABASE_URL=self.url).stdout.strip()

    def command(self, *words: str, token: str | None = None) -> "subprocess.CompletedProcess[str]":
        return run(*words, DATABASE_URL=self.url, PAYOUTS_TOKEN=token or self.token)

    def ok(self, *words: str) -> str:
        done = self.command(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refused(self, *words: str, token: str | None = None) -> str:
        """The one line that a refused command says."""
        done = self.command(*words, token=token)
        assert done.returncode == 1, done.stdout
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def rows(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ok(*words, "--json").splitlines()]

    def add(self, reference: str = "nord", currency: str = "eur") -> str:
        self.ok(
            *("partner", "add", reference, f"acct_{reference}", "--name", reference.title()),
            *("--email", f"{reference}@example.com", "--currency", currency),
        )
        return reference

    def sql(self, statement: str) -> None:
        engine = build_engine(self.url, timeout_s=10, pool_size=1)
        with engine.begin() as connection:
            connection.execute(sa.text(statement))
        engine.dispose()


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_partner_is_added_shown_changed_and_blocked(office: Office) -> None:
    office.add()
    office.ok("partner", "update", "nord", "--schedule", "weekly", "--day", "4", "--minimum", "50.00")
    office.ok("partner", "block", "nord", "--reason", "wrong address")

    (shown,) = office.rows("partner", "show", "acct_nord")
    assert (shown["state"], shown["state_reason"]) == ("blocked", "wrong address")
    assert (shown["schedule"], shown["schedule_day"], shown["schedule_minimum_minor"]) == ("weekly", 4, 5_000)
    assert "weekly, Friday" in office.ok("partner", "list", "--state", "blocked")

    office.ok("partner", "unblock", "nord", "--reason", "mended")
    assert office.rows("partner", "list")[0]["state"] == "unverified"
    actions = [row["action"] for row in office.rows("audit", "list", "--account", "acct_nord")]
    assert actions == ["partner.unblock", "partner.block", "partner.update", "partner.register"]


def test_an_address_that_mail_came_back_from_is_written_to_again(office: Office) -> None:
    office.add()
    assert "as it is" in office.refused("partner", "trust-email", "nord", "--reason", "why not")
    office.sql("UPDATE partners SET email_bounced_at_ms = 1790000000000, email_bounce = 'mail came back'")
    assert "mail came back" in office.ok("partner", "show", "nord")
    assert "written to again" in office.ok(
        "partner", "trust-email", "nord", "--reason", "their mailbox was full"
    )
    (shown,) = office.rows("partner", "show", "nord")
    assert "email_bounced_at_ms" not in shown
    (row,) = office.rows("audit", "list", "--action", "partner.trust_email")
    assert row["reason"] == "their mailbox was full"


def test_a_credit_counts_once_and_in_the_partners_currency_only(office: Office) -> None:
    office.add("nord")
    office.add("kyoto", "jpy")
    (first,) = office.rows("credit", "nord", "120.50", "--reference", "sale-1")
    (again,) = office.rows("credit", "nord", "120.5", "--reference", "sale-1")
    assert (first["is_new"], again["is_new"]) == (True, False)
    assert first["id"] == again["id"]
    assert "posted before with other content" in office.refused(
        "credit", "nord", "1", "--reference", "sale-1"
    )
    assert "JPY has no decimal places" in office.refused("credit", "kyoto", "1.50", "--reference", "x")
    office.ok("debit", "nord", "200", "--reference", "refund-1", "--description", "returned goods")

    assert office.rows("ledger", "balance", "nord") == [
        {"of": "nord", "currency": "eur", "kind": "owed", "amount_minor": -7_950}
    ]
    kinds = {(row["of"], row["kind"]): row["amount_minor"] for row in office.rows("ledger", "balance")}
    assert kinds == {("all partners", "owed"): -7_950, ("platform", "credits"): 7_950}
    journal = office.rows("ledger", "journal", "--partner", "nord")
    assert [row["reference"] for row in journal] == ["debit:refund-1", "credit:sale-1"]
    assert journal[0]["postings"][0]["amount_minor"] in (-20_000, 20_000)


def test_filling_up_the_platforms_balance_is_noted(office: Office) -> None:
    office.ok("ledger", "fund", "1000.00", "EUR", "--reference", "wire-1")
    office.ok("ledger", "fund", "250.00", "eur", "--reference", "wire-2", "--drawn")
    rows = {row["kind"]: row["amount_minor"] for row in office.rows("ledger", "balance")}
    assert rows == {"funding": -75_000, "stripe_balance": 75_000}


def test_a_check_of_the_books_says_what_holds_and_fails_on_what_does_not(office: Office) -> None:
    office.add()
    office.ok("credit", "nord", "10", "--reference", "sale-1")
    assert "broken" not in office.ok("ledger", "check")

    office.sql("UPDATE ledger_accounts SET balance_minor = 999 WHERE kind = 'owed'")

    done = office.command("ledger", "check")
    assert done.returncode == 1
    assert "broken  balances_are_sums" in done.stdout
    assert "the balance kept is 999, its postings sum to 1000" in done.stdout
    assert "what to do: stop paying" in done.stdout
    lines = [json.loads(line) for line in office.command("ledger", "check", "--json").stdout.splitlines()]
    assert [line["invariant"] for line in lines if not line["holds"]] == ["balances_are_sums"]
    assert office.command("ledger", "check", "one_transfer").returncode == 0


def test_a_month_is_closed_and_takes_nothing_more(office: Office) -> None:
    office.add()
    office.ok("credit", "nord", "10", "--reference", "sale-1", "--on", "2026-01-15")
    (closed,) = office.rows("ledger", "close", "2026-01")
    assert closed["sums"] == {"eur": {"credits": -1_000, "owed": 1_000}}
    refused = office.refused("credit", "nord", "1", "--reference", "late", "--on", "2026-01-31")
    assert "closed up to 2026-01" in refused
    assert [row["period"] for row in office.rows("ledger", "closes")] == ["2026-01"]
    assert "next month to close is 2026-02" in office.refused("ledger", "close", "2026-03")


def test_who_may_only_look_changes_nothing(office: Office) -> None:
    viewer = office.ok("people", "add", "vera", "--role", "viewer")
    office.add()
    for words in (
        ("credit", "nord", "1", "--reference", "x"),
        ("partner", "update", "nord", "--name", "Y"),
        ("ledger", "fund", "1", "eur", "--reference", "x"),
        ("ledger", "close", "2026-01"),
    ):
        assert "vera may not do this" in office.refused(*words, token=viewer)


def test_files_are_imported_with_a_report_of_what_was_not_taken(office: Office) -> None:
    partners, sales = office.folder / "partners.csv", office.folder / "sales.csv"
    partners.write_text("reference,account,name,email,currency\nnord,acct_N,Nord,n@example.com,eur\n")
    sales.write_text("partner,amount,currency,reference\nnord,10.00,eur,s-1\nsud,1.00,eur,s-2\n")
    assert office.ok("import", "partners", str(partners)) == "1 new, 0 known before, 0 rejected"

    tried = office.command("import", "credits", str(sales), "--dry-run")
    assert (tried.returncode, "this was a dry run" in tried.stdout) == (1, True)
    assert office.rows("ledger", "balance", "nord") == []

    done = office.command("import", "credits", str(sales))
    assert done.returncode == 1
    assert "line 3, partner: there is no partner 'sud'" in done.stdout
    assert "1 new, 0 known before, 1 rejected" in done.stdout
    again = office.command("import", "credits", str(sales), "--json").stdout.splitlines()
    assert json.loads(again[-1]) == {"new": 0, "known": 1, "rejected": 1, "dry_run": False}


def test_a_statement_and_the_journal_come_as_table_json_and_csv(office: Office) -> None:
    office.add()
    office.ok(
        "credit", "nord", "10", "--reference", "sale-1", "--on", "2026-01-15", "--description", "ä sale"
    )
    office.ok("debit", "nord", "30", "--reference", "back-1", "--on", "2026-01-20")
    table = office.ok("partner", "statement", "nord", "--month", "2026-01")
    assert "closing balance" in table
    assert "the partner owes 20.00 EUR" in table
    *lines, sums = office.rows(
        "partner", "statement", "nord", "--from", "2026-01-16", "--until", "2026-02-01"
    )
    assert [line["balance_minor"] for line in lines] == [-2_000]
    assert (sums["opening_minor"], sums["closing_minor"]) == (1_000, -2_000)
    as_csv = office.ok("partner", "statement", "nord", "--month", "2026-01", "--csv")
    assert "credit:sale-1,ä sale,eur,1000,10.00,1000,10.00,0" in as_csv
    assert len(office.ok("ledger", "journal", "--partner", "nord", "--csv").splitlines()) == 5
    assert "either --month, or --from" in office.refused(
        "partner", "statement", "nord", "--until", "2026-01-01"
    )
