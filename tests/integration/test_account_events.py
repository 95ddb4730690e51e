"""What Stripe tells of an account changes its partner: Stripe is asked how it is now, and believed."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from payouts.event import read_envelope
from payouts.ids import IdMaker
from payouts.lookup import Resolver
from payouts.refreshing import Refresher
from payouts.storage import inbox
from payouts.storage.inbox import NewEvent
from tests.support.lives import event_body
from tests.support.story import Story
from tests.unit.test_stripe_account import account, bank
from workers.sweep import HeldUpSweeper


class Told(Story):
    """A partner whose account at Stripe changes, and what is asked about it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.make_id = IdMaker(self.clock)  # ids tell the time: of the test's clock
        self.at_stripe: dict[str, Any] = account(bank(1))
        self.asked: list[str] = []
        self.while_asking: list[Callable[[], object]] = []
        """What happens before the answers of the next questions arrive, each once."""
        self.resolver = Resolver(self.applier, self)  # type: ignore[arg-type]  # only accounts are asked for

    def account(self, account_id: str) -> bytes:
        self.asked.append(account_id)
        answer = json.dumps(self.at_stripe).encode()
        if self.while_asking:
            self.while_asking.pop(0)()
        return answer

    def hear(self, *types: str, of: str = "acct_1", wait_s: float = 1) -> list[str]:
        """Events come together, and are applied later; the reasons of what came of each."""
        self.clock.pass_(seconds=1)
        about = {"id": of, "object": "account"}
        bodies = [event_body(f"evt_{self.make_id()}", kind, about, account=of) for kind in types]
        new = [
            NewEvent(self.make_id(), read_envelope(body), inbox.WEBHOOK, None, self.clock(), payload=body)
            for body in bodies
        ]
        with self.engine.begin() as connection:
            ids = inbox.add_events(connection, new, self.make_id)
        self.clock.pass_(seconds=wait_s)
        for inbox_id in self.applier.apply(ids).lookups:
            self.resolver.resolve(inbox_id)
        return [self.value("SELECT reason FROM inbox WHERE id = :id", id=row_id) for row_id in ids]

    def of_partner(self, column: str) -> Any:
        return self.value(f"SELECT {column} FROM partners WHERE id = :id", id=self.nord.id)


@pytest.fixture
def told(database_url: str) -> Iterator[Told]:
    made = Told(database_url)
    yield made
    made.engine.dispose()


@pytest.mark.parametrize(
    ("kind", "change", "state"),
    [
        ("account.updated", {"payouts_enabled": False}, "restricted"),
        ("capability.updated", {"capabilities": {"transfers": "inactive"}}, "restricted"),
        ("account.external_account.deleted", {"external_accounts": {"data": []}}, "restricted"),
    ],
)
def test_a_partner_that_can_no_longer_be_paid_is_so_here_and_back_once_it_can(
    told: Told, kind: str, change: dict[str, Any], state: str
) -> None:
    told.at_stripe |= change
    told.hear(kind)
    assert told.of_partner("state") == state
    assert told.of_partner("state_reason")

    told.at_stripe = account(bank(1))
    told.hear(kind)
    assert (told.of_partner("state"), told.of_partner("state_reason")) == ("ready", None)


def test_a_new_bank_account_is_noticed_told_and_cools_off(told: Told) -> None:
    told.at_stripe = account(bank(2))

    told.hear("account.external_account.updated")

    assert told.of_partner("bank_account") == "ba_2"
    assert told.of_partner("bank_since_ms") == told.clock()
    assert told.value("SELECT COUNT(*) FROM outbox WHERE name = 'alert.bank_account_new'") == 1


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ({"external_accounts": {"data": []}}, "missing"),
        ({"external_accounts": {"data": [{**bank(1), "status": "errored"}]}}, "unusable"),
    ],
)
def test_a_partner_without_a_usable_bank_account_is_told_of_once_until_it_has_one(
    told: Told, change: dict[str, Any], lacks: str
) -> None:
    needed = "SELECT COUNT(*) FROM outbox WHERE name = 'bank_account.needed'"
    told.at_stripe |= change
    for _ in range(2):
        told.hear("account.updated")
    assert told.value(needed) == 1
    body = json.loads(told.value("SELECT body FROM outbox WHERE name = 'bank_account.needed'"))
    assert (body["lacks"], body["currency"], body["account"]) == (lacks, "eur", "acct_1")

    told.at_stripe = account(bank(1))
    told.hear("account.updated")
    told.at_stripe |= change
    told.hear("account.updated")
    assert told.value(needed) == 2


