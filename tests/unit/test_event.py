"""The envelope of an event: whatever the bytes, it reads or it is a PayloadError."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.errors import PayloadError
from payouts.event import id_of, read_envelope, read_payout, read_payout_object, read_related
from payouts.states import PayoutStatus
from tests.support.lives import event_body, make_lives, payout_object


def event(**changes: Any) -> bytes:
    whole = json.loads(event_body("evt_1", "paid", payout_object("po_1", "paid")))
    whole.update(changes)
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


def payout(**changes: Any) -> bytes:
    whole = payout_object("po_1", "paid") | changes
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


def test_an_event_of_a_connected_account_reads_whole() -> None:
    found = read_envelope(event(extra={"deep": [1]}))
    assert found.event_id == "evt_1"
    assert (found.type, found.kind, found.account) == ("payout.paid", "snapshot", "acct_1Made")
    assert (found.livemode, found.object_id) == (False, "po_1")
    assert (found.api_version, found.created_s) == ("2026-10-28.endive", 1_790_000_000)


@pytest.mark.parametrize("account", [None, ..., ""])
def test_an_event_without_an_account_is_the_platforms_own(account: Any) -> None:
    assert read_envelope(event(account=account)).account == "platform"


def test_the_context_of_a_snapshot_is_not_its_account() -> None:
    assert read_envelope(event(account=None, context="acct_2")).account == "platform"


def test_a_thin_event_reads_with_its_context_and_related_object() -> None:
    thin = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v2.core.account.updated",
        "created": "2026-01-02T03:04:05.000Z",
        "livemode": True,
        "context": "acct_9",
        "related_object": {"id": "acct_9", "type": "v2.core.account", "url": "/v2/core/accounts/acct_9"},
    }
    body = json.dumps(thin).encode()
    found = read_envelope(body)
    assert (found.kind, found.account, found.object_id) == ("thin", "acct_9", "acct_9")
    assert (found.livemode, found.created_s) == (True, None)
    related = read_related(body)
    assert related is not None
    assert (related.id, related.type, related.url) == (
        "acct_9",
        "v2.core.account",
        "/v2/core/accounts/acct_9",
    )
    alone = read_envelope(json.dumps({**thin, "related_object": None, "context": None}).encode())
    assert (alone.account, alone.object_id) == ("platform", None)
    assert read_related(json.dumps({**thin, "related_object": None}).encode()) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_version": "x" * 65}, "api_version"),
        ({"api_version": "2026-é"}, "api_version"),
        ({"api_version": None}, "api_version"),
        ({"created": 2**62}, "created_s"),
        ({"created": -(2**62)}, "created_s"),
        ({"created": "2026-01-01"}, "created_s"),
        ({"created": ...}, "created_s"),
        ({"data": {"object": {"id": "x" * 256}}}, "object_id"),
        ({"data": {"object": {"id": "po_é"}}}, "object_id"),
        ({"data": {"object": {"id": 5}}}, "object_id"),
        ({"data": {"object": {"id": None}}}, "object_id"),
        ({"data": {"object": {}}}, "object_id"),
        ({"data": {"object": None}}, "object_id"),
        ({"data": None}, "object_id"),
    ],
)
def test_what_only_helps_to_find_an_event_is_left_out_where_it_does_not_fit(
    changes: dict[str, Any], field: str
) -> None:
    found = read_envelope(event(**changes))
    assert getattr(found, field) is None
    assert found.event_id == "evt_1"


@pytest.mark.parametrize(
    "changes",
    [
        *[
            {"id": value}
            for value in (..., None, 1, "", "cus_1", "evt_é", "evt_ 1", "evt_\0", "evt_" + "x" * 252)
        ],
        *[{"type": value} for value in (..., None, "", "ü", "a b", "x" * 129)],
        *[{"account": value} for value in (5, "acct_ü", "acct_" + "x" * 60, "a\tb")],
        *[{"livemode": value} for value in (..., None, "true", 1)],
        *[{"object": value} for value in (None, "payout", "v2.core.events")],
    ],
    ids=str,
)
def test_an_envelope_that_could_not_be_stored_as_it_is_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match="the body is not a Stripe event"):
        read_envelope(event(**changes))


@pytest.mark.parametrize("depth", [5_000, 100_000])
@pytest.mark.parametrize("around", ["%s", '{"id":"evt_1","type":"x","livemode":false,"extra":%s}'])
def test_deep_nesting_is_refused(depth: int, around: str) -> None:
    with pytest.raises(PayloadError):
        read_envelope((around % ("[" * depth + "]" * depth)).encode())


@pytest.mark.parametrize("place", ["id", "extra"])
def test_bytes_that_are_not_utf8_are_refused_wherever_they_are(place: str) -> None:
    with pytest.raises(PayloadError):
        read_envelope(event(**{place: "evt_HERE"}).replace(b"HERE", b"\xff\xfe"))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_READERS = [read_envelope, read_payout, read_payout_object, read_related]


@given(body=st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_payload_error(body: bytes) -> None:
    for read in _READERS:
        with pytest.raises(PayloadError):
            read(body + b"!")


@given(value=_json)
def test_no_json_raises_anything_but_a_payload_error(value: Any) -> None:
    body = json.dumps(value).encode()
    with pytest.raises(PayloadError):
        read_envelope(body)
    for read in (read_payout, read_payout_object):
        with pytest.raises(PayloadError):
            read(body)


_fields = st.sampled_from(["id", "type", "livemode", "object", "created", "account", "context", "data"])


@given(changes=st.dictionaries(_fields, _json, min_size=1, max_size=3))
def test_an_event_with_fields_of_any_kind_reads_within_the_columns_or_is_refused(
    changes: dict[str, Any],
) -> None:
    try:
        found = read_envelope(event(**changes))
    except PayloadError:
        return  # that refusing is right for what it refuses is checked above, case by case
    limits = {"event_id": 255, "type": 128, "account": 64, "object_id": 255, "api_version": 64}
    for name, limit in limits.items():
        text = getattr(found, name)
        assert text is None or (text.isascii() and 0 < len(text) <= limit)
    assert found.event_id.startswith("evt_")
    assert found.account
    assert found.created_s is None or abs(found.created_s) < 2**62


def test_every_made_up_delivery_reads() -> None:
    for body in make_lives(100, seed=5).bodies:
        whole, found = json.loads(body), read_envelope(body)
        assert found.event_id == whole["id"]
        assert found.account == whole["account"]
        assert found.object_id == whole["data"]["object"]["id"]
        if found.type.startswith("payout."):
            assert read_payout(body).amount == whole["data"]["object"]["amount"]


# The payout inside


@pytest.mark.parametrize(
    ("status", "reversed_by", "expected"),
    [
        ("pending", None, PayoutStatus.PENDING),
        ("in_transit", None, PayoutStatus.IN_TRANSIT),
        ("paid", None, PayoutStatus.PAID),
        ("paid", "po_2", PayoutStatus.REVERSED),
        ("paid", {"id": "po_2", "object": "payout"}, PayoutStatus.REVERSED),
        ("failed", None, PayoutStatus.FAILED),
        ("failed", "po_2", PayoutStatus.FAILED),
        ("canceled", None, PayoutStatus.CANCELED),
        ("reversed", None, None),
        ("PAID", None, None),
        ("", None, None),
        ("brand_new", None, None),
    ],
)
def test_the_state_comes_from_the_status_and_the_reversal(
    status: str, reversed_by: Any, expected: PayoutStatus | None
) -> None:
    assert read_payout_object(payout(status=status, reversed_by=reversed_by)).business_status == expected


@pytest.mark.parametrize(
    "changes",
    [
        *[{name: ...} for name in ("id", "amount", "currency", "status")],
        *[{"id": value} for value in ("", "po_ü", "x" * 256, 5)],
        *[{"amount": value} for value in ("5", 5.5, None, 2**62, -(2**62), 10**40)],
        *[{"currency": value} for value in ("", "eu", "euro", "e1r", "eür", None)],
        *[{"object": value} for value in ("charge", None)],
        {"status": None},
    ],
    ids=str,
)
def test_a_payout_without_what_counts_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        read_payout_object(payout(**changes))
    with pytest.raises(PayloadError):
        read_payout(b'{"data":{"object":' + payout(**changes) + b"}}")


@pytest.mark.parametrize(
    "read", [read_payout_object, lambda body: read_payout(b'{"data":{"object":' + body + b"}}")]
)
@pytest.mark.parametrize("broken", [b"\xff\xfe", b"\\ud800"])
def test_a_payout_with_a_text_that_is_none_is_refused(read: Any, broken: bytes) -> None:
    with pytest.raises(PayloadError):
        read(payout(failure_message="HERE").replace(b"HERE", broken))


def test_a_payout_nested_too_deep_is_refused() -> None:
    body = payout(destination="HERE").replace(b'"HERE"', b"[" * 90_000 + b"]" * 90_000)
    with pytest.raises(PayloadError):
        read_payout_object(body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ba_1", "ba_1"),
        ({"id": "ba_1"}, "ba_1"),
        ({"id": 5}, None),
        ({}, None),
        ("", None),
        (None, None),
        ([], None),
    ],
)
def test_a_field_that_may_be_expanded_is_read_as_its_id(value: Any, expected: str | None) -> None:
    assert id_of(value) == expected
