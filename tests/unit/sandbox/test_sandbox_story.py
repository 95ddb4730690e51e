"""Many calls at once, with all faults at work: money is neither made nor lost, and nothing stands still."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import stripe

from sandbox.app import Options
from sandbox.faults import Faults
from tests.support.sandbox import KEY, Listener, Sandbox, sandbox_here

PARTNERS, PAIRS = 6, 10
FAULTS = Faults(
    refuse_429=0.05,
    cut_before=0.05,
    error_before=0.05,
    timeout_before=0.03,
    slow=0.03,
    error_after=0.05,
    cut_after=0.05,
    timeout_after=0.03,
    event_twin=0.1,
    event_duplicate=0.1,
    event_reorder=0.2,
    event_delay=0.1,
    event_lost_at_first=0.2,
    payout_failed=0.05,
    payout_returned=0.05,
    payout_reversed=0.1,
    timeout_s=0.05,
)


def pay(sandbox: Sandbox, partner: str) -> None:
    """Transfers and payouts, each repeated with its key as long as that can help."""
    client = sandbox.client()
    bank = client.v1.accounts.external_accounts
    for number in range(PAIRS):
        for _ in range(3):
            with contextlib.suppress(stripe.StripeError):
                client.v1.transfers.create(
                    {
                        "amount": 100,
                        "currency": "usd",
                        "destination": partner,
                        "metadata": {"n": str(number)},
                    },
                    {"idempotency_key": f"{partner}-t{number}"},
                )
                client.v1.payouts.create(
                    {"amount": 100, "currency": "usd", "metadata": {"n": str(number)}},
                    {"idempotency_key": f"{partner}-p{number}", "stripe_account": partner},
                )
                break
        with contextlib.suppress(stripe.StripeError):
            bank.update(partner, bank.list(partner).data[0].id, {"account_holder_name": "Ada"})


def test_the_books_are_sound_whatever_went_wrong() -> None:
    with Listener() as listener, sandbox_here(Options(seed=11, api_key=KEY)) as sandbox:
        sandbox.top_up(1_000_000)
        for connect in (True, False):
            sandbox.client().v1.webhook_endpoints.create(
                {"url": listener.url, "enabled_events": ["*"], "connect": connect}
            )
        partners = [sandbox.account() for _ in range(PARTNERS)]
        sandbox.ask("PUT", "/faults", {name: getattr(FAULTS, name) for name in FAULTS.__struct_fields__})
        with ThreadPoolExecutor(PARTNERS) as pool:
            list(pool.map(lambda partner: pay(sandbox, partner), partners))

        sandbox.advance(600)

        assert sandbox.settle(5)
        books, stats = sandbox.books("n"), sandbox.stats()
        assert books["sound"]
        total = sum(account["balance_minor"].get("usd", 0) for account in books["accounts"].values())
        out = sum(entry["paid_out_minor"].get("usd", 0) for entry in books["by_value"].values())
        assert total + out == 1_000_000
        assert stats["deliveries"]["pending"] == 0
        assert stats["deliveries"]["taken"] > 0
        for entry in books["by_value"].values():
            made = [each["destination"] for each in entry["transfers"]]
            assert len(made) == len(set(made)), "one key moved money twice"
            assert 0 <= entry["paid_out_minor"].get("usd", 0) <= 100 * PARTNERS
        stored = stats["events"]
        assert len({event["id"] for event in listener.events()}) <= stored
        assert len(listener.got) > len({event["id"] for event in listener.events()}), "no duplicate was sent"
