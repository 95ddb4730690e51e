"""What an endpoint gets: which events, signed how, how often, and when it does not take them."""

import time
from collections import Counter
from typing import Any

import pytest
import stripe

from tests.support.sandbox import Json, Listener, Sandbox
from tests.support.servers import wait_until

DAY_S = 86_400


def listen(sandbox: Sandbox, url: str, connect: bool = False, events: list[Any] | None = None) -> Any:
    """The endpoint, with its secret."""
    return sandbox.client().v1.webhook_endpoints.create(
        {"url": url, "enabled_events": events or ["*"], "connect": connect}
    )


def pay(sandbox: Sandbox, partner: str, amount: int = 100) -> str:
    """The id of a new payout."""
    client = sandbox.client()
    client.v1.transfers.create({"amount": amount, "currency": "usd", "destination": partner})
    return client.v1.payouts.create({"amount": amount, "currency": "usd"}, {"stripe_account": partner}).id


def stored(sandbox: Sandbox, partner: str, kind: str) -> Json:
    found: Json = (
        sandbox.client().v1.events.list({"type": kind}, {"stripe_account": partner}).data[0].to_dict()
    )
    return found


def test_the_sdk_accepts_what_is_delivered(sandbox: Sandbox, listener: Listener) -> None:
    endpoint = listen(sandbox, listener.url, events=["transfer.created"])
    pay(sandbox, sandbox.account())
    sandbox.advance(1)

    [(signature, body)] = listener.got

    event = stripe.Webhook.construct_event(body, signature, endpoint.secret)
    assert event.type == "transfer.created"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, signature, "whsec_other")


def test_a_signature_is_of_today_however_far_the_clock_was_moved_on(
    sandbox: Sandbox, listener: Listener
) -> None:
    listen(sandbox, listener.url)
    sandbox.advance(10 * DAY_S)
    pay(sandbox, sandbox.account())
    sandbox.advance(1)

    signed_at = int(listener.got[0][0].partition(",")[0].removeprefix("t="))

    assert abs(time.time() - signed_at) < 60


def test_the_platform_and_connect_get_each_their_own_events(sandbox: Sandbox) -> None:
    with Listener() as ours, Listener() as theirs:
        listen(sandbox, ours.url)
        listen(sandbox, theirs.url, connect=True)
        partner = sandbox.account()
        pay(sandbox, partner)
        sandbox.advance(3)

        assert set(ours.types()) == {"transfer.created"}
        assert {"payout.created", "payout.updated", "payout.paid"} < set(theirs.types())
        assert {event.get("account") for event in ours.events()} == {None}
        assert {event.get("account") for event in theirs.events()} == {partner}


def test_an_endpoint_gets_the_types_it_asked_for_until_it_is_disabled(
    sandbox: Sandbox, listener: Listener
) -> None:
    endpoint = listen(sandbox, listener.url, connect=True, events=["payout.paid"])
    partner = sandbox.account()
    pay(sandbox, partner)
    sandbox.advance(3)
    assert listener.types() == ["payout.paid"]

    sandbox.client().v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    pay(sandbox, partner)
    sandbox.advance(3)

    assert listener.types() == ["payout.paid"]


