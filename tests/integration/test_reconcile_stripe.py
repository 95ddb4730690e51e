"""Reconciling through the SDK, against a Stripe whose events never arrive."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from payouts.gateway import StripeGateway, Window
from payouts.ledger import Entry, funding
from payouts.sdk_gateway import PAGE, SdkGateway
from payouts.storage.columns import PLATFORM
from payouts.storage.ledger_rows import NO_PARTNER, post
from tests.support.reconciling import Bench
from tests.support.sandbox import Sandbox, sandbox_here


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_here() as made:
        yield made


@pytest.fixture
def gateway(sandbox: Sandbox) -> StripeGateway:
    return SdkGateway(sandbox.key, sandbox.url)


class AtStripe(Bench):
    """A bench whose gateway is the SDK, and whose clock is the sandbox's."""

    def __init__(self, url: str, sandbox: Sandbox, gateway: StripeGateway) -> None:
        super().__init__(url, gateway)
        self.sandbox = sandbox
        self.even_balances = False
        self.pass_()

    def pass_(self, **spans: float) -> None:
        seconds = spans.get("hours", 0) * 3600 + spans.get("seconds", 0)
        self.clock.now_ms = int(self.sandbox.advance(seconds) * 1000)

    def fund(self, amount_minor: int) -> None:
        """Money for the platform, at Stripe and in the ledger."""
        self.sandbox.top_up(amount_minor)
        entry = Entry("funding", "f:1", PLATFORM, NO_PARTNER, "usd", funding(amount_minor), self.clock())
        with self.engine.begin() as connection:
            post(connection, [entry], self.make_id, self.clock())

    def pay(self, count: int) -> str:
        """Send payouts to a new account; its id."""
        account = self.sandbox.account()
        banks = self.sandbox.client().v1.accounts.retrieve(account).external_accounts
        assert banks is not None
        partner = self.partner(account=account, currency="usd", bank_account=banks.data[0].id)
        for _ in range(count):
            self.sender.send(self.request(partner, 2_500))
        return account


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox, gateway: StripeGateway) -> Iterator[AtStripe]:
    made = AtStripe(f"sqlite:///{tmp_path / 'payouts.db'}", sandbox, gateway)
    yield made
    made.engine.dispose()


def test_what_no_event_told_of_is_caught_up_with_and_the_balances_agree(bench: AtStripe) -> None:
    bench.fund(1_000_000)
    account = bench.pay(3)
    bench.pass_(hours=1)

    assert bench.compare(PLATFORM)
    assert bench.compare(account)

    assert [row.status for row in bench.rows("SELECT status FROM payout_requests")] == ["paid"] * 3
    assert [kind for kind, _, _ in bench.healed()] == ["status"] * 3
    assert bench.open() == []


def test_a_failed_payout_leaves_its_money_in_the_account_here_and_there(bench: AtStripe) -> None:
    bench.fund(1_000_000)
    account = bench.pay(1)
    bench.sandbox.fail(str(bench.value("SELECT stripe_id FROM payouts")))
    bench.pass_(hours=1)

    assert bench.compare(account)

    assert bench.balances(bench.first()) == {"returned": 2_500, "at_stripe": 2_500}
    assert bench.open() == []


def test_lists_come_in_pages_that_go_on_where_the_last_one_ended(
    sandbox: Sandbox, gateway: StripeGateway
) -> None:
    account = sandbox.account(available_minor=1_000_000)
    made = [sandbox.automatic_payout(account, 100)["id"] for _ in range(PAGE + 1)]
    now_s = int(sandbox.now())
    window = Window(now_s - 600, now_s + 600)

    first = gateway.payouts_page(account, window, None)
    second = gateway.payouts_page(account, window, first.after)

    assert len(first.objects) == PAGE
    assert [each.id for each in [*first.objects, *second.objects]] == made[::-1]
    assert second.after is None
    assert gateway.payouts_page(account, Window(now_s - 9_000, now_s - 8_000), None).objects == []


def test_what_stripe_does_not_have_is_none_and_no_error(sandbox: Sandbox, gateway: StripeGateway) -> None:
    assert gateway.payout_if_any("po_nothing", sandbox.account()) is None
    assert gateway.transfer_if_any("tr_nothing") is None


def test_a_balance_counts_what_is_pending_too(sandbox: Sandbox, gateway: StripeGateway) -> None:
    sandbox.top_up(700)
    sandbox.top_up(50, pending_s=3_600)
    assert gateway.balance(None)["usd"] == 750
