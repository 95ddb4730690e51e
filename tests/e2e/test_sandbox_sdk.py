"""The unchanged SDK against the sandbox: each call, and each class of error that the API can answer with."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from stripe import StripeClient

from tests.support.sandbox import Json, Sandbox, sandbox_here


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


def pay_in(client: StripeClient, partner: str, amount: int = 5000, **more: Any) -> stripe.Transfer:
    return client.v1.transfers.create(
        {"amount": amount, "currency": "usd", "destination": partner, **more}  # type: ignore[typeddict-item]
    )


def pay_out(
    client: StripeClient, partner: str, amount: int = 5000, key: str | None = None, **more: Any
) -> stripe.Payout:
    options: stripe.RequestOptions = {"stripe_account": partner}
    if key:
        options["idempotency_key"] = key
    return client.v1.payouts.create(
        {"amount": amount, "currency": "usd", **more},  # type: ignore[typeddict-item]
        options,
    )


def error_of(raised: "pytest.ExceptionInfo[stripe.StripeError]") -> Json:
    body = raised.value.json_body
    assert isinstance(body, dict)
    error: Json = body["error"]
    return error


def test_a_transfer_and_a_payout_move_the_money_to_the_bank(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    transfer = pay_in(client, partner, 5000)
    payout = pay_out(client, partner, 4000)

    sandbox.advance(3)

    assert transfer.destination == partner
    assert client.v1.payouts.retrieve(payout.id, None, {"stripe_account": partner}).status == "paid"
    held = client.v1.balance.retrieve(None, {"stripe_account": partner})
    assert [(each.amount, each.currency) for each in held.available] == [(1000, "usd")]
    assert client.v1.balance.retrieve().available[0].amount == 995_000
    assert sandbox.books()["sound"]


def test_each_movement_is_a_balance_transaction(client: StripeClient, partner: str) -> None:
    transfer = pay_in(client, partner, 5000)
    payout = pay_out(client, partner, 4000)

    theirs = client.v1.balance_transactions.list({}, {"stripe_account": partner}).data
    ours = client.v1.balance_transactions.list({"source": transfer.id}).data

    assert [(each.type, each.net) for each in theirs] == [("payout", -4000), ("payment", 5000)]
    assert [(each.type, each.net) for each in ours] == [("transfer", -5000)]
    assert client.v1.balance_transactions.retrieve(ours[0].id).source == transfer.id
    with pytest.raises(stripe.InvalidRequestError, match="automatic"):
        client.v1.balance_transactions.list({"payout": payout.id}, {"stripe_account": partner})


def test_a_partial_reversal_brings_back_a_part(sandbox: Sandbox, client: StripeClient, partner: str) -> None:
    transfer = pay_in(client, partner, 5000)

    made = client.v1.transfers.reversals.create(transfer.id, {"amount": 2000, "metadata": {"a": "b"}})

    after = client.v1.transfers.retrieve(transfer.id)
    assert (after.amount_reversed, after.reversed) == (2000, False)
    assert [each.id for each in after.reversals.data] == [made.id]
    assert client.v1.transfers.reversals.retrieve(transfer.id, made.id).to_dict()["metadata"] == {"a": "b"}
    assert [each.id for each in client.v1.transfers.reversals.list(transfer.id).data] == [made.id]
    assert client.v1.balance.retrieve().available[0].amount == 997_000
    client.v1.transfers.reversals.create(transfer.id)
    assert client.v1.transfers.retrieve(transfer.id).reversed
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.transfers.reversals.create(transfer.id, {"amount": 1})
    assert sandbox.books()["sound"]


def test_metadata_is_merged_and_unset(client: StripeClient, partner: str) -> None:
    transfer = pay_in(client, partner, metadata={"a": "1", "b": "2"})

    client.v1.transfers.update(transfer.id, {"metadata": {"b": "", "c": "3"}, "description": "x"})

    after = client.v1.transfers.retrieve(transfer.id)
    assert after.metadata is not None
    assert after.metadata.to_dict() == {"a": "1", "c": "3"}
    assert after.description == "x"
    event = client.v1.events.list({"type": "transfer.updated"}).data[0].to_dict()
    assert event["data"]["previous_attributes"] == {
        "metadata": {"b": "2", "c": None},
        "description": None,
    }


def test_a_pending_payout_is_canceled_and_its_money_given_back(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    pay_in(client, partner)
    payout = pay_out(client, partner)

    canceled = client.v1.payouts.cancel(payout.id, None, {"stripe_account": partner})

    assert canceled.status == "canceled"
    assert canceled.failure_balance_transaction
    assert client.v1.balance.retrieve(None, {"stripe_account": partner}).available[0].amount == 5000
    sandbox.advance(10)
    assert client.v1.payouts.retrieve(payout.id, None, {"stripe_account": partner}).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="canceled"):
        client.v1.payouts.cancel(payout.id, None, {"stripe_account": partner})


def test_a_reversal_is_a_payout_of_its_own_that_brings_the_money_when_it_is_paid(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    pay_in(client, partner)
    payout = pay_out(client, partner)
    sandbox.advance(3)

    reversal = client.v1.payouts.reverse(payout.id, {"metadata": {"a": "b"}}, {"stripe_account": partner})

    original = client.v1.payouts.retrieve(payout.id, None, {"stripe_account": partner})
    assert (reversal.amount, reversal.original_payout, reversal.status) == (-5000, payout.id, "pending")
    assert (original.status, original.reversed_by) == ("paid", reversal.id)
    held = client.v1.balance.retrieve(None, {"stripe_account": partner})
    assert (held.available[0].amount, held.pending[0].amount) == (0, 5000)
    sandbox.advance(3)
    held = client.v1.balance.retrieve(None, {"stripe_account": partner})
    assert (held.available[0].amount, held.pending[0].amount) == (5000, 0)
    assert sandbox.books()["sound"]


def test_a_reversal_that_fails_takes_its_money_away_again(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    pay_in(client, partner)
    payout = pay_out(client, partner)
    sandbox.advance(3)
    reversal = client.v1.payouts.reverse(payout.id, None, {"stripe_account": partner})
    sandbox.advance(3)

    sandbox.fail(reversal.id)

    held = client.v1.balance.retrieve(None, {"stripe_account": partner})
    assert (held.available[0].amount, held.pending[0].amount) == (0, 0)
    assert sandbox.books()["sound"]


def test_lists_are_newest_first_and_paged_both_ways(client: StripeClient, partner: str) -> None:
    made = [pay_in(client, partner, 100 + number, transfer_group="g").id for number in range(5)]
    pay_in(client, partner, 1, transfer_group="other")

    first = client.v1.transfers.list({"transfer_group": "g", "limit": 2})
    second = client.v1.transfers.list({"transfer_group": "g", "limit": 2, "starting_after": made[3]})
    before = client.v1.transfers.list({"transfer_group": "g", "limit": 2, "ending_before": made[0]})

    assert [each.id for each in first.data] == [made[4], made[3]]
    assert [each.id for each in second.data] == [made[2], made[1]]
    assert [each.id for each in before.data] == [made[2], made[1]]
    assert first.has_more
    assert first.url == "/v1/transfers"
    everything = client.v1.transfers.list({"transfer_group": "g", "limit": 2}).auto_paging_iter()
    assert [each.id for each in everything] == made[::-1]
    assert client.v1.transfers.list({"destination": "acct_other"}).data == []


def test_payouts_are_found_by_time_status_and_destination(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    pay_in(client, partner)
    old = pay_out(client, partner, 1)
    sandbox.advance(1000)
    new = pay_out(client, partner, 2)
    options: stripe.RequestOptions = {"stripe_account": partner}

    def ids(params: Any) -> list[str]:
        return [each.id for each in client.v1.payouts.list(params, options).data]

    assert ids({"created": {"gte": new.created}}) == [new.id]
    assert ids({"created": {"lt": new.created}}) == [old.id]
    assert ids({"created": old.created}) == [old.id]
    assert ids({"status": "paid"}) == [old.id]
    assert ids({"status": "pending"}) == [new.id]
    assert ids({"destination": old.destination}) == [new.id, old.id]
    assert ids({"destination": "ba_other"}) == []
    assert ids({"arrival_date": {"gte": old.arrival_date}}) == [new.id, old.id]
    assert ids({"arrival_date": {"gt": new.arrival_date + 86_400}}) == []


def test_ids_are_expanded_on_demand(client: StripeClient, partner: str) -> None:
    pay_in(client, partner)
    pay_out(client, partner)

    listed = client.v1.payouts.list(
        {"expand": ["data.balance_transaction", "data.destination"]}, {"stripe_account": partner}
    )

    payout = listed.data[0]
    assert isinstance(payout.balance_transaction, stripe.BalanceTransaction)
    assert payout.balance_transaction.net == -5000
    assert isinstance(payout.destination, stripe.BankAccount)
    with pytest.raises(stripe.InvalidRequestError, match="expanded"):
        client.v1.payouts.list({"expand": ["data.amount"]}, {"stripe_account": partner})


def test_an_account_is_ready_once_it_gave_all_that_is_due(client: StripeClient) -> None:
    account = client.v1.accounts.create(
        {"type": "custom", "country": "US", "capabilities": {"transfers": {"requested": True}}}
    )
    assert not account.payouts_enabled
    assert account.requirements is not None
    assert account.requirements.currently_due == [
        "external_account",
        "tos_acceptance.date",
        "tos_acceptance.ip",
    ]
    assert client.v1.accounts.capabilities.retrieve(account.id, "transfers").status == "inactive"

    client.v1.accounts.update(account.id, {"tos_acceptance": {"date": 1_700_000_000, "ip": "127.0.0.1"}})
    client.v1.accounts.external_accounts.create(account.id, {"external_account": "btok_us"})

    after = client.v1.accounts.retrieve(account.id)
    assert after.payouts_enabled
    assert [each.status for each in client.v1.accounts.capabilities.list(account.id).data] == ["active"]
    types = [each.type for each in client.v1.events.list({}, {"stripe_account": account.id}).data]
    assert set(types) == {"account.updated", "account.external_account.created", "capability.updated"}
    assert [each.id for each in client.v1.accounts.list().data] == [account.id]
    assert client.v1.accounts.retrieve_current(None, {"stripe_account": account.id}).id == account.id


def test_external_accounts_are_added_changed_and_removed(client: StripeClient, partner: str) -> None:
    banks = client.v1.accounts.external_accounts
    first = banks.list(partner).data[0]

    second = banks.create(
        partner,
        {
            "external_account": {
                "object": "bank_account",
                "country": "US",
                "currency": "usd",
                "account_number": "000999999991",
            },
            "default_for_currency": True,
        },
    )
    banks.update(partner, second.id, {"account_holder_name": "Ada"})

    assert isinstance(second, stripe.BankAccount)
    assert second.last4 == "9991"
    changed = banks.retrieve(partner, second.id)
    assert isinstance(changed, stripe.BankAccount)
    assert changed.account_holder_name == "Ada"
    with pytest.raises(stripe.InvalidRequestError, match="default"):
        banks.delete(partner, second.id)
    assert banks.delete(partner, first.id).deleted
    assert [each.id for each in banks.list(partner).data] == [second.id]


def test_a_failed_payout_gives_back_and_blocks_its_bank_account_until_that_is_replaced(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    pay_in(client, partner)
    payout = pay_out(client, partner)
    sandbox.advance(3)

    sandbox.return_(payout.id, "account_closed")

    failed = client.v1.payouts.retrieve(payout.id, None, {"stripe_account": partner})
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert failed.failure_balance_transaction
    assert client.v1.balance.retrieve(None, {"stripe_account": partner}).available[0].amount == 5000
    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay_out(client, partner)
    assert raised.value.code == "payouts_not_allowed"
    client.v1.accounts.update(partner, {"external_account": "btok_us"})
    assert pay_out(client, partner).status == "pending"


def test_an_account_number_for_tests_fails_with_its_code(sandbox: Sandbox, client: StripeClient) -> None:
    partner = sandbox.account(account_number="000111111116", available_minor=100)
    payout = pay_out(client, partner, 100)

    sandbox.advance(3)

    failed = client.v1.payouts.retrieve(payout.id, None, {"stripe_account": partner})
    assert (failed.status, failed.failure_code) == ("failed", "no_account")


def test_events_are_filtered_by_type(sandbox: Sandbox, client: StripeClient, partner: str) -> None:
    pay_in(client, partner)
    pay_out(client, partner)
    sandbox.advance(3)
    options: stripe.RequestOptions = {"stripe_account": partner}

    def types(params: Any) -> list[str]:
        return [each.type for each in client.v1.events.list(params, options).data]

    assert types({"type": "payout.paid"}) == ["payout.paid"]
    assert types({"types": ["payout.paid", "payout.created"]}) == ["payout.paid", "payout.created"]
    assert types({"type": "payout.*"}) == ["payout.paid", "payout.updated", "payout.created"]
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.events.list({"types": ["a"] * 21})
    assert [each.type for each in client.v1.events.list({"type": "transfer.created"}).data] == [
        "transfer.created"
    ]


def test_events_older_than_thirty_days_are_gone(sandbox: Sandbox, client: StripeClient, partner: str) -> None:
    pay_in(client, partner)
    event = client.v1.events.list({"type": "transfer.created"}).data[0]

    sandbox.advance(30 * 86_400 + 5)

    assert client.v1.events.list({"type": "transfer.created"}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.events.retrieve(event.id)


def test_an_event_names_the_call_that_caused_it(sandbox: Sandbox, client: StripeClient, partner: str) -> None:
    pay_in(client, partner)
    payout = pay_out(client, partner, key="k")
    sandbox.advance(3)

    paid, _, created = client.v1.events.list({"type": "payout.*"}, {"stripe_account": partner}).data

    assert created.request is not None
    assert paid.request is not None
    assert payout.last_response is not None
    assert created.request.idempotency_key == "k"
    assert created.request.id == payout.last_response.request_id
    assert (paid.request.id, paid.request.idempotency_key) == (None, None)
    assert created.account == partner


def test_webhook_endpoints_show_their_secret_once(client: StripeClient) -> None:
    made = client.v1.webhook_endpoints.create(
        {"url": "https://example.com/hook", "enabled_events": ["payout.paid"], "connect": True}
    )

    assert made.secret
    shown = client.v1.webhook_endpoints.retrieve(made.id)
    assert "secret" not in shown.to_dict()
    changed = client.v1.webhook_endpoints.update(made.id, {"disabled": True, "enabled_events": ["*"]})
    assert (changed.status, changed.enabled_events) == ("disabled", ["*"])
    assert [each.id for each in client.v1.webhook_endpoints.list().data] == [made.id]
    assert client.v1.webhook_endpoints.delete(made.id).deleted
    assert client.v1.webhook_endpoints.list().data == []


def test_a_balance_that_is_too_small_is_refused_and_the_refusal_is_kept(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay_out(client, partner, key="a")
    assert raised.value.code == "balance_insufficient"
    pay_in(client, partner)

    with pytest.raises(stripe.InvalidRequestError) as again:
        pay_out(client, partner, key="a")

    assert again.value.headers is not None
    assert again.value.headers["Idempotent-Replayed"] == "true"
    assert pay_out(client, partner, key="b").status == "pending"


def test_a_wrong_parameter_is_not_kept_with_its_key(client: StripeClient, partner: str) -> None:
    pay_in(client, partner)
    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay_out(client, partner, key="a", statement_descriptor="x" * 23)
    assert raised.value.param == "statement_descriptor"

    assert pay_out(client, partner, key="a").status == "pending"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": 101, "currency": "huf"}, "amount"),
        ({"amount": 110, "currency": "isk"}, "amount"),
        ({"amount": 1001, "currency": "kwd"}, "amount"),
        ({"currency": "zzz"}, "currency"),
        ({"metadata": {"k" * 41: "v"}}, f"metadata[{'k' * 41}]"),
        ({"metadata": {"k": "v" * 501}}, "metadata[k]"),
        ({"metadata": {str(number): "v" for number in range(51)}}, "metadata"),
        ({"method": "pigeon"}, "method"),
        ({"amuont": 1}, "amuont"),
        ({"destination": "ba_other"}, "destination"),
        ({"expand": ["amount"]}, "expand"),
    ],
)
def test_a_wrong_parameter_is_named(client: StripeClient, partner: str, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay_out(client, partner, **params)

    assert (raised.value.http_status, raised.value.param) == (400, param)


@pytest.mark.parametrize("forced", [{"payouts_enabled": False}, {"disabled_reason": "rejected.fraud"}])
def test_a_payout_of_an_account_that_may_not_is_refused(
    sandbox: Sandbox, client: StripeClient, partner: str, forced: Any
) -> None:
    pay_in(client, partner)
    sandbox.force(partner, **forced)

    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay_out(client, partner)

    assert raised.value.code == "payouts_not_allowed"


def test_a_transfer_needs_the_capability(sandbox: Sandbox, client: StripeClient, partner: str) -> None:
    sandbox.force(partner, capabilities={"transfers": "inactive"})

    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay_in(client, partner)

    assert raised.value.code == "insufficient_capabilities_for_transfer"


def test_an_account_that_left_can_not_be_reached(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    sandbox.deauthorize(partner)

    with pytest.raises(stripe.PermissionError) as raised:
        pay_out(client, partner)

    assert error_of(raised)["code"] == "account_invalid"
    assert raised.value.code is None
    with pytest.raises(stripe.PermissionError):
        client.v1.accounts.retrieve("acct_unknown")


def test_a_wrong_key_is_refused_and_not_shown(sandbox: Sandbox) -> None:
    client = StripeClient("sk_test_a_secret_that_is_wrong", base_addresses={"api": sandbox.url})

    with pytest.raises(stripe.AuthenticationError) as raised:
        client.v1.balance.retrieve()

    assert "a_secret_that" not in str(raised.value)


def test_a_payout_of_another_account_is_not_found(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    pay_in(client, partner)
    payout = pay_out(client, partner)

    with pytest.raises(stripe.InvalidRequestError) as raised:
        client.v1.payouts.retrieve(payout.id, None, {"stripe_account": sandbox.account()})

    assert (raised.value.http_status, raised.value.code) == (404, "resource_missing")


def test_every_answer_says_which_request_and_which_version_it_was(client: StripeClient) -> None:
    answer = client.v1.balance.retrieve(None, {"stripe_version": "2026-10-28.endive"}).last_response

    assert answer is not None
    assert answer.headers["Stripe-Version"] == "2026-10-28.endive"
    assert answer.request_id
    assert answer.request_id.startswith("req_")


def test_an_automatic_payout_is_stripes_own_doing(sandbox: Sandbox, client: StripeClient) -> None:
    partner = sandbox.account(available_minor=700)
    made = sandbox.automatic_payout(partner, 700)
    options: stripe.RequestOptions = {"stripe_account": partner}
    with pytest.raises(stripe.InvalidRequestError, match="Automatic payouts"):
        client.v1.payouts.cancel(made["id"], None, options)

    sandbox.advance(3)

    moved = client.v1.balance_transactions.list({"payout": made["id"]}, options).data
    assert [each.net for each in moved] == [-700]
    events = client.v1.events.list({"type": "payout.*"}, options).data
    assert [event.type for event in events] == [
        "payout.reconciliation_completed",
        "payout.paid",
        "payout.updated",
        "payout.created",
    ]
    assert {event.request.id for event in events if event.request} == {None}


def test_a_transfer_can_be_pending_at_its_destination(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    sandbox.set_settings(transfer_pending_s=100)
    pay_in(client, partner)
    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay_out(client, partner)
    assert raised.value.code == "balance_insufficient"

    sandbox.advance(101)

    assert client.v1.events.list({"type": "balance.available"}, {"stripe_account": partner}).data
    assert pay_out(client, partner).id


def test_the_platform_pays_out_to_its_own_bank_account(sandbox: Sandbox, client: StripeClient) -> None:
    platform = sandbox.about()["platform"]
    client.v1.accounts.external_accounts.create(platform, {"external_account": "btok_us"})

    payout = client.v1.payouts.create({"amount": 100, "currency": "usd"})

    sandbox.advance(3)
    assert client.v1.payouts.retrieve(payout.id).status == "paid"
    assert client.v1.balance.retrieve().available[0].amount == 999_900
    assert "account" not in client.v1.events.list({"type": "payout.paid"}).data[0].to_dict()


def test_a_wrong_bank_account_leaves_no_account_behind(client: StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.accounts.create({"type": "custom", "external_account": "tok_of_something_else"})

    assert client.v1.accounts.list().data == []


def test_an_instant_payout_needs_a_bank_account_that_takes_them(client: StripeClient, partner: str) -> None:
    pay_in(client, partner)

    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay_out(client, partner, method="instant")

    assert raised.value.code == "instant_payouts_unsupported"


def test_a_currency_without_a_bank_account_is_refused(
    sandbox: Sandbox, client: StripeClient, partner: str
) -> None:
    sandbox.top_up(5000, "eur", account=partner)

    with pytest.raises(stripe.InvalidRequestError) as raised:
        pay_out(client, partner, currency="eur")

    assert raised.value.code == "payouts_not_allowed"
