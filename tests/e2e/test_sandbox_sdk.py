"""The unchanged SDK against the sandbox: each call, each class of error, and what an endpoint gets."""

from collections.abc import Iterator

import pytest
import stripe
from stripe import StripeClient

from tests.support.sandbox import Sandbox, sandbox_here


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_here() as running:
        running.top_up(1_000_000)
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> StripeClient:
    return sandbox.client()


@pytest.fixture
def partner(sandbox: Sandbox) -> str:
    return sandbox.account()


def test_a_transfer_and_a_payout_move_the_money_to_the_bank(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    transfer = client.v1.transfers.create({"amount": 5000, "currency": "usd", "destination": partner})
    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, {"stripe_account": partner})

    sandbox.advance(3)

    assert transfer.destination == partner
    assert client.v1.payouts.retrieve(payout.id, None, {"stripe_account": partner}).status == "paid"
    held = client.v1.balance.retrieve(None, {"stripe_account": partner})
    assert [(each.amount, each.currency) for each in held.available] == [(1000, "usd")]
    assert client.v1.balance.retrieve().available[0].amount == 995_000
    assert sandbox.books()["sound"]


def test_a_key_replays_its_first_answer(client: StripeClient, partner: str) -> None:
    params: stripe.params.TransferCreateParams = {"amount": 1, "currency": "usd", "destination": partner}
    first = client.v1.transfers.create(params, {"idempotency_key": "a"})

    again = client.v1.transfers.create(params, {"idempotency_key": "a"})

    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(client.v1.transfers.list().data) == 1