def test_the_version_of_an_event_is_that_of_its_endpoint(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.client().v1.webhook_endpoints.create(
        {"url": listener.url, "enabled_events": ["transfer.created"], "api_version": "2024-06-20"}
    )
    pay(sandbox, sandbox.account())
    sandbox.advance(1)

    assert [event["api_version"] for event in listener.events()] == ["2024-06-20"]


def test_what_is_not_taken_comes_again_later_and_later(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.set_settings(retry_first_s=10)
    listen(sandbox, listener.url, connect=True, events=["payout.created"])
    partner = sandbox.account()
    listener.status = 500
    pay(sandbox, partner)
    attempts = []
    for seconds in (1, 8, 2, 18, 3):
        sandbox.advance(seconds)
        attempts.append(len(listener.got))
    listener.status = 200
    sandbox.advance(DAY_S)

    assert attempts == [1, 1, 2, 2, 3]
    assert len(listener.got) == 4
    assert len({event["id"] for event in listener.events()}) == 1
    assert len({signature for signature, _ in listener.got}) >= 1
    assert sandbox.stats()["deliveries"] == {"pending": 0, "taken": 1, "given_up": 0}


def test_a_redirect_is_no_success_and_after_three_days_it_is_given_up(
    sandbox: Sandbox, listener: Listener
) -> None:
    listen(sandbox, listener.url, connect=True, events=["payout.created"])
    partner = sandbox.account()
    listener.status = 302
    pay(sandbox, partner)
    sandbox.advance(1)
    event = stored(sandbox, partner, "payout.created")
    assert event["pending_webhooks"] == 1
    [delivery] = sandbox.deliveries(event["id"])
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("pending", 1, 302)

    sandbox.advance(4 * DAY_S)

    assert sandbox.stats()["deliveries"] == {"pending": 0, "taken": 0, "given_up": 1}
    assert stored(sandbox, partner, "payout.created")["pending_webhooks"] == 0


def test_an_endpoint_that_is_nowhere_holds_nobody_up(sandbox: Sandbox, listener: Listener) -> None:
    for url in ("http://127.0.0.1:1/", "http://127.0.0.1:99999/", "http://nowhere.invalid/"):
        listen(sandbox, url, events=["transfer.created"])
    listen(sandbox, listener.url, events=["transfer.created"])
    pay(sandbox, sandbox.account())

    sandbox.advance(0.5)

    assert listener.types() == ["transfer.created"]
    assert sandbox.stats()["deliveries"] == {"pending": 3, "taken": 1, "given_up": 0}


def test_delivery_success_is_false_where_one_endpoint_has_not_taken_it(sandbox: Sandbox) -> None:
    with Listener() as good, Listener(status=500) as bad:
        listen(sandbox, good.url, connect=True)
        listen(sandbox, bad.url, connect=True, events=["payout.created"])
        partner = sandbox.account()
        pay(sandbox, partner)
        sandbox.advance(1)

        client = sandbox.client()
        failed = client.v1.events.list({"delivery_success": False}, {"stripe_account": partner}).data
        taken = client.v1.events.list({"delivery_success": True}, {"stripe_account": partner}).data

    assert [event.type for event in failed] == ["payout.created"]
    assert "payout.created" not in {event.type for event in taken}
    assert taken


def test_a_resend_goes_out_at_once_and_stops_no_retry(sandbox: Sandbox, listener: Listener) -> None:
    endpoint = listen(sandbox, listener.url, connect=True, events=["payout.created"])
    partner = sandbox.account()
    listener.status = 500
    pay(sandbox, partner)
    sandbox.advance(0.5)
    listener.status = 200

    event = stored(sandbox, partner, "payout.created")["id"]
    params = {"webhook_endpoint": endpoint.id, "account": partner}
    sandbox.client().raw_request("post", f"/v1/events/{event}/retry", **params)
    wait_until("the event is sent again", lambda: len(listener.got) == 2)
    sandbox.advance(DAY_S)

    assert len(listener.got) == 3


def test_a_twin_is_another_event_of_the_same_change(sandbox: Sandbox, listener: Listener) -> None:
    listen(sandbox, listener.url, connect=True, events=["payout.paid"])
    partner = sandbox.account()
    sandbox.set_faults(event_twin=1)
    payout = pay(sandbox, partner)
    sandbox.advance(3)

    one, two = listener.events()

    assert one["id"] != two["id"]
    assert one["data"] == two["data"]
    assert one["data"]["object"]["id"] == payout


def test_a_duplicate_is_the_same_event_twice(sandbox: Sandbox, listener: Listener) -> None:
    listen(sandbox, listener.url, connect=True, events=["payout.paid"])
    partner = sandbox.account()
    sandbox.set_faults(event_duplicate=1)
    pay(sandbox, partner)
    sandbox.advance(3)

    one, two = listener.events()

    assert one == two


def test_a_lost_event_arrives_only_when_it_is_sent_again(sandbox: Sandbox, listener: Listener) -> None:
    listen(sandbox, listener.url, connect=True, events=["payout.paid"])
    partner = sandbox.account()
    sandbox.set_faults(event_lost=1)
    pay(sandbox, partner)
    sandbox.advance(4 * DAY_S)
    assert listener.got == []

    event = stored(sandbox, partner, "payout.paid")["id"]
    sandbox.client().raw_request("post", f"/v1/events/{event}/retry", account=partner)
    sandbox.advance(1)

    assert [each["id"] for each in listener.events()] == [event]


def test_an_event_lost_at_first_arrives_by_its_retry(sandbox: Sandbox, listener: Listener) -> None:
    listen(sandbox, listener.url, connect=True, events=["payout.paid"])
    partner = sandbox.account()
    sandbox.set_faults(event_lost_at_first=1)
    pay(sandbox, partner)
    sandbox.advance(3.5)
    assert listener.got == []

    sandbox.advance(60)

    assert listener.types() == ["payout.paid"]


def test_reordered_events_arrive_after_later_ones(sandbox: Sandbox, listener: Listener) -> None:
    listen(sandbox, listener.url, connect=True, events=["payout.created", "payout.updated"])
    partner = sandbox.account()
    sandbox.set_settings(deliveries_at_once=1)
    sandbox.set_faults(event_reorder=1)
    pay(sandbox, partner)
    sandbox.set_faults()
    sandbox.advance(10)

    assert listener.types() == ["payout.updated", "payout.created"]


def test_delayed_events_arrive_all_the_same(sandbox: Sandbox, listener: Listener) -> None:
    listen(sandbox, listener.url, connect=True, events=["payout.created", "payout.paid"])
    partner = sandbox.account()
    sandbox.set_faults(event_delay=1, delay_s=3600)
    pay(sandbox, partner)
    sandbox.advance(4)
    assert len(listener.got) < 2

    sandbox.advance(3700)

    assert Counter(listener.types()) == {"payout.created": 1, "payout.paid": 1}


def test_balance_available_tells_when_pending_money_can_be_used(sandbox: Sandbox, listener: Listener) -> None:
    listen(sandbox, listener.url, events=["balance.available"])
    sandbox.top_up(500, currency="eur", pending_s=100)
    client = sandbox.client()

    def euros(part: str) -> list[int]:
        held = client.v1.balance.retrieve().to_dict()[part]
        return [each["amount"] for each in held if each["currency"] == "eur"]

    assert (euros("available"), euros("pending"), listener.types()) == ([0], [500], [])
    sandbox.advance(101)
    assert (euros("available"), euros("pending")) == ([500], [0])
    assert listener.types() == ["balance.available"]
