"""Webhook endpoints as Stripe has them: what of it lets events get lost, come twice, or read wrong."""

from typing import Any

import pytest

from payouts.doctor.endpoints import EndpointFacts, judge_endpoints, own
from payouts.doctor.finding import Check, Finding, Level
from payouts.errors import PayloadError
from payouts.gateway import API_VERSION
from payouts.handled import HANDLED_CONNECT_TYPES, HANDLED_PLATFORM_TYPES
from payouts.webhook_endpoint import EndpointObject, read_date, read_endpoint

URL = "https://pay.example.com/api/webhooks/stripe"


def endpoint(id_: str = "we_platform", **changed: Any) -> EndpointObject:
    good = {"url": URL, "status": "enabled", "api_version": API_VERSION}
    return EndpointObject(**{"id": id_, "enabled_events": list(HANDLED_PLATFORM_TYPES), **good, **changed})


def connect(id_: str = "we_connect", **changed: Any) -> EndpointObject:
    good = {"application": "ca_1", "enabled_events": list(HANDLED_CONNECT_TYPES)}
    return endpoint(id_, **{**good, **changed})


def judged(*endpoints: EndpointObject, **changed: Any) -> list[Finding]:
    facts = {"livemode": True, "public_url": "", "platform_secrets": 1, "connect_secrets": 1}
    return judge_endpoints(EndpointFacts(endpoints, **{**facts, **changed}))


def wrong(*endpoints: EndpointObject, **changed: Any) -> list[tuple[Check, Level]]:
    found = judged(*endpoints, **changed)
    assert all(each.remedy for each in found if each.level != Level.OK)
    return [(each.check, each.level) for each in found if each.level != Level.OK]


def test_two_endpoints_as_they_should_be_are_fine() -> None:
    assert wrong(endpoint(), connect()) == []
    assert wrong(endpoint(), connect(), public_url=f"{URL}/") == []


def test_an_endpoint_for_every_type_gets_what_is_acted_on() -> None:
    assert wrong(endpoint(enabled_events=["*"]), connect(enabled_events=["*"])) == []


@pytest.mark.parametrize("missing", ["payout.paid", "transfer.reversed", "balance.available"])
def test_a_type_that_is_acted_on_and_not_sent_is_named(missing: str) -> None:
    types = [type_ for type_ in HANDLED_PLATFORM_TYPES if type_ != missing]
    found = judged(endpoint(enabled_events=types), connect())
    (lacks,) = [each for each in found if each.level == Level.BAD]
    assert lacks.check == Check.ENDPOINT_EVENTS
    assert lacks.text == f"we_platform (account) does not get {missing}"


def test_the_two_kinds_are_not_taken_for_each_other() -> None:
    # The Connect endpoint has payout.paid, which does not bring the platform's own.
    types = [type_ for type_ in HANDLED_PLATFORM_TYPES if type_ != "payout.paid"]
    assert wrong(endpoint(enabled_events=types), connect(enabled_events=["*"])) == [
        (Check.ENDPOINT_EVENTS, Level.BAD)
    ]
    assert wrong(endpoint()) == [(Check.ENDPOINT_KINDS, Level.BAD)]
    assert wrong(connect()) == [(Check.ENDPOINT_KINDS, Level.BAD)]


def test_types_spread_over_two_endpoints_of_a_kind_are_all_there() -> None:
    one = endpoint("we_1", enabled_events=list(HANDLED_PLATFORM_TYPES[:3]))
    two = endpoint("we_2", url=f"{URL}?second", enabled_events=list(HANDLED_PLATFORM_TYPES[3:]))
    assert wrong(one, two, connect(), platform_secrets=2) == []


def test_types_that_are_only_stored_are_a_warning() -> None:
    types = [*HANDLED_PLATFORM_TYPES, "charge.succeeded"]
    found = judged(endpoint(enabled_events=types), connect())
    (extra,) = [each for each in found if each.level != Level.OK]
    assert (extra.check, extra.level) == (Check.ENDPOINT_IGNORED, Level.WARNING)
    assert "charge.succeeded" in extra.text