def test_an_account_that_does_not_show_its_bank_account_needs_none(told: Told) -> None:
    told.at_stripe = account(bank(1), payouts_enabled=False)
    del told.at_stripe["external_accounts"]
    told.hear("account.updated")
    assert told.value("SELECT COUNT(*) FROM outbox WHERE name = 'bank_account.needed'") == 0


def test_events_that_came_together_and_waited_ask_stripe_once(told: Told) -> None:
    told.hear("account.updated", "capability.updated", "account.external_account.created", wait_s=5)

    assert told.asked == ["acct_1"]
    assert told.value("SELECT COUNT(*) FROM inbox WHERE processed_at_ms IS NULL") == 0


def test_an_account_that_belongs_to_no_partner_is_ignored_and_says_so(told: Told) -> None:
    assert told.hear("account.updated", of="acct_9") == ["no partner has this account"]
    assert told.asked == []


@pytest.mark.parametrize("clock_s", [-3, 3], ids=["its clock is slow", "its clock is fast"])
def test_a_question_that_was_overtaken_by_a_newer_one_of_another_machine_is_asked_again(
    told: Told, clock_s: int
) -> None:
    elsewhere = Refresher(told.engine, told, told.make_id, lambda: told.clock() + clock_s * 1000)  # type: ignore[arg-type]  # only accounts are asked for

    def is_mended_and_asked_for_elsewhere() -> None:
        told.at_stripe = account(bank(1))
        elsewhere.refresh("acct_1")

    told.at_stripe = account(bank(1), payouts_enabled=False)
    told.while_asking = [is_mended_and_asked_for_elsewhere]
    told.hear("account.updated")

    assert told.of_partner("state") == "ready"


def test_a_machine_whose_clock_is_slow_is_believed_when_it_asks_last(told: Told) -> None:
    told.at_stripe = account(bank(1), payouts_enabled=False)
    told.hear("account.updated")
    slow = Refresher(told.engine, told, told.make_id, lambda: told.clock() - 3_000)  # type: ignore[arg-type]  # as above
    told.at_stripe = account(bank(1))
    slow.refresh("acct_1")
    assert told.of_partner("state") == "ready"


def test_an_event_that_a_slower_clock_stored_after_the_question_is_asked_about(told: Told) -> None:
    with told.engine.begin() as connection:
        asked_ms = told.clock() + 1_000 + 2_500  # the event is stored a second from now, by its clock
        connection.execute(sa.text("UPDATE partners SET refreshed_at_ms = :at"), {"at": asked_ms})

    told.hear("account.external_account.updated")

    assert told.asked == ["acct_1"]


class Queue:
    """Of messages, where nobody waits; who is asked for goes to `asked`."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def waiting(self, _: str) -> int:
        return 0

    def refresh_partner(self, account: str) -> None:
        self.asked.append(account)


def test_a_partner_whose_mending_nobody_tells_of_is_asked_for_once_an_hour_while_payouts_wait(
    told: Told,
) -> None:
    queue = Queue()
    sweeper = HeldUpSweeper(told.engine, queue, told.clock)  # type: ignore[arg-type]  # a queue in memory
    request_id = told.ask()
    told.stripe.refuse = {"transfers.create": "payouts_not_allowed"}
    told.send(request_id)
    assert told.of_partner("state") == "restricted"

    told.clock.pass_(minutes=50)
    assert sweeper.sweep() == 0
    told.clock.pass_(minutes=10)
    assert (sweeper.sweep(), queue.asked) == (1, ["acct_1"])
    told.stripe.refuse = {}
    told.resolver.refresher.refresh("acct_1")
    assert (told.of_partner("state"), sweeper.sweep()) == ("ready", 0)
    told.send(request_id)
    assert told.status(request_id) == "sent"


def test_a_restricted_partner_for_whom_nothing_waits_is_not_asked_for(told: Told) -> None:
    told.at_stripe |= {"payouts_enabled": False}
    told.hear("account.updated")
    told.clock.pass_(hours=2)
    sweeper = HeldUpSweeper(told.engine, Queue(), told.clock)  # type: ignore[arg-type]  # as above
    assert sweeper.sweep() == 0
