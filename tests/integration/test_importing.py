"""What another system knew is brought over once, line by line, and fits what Stripe tells later."""

import io
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from payouts.apply import Applier
from payouts.batch import Rules
from payouts.csv_lines import Rejected
from payouts.errors import RefusedError
from payouts.event import read_envelope
from payouts.import_lines import BalanceFile, CreditFile, PartnerFile
from payouts.import_payouts import PayoutFile
from payouts.importing import LINES_AT_ONCE, Done, Importer, Kind
from payouts.people import Actor
from payouts.storage import inbox
from payouts.storage.engine import build_engine
from payouts.storage.inbox import NewEvent
from tests.support.books import violations
from tests.support.databases import bring_up_to_date
from tests.support.lives import event_body, payout_object
from tests.support.partners import OPERATOR, Desk

IN_FLIGHT = PayoutFile(livemode=False)


class Office(Desk):
    """A database that files are imported into."""

    def __init__(self, url: str) -> None:
        engine = build_engine(url, timeout_s=10, pool_size=5)
        bring_up_to_date(engine)
        super().__init__(engine)
        self.rejected: list[Rejected] = []

    def load(self, kind: Kind, *lines: str, dry_run: bool = False, actor: Actor = OPERATOR) -> Done:
        header = ",".join([*kind.required, *kind.optional])
        body = "\n".join([header, *lines]).encode()
        self.rejected = []
        importer = Importer(self.engine, actor, self.make_id, lambda: self.now_ms, dry_run)
        return importer.run(kind, io.BytesIO(body), "old.csv", self.rejected.append)

    def tell(self, payout_id: str, status: str, amount: int = 1_000, account: str = "acct_1") -> None:
        """Stripe tells of a payout; it is applied."""
        body = event_body(
            f"evt_{self.make_id()}", "updated", payout_object(payout_id, status, amount), account=account
        )
        event = NewEvent(
            id=self.make_id(),
            envelope=read_envelope(body),
            source=inbox.WEBHOOK,
            secret=None,
            received_at_ms=self.now_ms,
            payload=body,
        )
        with self.engine.begin() as connection:
            inbox.add_events(connection, [event], self.make_id)
        Applier(self.engine, Rules(self.make_id, lambda: self.now_ms, "tests:1", 3)).apply([event.id])

    def balances(self) -> dict[str, int]:
        """What all partners hold, by kind, without what is zero."""
        sql = (
            "SELECT kind, SUM(balance_minor) AS total FROM ledger_accounts WHERE partner_id > 0 GROUP BY kind"
        )
        with self.engine.connect() as connection:
            return {row.kind: int(row.total) for row in connection.execute(sa.text(sql)) if row.total}

    def why(self) -> list[tuple[int, str | None]]:
        return [(each.number, each.column) for each in self.rejected]


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    made = Office(database_url)
    yield made
    assert violations(made.engine) == {}
    made.engine.dispose()


def test_partners_are_brought_over_once_and_bad_lines_hold_up_no_other(office: Office) -> None:
    lines = (
        "a,acct_A,Anna,a@example.com,eur",
        "b,ba_B,Ben,b@example.com,eur",
        "c,acct_C,Cleo,nobody,eur",
        "d,acct_D,Dora,d@example.com,EUR",
        "a,acct_A2,Anna,a@example.com,eur",
        "a,acct_A,Anna,a@example.com,eur",
    )
    assert office.load(PartnerFile(), *lines) == Done(new=2, known=1, rejected=3)
    assert office.why() == [(3, "account"), (4, "email"), (6, "reference")]
    assert office.load(PartnerFile(), *lines) == Done(new=0, known=3, rejected=3)
    assert office.value("SELECT COUNT(*) FROM audit WHERE action = 'import.partners'") == 1


def test_credits_and_debits_are_brought_over_once(office: Office) -> None:
    partner = office.partner()
    lines = (
        "partner-1,120.50,EUR,sale-1,2026-09-01,a sale",
        "partner-1,-20.00,eur,back-1,,",
        "partner-1,120.50,eur,sale-1,2026-09-01,a sale",
        "partner-1,1.005,eur,sale-2,,",
        "partner-1,0,eur,sale-3,,",
        "partner-1,5,usd,sale-4,,",
        "nobody,5,eur,sale-5,,",
        "partner-1,5,eur,sale-6,yesterday,",
        "partner-1,5,eur,,,",
        "partner-1,7,eur,sale-1,,",
    )
    assert office.load(CreditFile(), *lines) == Done(new=2, known=1, rejected=7)
    expected = {5: "amount", 6: "amount", 7: "currency", 8: "partner", 9: "effective_date", 10: "reference"}
    assert dict(office.why()) == {**expected, 11: "reference"}
    assert office.owed(partner) == 10_050
    assert office.load(CreditFile(), *lines) == Done(new=0, known=3, rejected=7)
    assert office.owed(partner) == 10_050