def test_the_only_endpoint_of_a_kind_is_bad_when_disabled_and_a_spare_one_a_warning() -> None:
    assert wrong(endpoint(status="disabled"), connect()) == [
        (Check.ENDPOINT_STATUS, Level.BAD),
        (Check.ENDPOINT_KINDS, Level.BAD),
    ]
    assert wrong(endpoint(), endpoint("we_old", status="disabled"), connect()) == [
        (Check.ENDPOINT_STATUS, Level.WARNING)
    ]


def test_plain_http_is_bad_in_live_mode_alone() -> None:
    plain = [endpoint(url=URL.replace("https", "http")), connect(url=URL.replace("https", "http"))]
    assert wrong(*plain) == [(Check.ENDPOINT_URL, Level.BAD)]
    assert wrong(*plain, livemode=False) == []


def test_another_version_is_bad_and_the_accounts_default_a_warning() -> None:
    assert wrong(endpoint(api_version="2025-03-31.basil"), connect()) == [(Check.ENDPOINT_VERSION, Level.BAD)]
    assert wrong(endpoint(api_version=None), connect()) == [(Check.ENDPOINT_VERSION, Level.WARNING)]


def test_two_enabled_endpoints_of_one_kind_and_address_are_a_warning() -> None:
    twice = (Check.ENDPOINT_DUPLICATES, Level.WARNING)
    assert twice in wrong(endpoint("we_1"), endpoint("we_2"), connect(), platform_secrets=2)
    assert twice not in wrong(endpoint("we_1"), endpoint("we_2", status="disabled"), connect())
    assert twice not in wrong(endpoint(), connect())  # one address, two kinds


def test_an_endpoint_without_a_secret_is_bad_and_a_secret_without_one_a_warning() -> None:
    assert wrong(endpoint(), connect(), connect_secrets=0) == [(Check.ENDPOINT_SECRETS, Level.BAD)]
    assert wrong(endpoint(), connect(), platform_secrets=2) == [(Check.ENDPOINT_SECRETS, Level.WARNING)]
    # Both in one list: every secret is tried, so nothing is refused.
    assert wrong(endpoint(), connect(), platform_secrets=2, connect_secrets=0) == [
        (Check.ENDPOINT_SECRETS, Level.WARNING),
        (Check.ENDPOINT_SECRETS, Level.WARNING),
    ]


def test_endpoints_of_something_else_are_left_alone() -> None:
    other = endpoint("we_shop", url="https://shop.example.com/hooks", api_version="2020-08-27")
    assert own([endpoint(), other], "") == [endpoint()]
    assert own([endpoint(), other], other.url) == [other]
    assert own([other], "") == [other]
    assert wrong(endpoint(), connect(), other) == []


def test_an_address_that_no_endpoint_has_is_bad_and_those_there_are_named() -> None:
    found = judged(endpoint(), connect(), public_url="https://new.example.com/api/webhooks/stripe")
    assert [each.check for each in found if each.level == Level.BAD] == [
        *(Check.ENDPOINT_URL, Check.ENDPOINT_KINDS, Check.ENDPOINT_KINDS)
    ]
    assert URL in found[0].text


def test_an_endpoint_is_read_as_stripe_shows_it() -> None:
    body = b'{"id":"we_1","object":"webhook_endpoint","url":"https://x","status":"enabled",'
    found = read_endpoint(body + b'"enabled_events":["*"],"api_version":null,"application":"ca_1","new":1}')
    assert (found.is_connect, found.is_enabled, found.hears("payout.paid")) == (True, True, True)
    with pytest.raises(PayloadError, match="webhook endpoint"):
        read_endpoint(b'{"id":"we_1"}')


@pytest.mark.parametrize(
    ("header", "at_ms"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777_000),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_the_date_of_an_answer_is_read_where_there_is_one(header: str | None, at_ms: int | None) -> None:
    assert read_date(header) == at_ms