def test_one_line_that_contradicts_the_books_is_found_among_very_many(office: Office) -> None:
    partner = office.partner()
    office.change(partner, 999, "sale-150")
    lines = [f"partner-1,1.00,eur,sale-{number},," for number in range(LINES_AT_ONCE + 20)]
    assert office.load(CreditFile(), *lines) == Done(new=LINES_AT_ONCE + 19, known=0, rejected=1)
    assert office.why() == [(152, "reference")]
    assert office.owed(partner) == 999 + (LINES_AT_ONCE + 19) * 100


def test_a_dry_run_says_what_would_come_and_leaves_nothing(office: Office) -> None:
    office.partner()
    line = "partner-1,120.50,eur,sale-1,,"
    assert office.load(CreditFile(), line, "x,1,eur,y,,", dry_run=True) == Done(new=1, known=0, rejected=1)
    assert office.value("SELECT COUNT(*) FROM ledger_transactions") == 0
    assert office.value("SELECT COUNT(*) FROM audit WHERE action LIKE 'import.%'") == 0
    assert office.load(CreditFile(), line, dry_run=False).new == 1


def test_opening_balances_may_be_less_than_nothing_and_come_once(office: Office) -> None:
    first, second, third = office.partner(1), office.partner(2), office.partner(3)
    lines = ("partner-1,50.00,eur,,2026-09-01,", "partner-2,-7.25,eur,,,", "partner-3,0.00,eur,,,")
    assert office.load(BalanceFile(), *lines) == Done(new=2, known=1, rejected=0)
    assert office.load(BalanceFile(), *lines) == Done(new=0, known=3, rejected=0)
    assert [office.owed(partner) for partner in (first, second, third)] == [5_000, -725, 0]


def test_payouts_in_flight_are_found_by_the_events_that_follow(office: Office) -> None:
    office.partner()
    lines = (
        "partner-1,po_1,10.00,eur,in_transit,tr_1",
        "partner-1,po_2,10.00,eur,pending,",
        "partner-1,po_3,10.00,eur,paid,tr_3",
    )
    assert office.load(IN_FLIGHT, *lines) == Done(new=3, known=0, rejected=0)
    assert office.balances() == {"in_transit": 2_000, "at_bank": 3_000, "paid": 1_000}
    assert office.value("SELECT COUNT(*) FROM outbox") == 0, "they were told of before"
    assert office.load(IN_FLIGHT, *lines) == Done(new=0, known=3, rejected=0)

    office.tell("po_1", "paid")
    office.tell("po_2", "failed")
    office.tell("po_3", "failed")

    assert office.balances() == {"paid": 1_000, "returned": 2_000, "at_stripe": 2_000, "at_bank": 1_000}
    assert office.value("SELECT COUNT(*) FROM payouts WHERE origin = 'requested'") == 3
    statuses = "SELECT COUNT(*) FROM payout_requests WHERE status = 'returned'"
    assert office.value(statuses) == 2


@pytest.mark.parametrize("known", ["pending", "paid", "failed"])
def test_a_payout_whose_events_came_first_is_taken_over_as_stripe_told_it(office: Office, known: str) -> None:
    office.partner()
    office.tell("po_1", known)
    assert office.load(IN_FLIGHT, "partner-1,po_1,10.00,eur,in_transit,tr_1").new == 1
    expected = {
        "pending": {"in_transit": 1_000, "at_bank": 1_000},
        "paid": {"paid": 1_000, "at_bank": 1_000},
        "failed": {"returned": 1_000, "at_stripe": 1_000},
    }
    assert office.balances() == expected[known]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("partner-1,po_9,10.00,eur,failed,", "status"),
        ("partner-1,tr_9,10.00,eur,paid,", "payout"),
        ("partner-1,po_9,10.00,eur,paid,po_8", "transfer"),
        ("partner-1,po_9,-1,eur,paid,", "amount"),
        ("partner-2,po_9,1,eur,paid,", "partner"),
        ("partner-1,po_9,10.00,eur,paid,tr_1", "transfer"),
        ("partner-1,po_1,20.00,eur,paid,tr_1", "reference"),
        ("partner-1,po_seen,11.00,eur,paid,", "amount"),
        ("partner-1,po_other,10.00,eur,paid,", "payout"),
    ],
)
def test_a_payout_that_does_not_fit_is_rejected(office: Office, line: str, column: str) -> None:
    office.partner()
    assert office.load(IN_FLIGHT, "partner-1,po_1,10.00,eur,in_transit,tr_1").new == 1
    office.tell("po_seen", "pending")
    office.tell("po_other", "pending", account="acct_2")

    assert office.load(IN_FLIGHT, line) == Done(new=0, known=0, rejected=1)

    wanted = None if column == "reference" else column  # the file has no such column
    assert office.why() == [(2, wanted)]


def test_who_may_only_look_imports_nothing(office: Office) -> None:
    viewer = Actor("viewer", 2, 2, frozenset({"read"}))
    for kind in (PartnerFile(), CreditFile(), BalanceFile(), IN_FLIGHT):
        with pytest.raises(RefusedError, match="viewer may not do this"):
            office.load(kind, "", actor=viewer)
