"""Signatures, with Stripe's own SDK as the judge of what is valid."""

import hashlib
import hmac

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from payouts.bootstrap import open_gateway
from payouts.clock import now_ms
from payouts.errors import SettingsError
from payouts.fingerprint import fingerprint
from payouts.ids import IdMaker
from payouts.settings import Settings
from webhooks.app import build_app
from webhooks.endpoint import Endpoint
from webhooks.intake import Intake
from webhooks.signature import (
    MAX_CANDIDATES,
    MAX_HEADER_BYTES,
    TOLERANCE_S,
    BadSignatureError,
    SigningSecret,
    signing_secrets,
    verify,
)

NOW_S = 1_790_000_000
ONE, TWO, THREE = "whsec_number_one", "whsec_number_two", "whsec_number_three"
BODY = '{"id":"evt_1","name":"ünï"}'.encode()


def digest(secret: str, body: bytes = BODY, at_s: int = NOW_S) -> str:
    """Written from Stripe's description, apart from the code under test."""
    return hmac.new(secret.encode(), str(at_s).encode() + b"." + body, hashlib.sha256).hexdigest()


def header(*signatures: str, at_s: int = NOW_S) -> bytes:
    return ",".join([f"t={at_s}", *(f"v1={signature}" for signature in signatures)]).encode()


def check(
    head: bytes, body: bytes = BODY, secrets: tuple[str, ...] = (ONE,), now_s: float = NOW_S
) -> SigningSecret:
    return verify(head, body, signing_secrets(secrets, []), now_s)


@given(
    body=st.text(st.characters(exclude_categories=["Cs"])), secret=st.text(min_size=1).map("whsec_".__add__)
)
def test_what_the_sdk_signs_or_accepts_is_accepted_here(body: str, secret: str) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    raw = body.encode()
    ours = header(digest(secret, raw)).decode()
    assert stripe.WebhookSignature.verify_header(body, ours, secret, tolerance=None)
    assert check(header(digest(secret, raw)), raw, (secret,)).label == f"platform:{fingerprint(secret)}"
    theirs = stripe.WebhookSignature._compute_signature(f"{NOW_S}.{body}", secret)
    assert check(header(theirs), raw, (secret,)).label == f"platform:{fingerprint(secret)}"


@given(at=st.integers(0, len(BODY) - 1), flip=st.integers(1, 255))
def test_a_body_changed_in_any_bit_is_refused(at: int, flip: int) -> None:
    changed = BODY[:at] + bytes([BODY[at] ^ flip]) + BODY[at + 1 :]
    with pytest.raises(BadSignatureError, match="no signature matches"):
        check(header(digest(ONE)), changed)


@pytest.mark.parametrize("secret", [ONE, TWO, THREE])
def test_every_secret_of_both_lists_is_tried_and_the_one_that_matched_is_told(secret: str) -> None:
    secrets = signing_secrets([ONE, TWO], [THREE])
    found = verify(header(digest(secret)), BODY, secrets, NOW_S)
    role = "connect" if secret == THREE else "platform"
    assert found.label == f"{role}:{hashlib.sha256(secret.encode()).hexdigest()[:8]}"


@pytest.mark.parametrize("signatures", [(ONE, TWO), (TWO, ONE)])
@pytest.mark.parametrize("known", [ONE, TWO])
def test_while_a_secret_is_rolled_either_of_two_signatures_is_enough(
    signatures: tuple[str, str], known: str
) -> None:
    head = header(*(digest(secret) for secret in signatures))
    assert check(head, secrets=(known,)).label.endswith(fingerprint(known))
    assert stripe.WebhookSignature.verify_header(BODY.decode(), head.decode(), known, tolerance=None)


@pytest.mark.parametrize("extra", ["", ",v1=" + "0" * 64])
def test_a_v0_signature_never_counts(extra: str) -> None:
    head = f"t={NOW_S},v0={digest(ONE)}{extra}"
    with pytest.raises(BadSignatureError):
        check(head.encode())
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(BODY.decode(), head, ONE, tolerance=None)


@pytest.mark.parametrize("head", [f"t={NOW_S},v2=%s", f"t={NOW_S},V1=%s", f"t={NOW_S},v1x=%s", "v1=%s"])
def test_a_right_digest_under_another_name_never_counts(head: str) -> None:
    with pytest.raises(BadSignatureError):
        check((head % digest(ONE)).encode())


@pytest.mark.parametrize("age_s", [-TOLERANCE_S, -1, 0, 1, TOLERANCE_S])
def test_a_time_within_five_minutes_of_ours_is_fresh(age_s: int) -> None:
    assert TOLERANCE_S == 300
    assert check(header(digest(ONE)), now_s=NOW_S + age_s)


@pytest.mark.parametrize(
    ("age_s", "side"), [(301, "old"), (300.5, "old"), (-301, "future"), (-(10**9), "future")]
)
def test_a_time_further_from_ours_is_refused_in_both_directions(age_s: float, side: str) -> None:
    with pytest.raises(BadSignatureError, match=side):
        check(header(digest(ONE)), now_s=NOW_S + age_s)


def test_only_who_holds_a_secret_learns_about_our_clock() -> None:
    with pytest.raises(BadSignatureError, match="no signature matches"):
        check(header(digest(TWO), at_s=1))


def test_a_time_that_was_changed_after_signing_is_refused() -> None:
    with pytest.raises(BadSignatureError, match="no signature matches"):
        check(header(digest(ONE), at_s=NOW_S + 1))


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "is missing"),
        (b"v1=" + b"0" * 64, "no t="),
        (b"t=,v1=00", "no t="),
        (b"t=-5,v1=00", "no t="),
        (b"t=1e9,v1=00", "no t="),
        (b"t=\xd9\xa1,v1=00", "no t="),
        (b"t=" + b"1" * 13 + b",v1=00", "no t="),
        (b"t=1790000000", "no v1="),
        (b"t=1790000000,t=1790000001,v1=00", "more than one t="),
        (b"t=1790000000" + b",v1=00" * (MAX_CANDIDATES + 1), f"more than {MAX_CANDIDATES}"),
        (b"x" * (MAX_HEADER_BYTES + 1), f"longer than {MAX_HEADER_BYTES}"),
    ],
)
def test_a_header_that_does_not_read_is_refused_with_its_reason(head: bytes, reason: str) -> None:
    with pytest.raises(BadSignatureError, match=reason):
        check(head)


_pieces = st.sampled_from(
    [b"t=", b"v1=", b"v0=", b",", b"=", b"1790000000", b"\xff", b" ", b"\0", digest(ONE).encode()]
)
_headers = st.one_of(st.binary(max_size=5000), st.lists(_pieces, max_size=30).map(b"".join))


@given(head=_headers, body=st.binary(max_size=200), now_s=st.floats(-1e15, 1e15))
def test_no_bytes_raise_anything_but_a_bad_signature(head: bytes, body: bytes, now_s: float) -> None:
    with pytest.raises(BadSignatureError):
        check(head, body + b"!", (ONE, TWO), now_s)


def _settings(**values: object) -> Settings:
    base = {"database_url": "sqlite:////tmp/never.db", "redis_url": "redis://127.0.0.1:1/0", **values}
    return Settings(**base)


@pytest.mark.parametrize("values", [{}, {"stripe_webhook_secret": ""}, {"stripe_connect_webhook_secret": ""}])
def test_without_any_secret_no_receiver_is_built(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STRIPE_WEBHOOK_SECRET", "STRIPE_CONNECT_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="STRIPE_WEBHOOK_SECRET"):
        build_app(_settings(**values))


def test_a_secret_is_in_no_text_that_its_holders_make_of_themselves() -> None:
    secret, key, password = "whsec_never_shown", "sk_test_never_shown", "never_shown_password"
    settings = _settings(
        database_url=f"mysql://me:{password}@127.0.0.1/x",
        redis_url=f"redis://:{password}@127.0.0.1:1/0",
        stripe_webhook_secret=secret,
        stripe_connect_webhook_secret=secret,
        stripe_api_key=key,
    )
    secrets = signing_secrets(settings.platform_secrets, settings.connect_secrets)
    intake = Intake(lambda _: {}, 1, 1)
    endpoint = Endpoint(intake, lambda: secrets, False, IdMaker(), now_ms)
    holders = [settings, secrets, secrets[0], endpoint, open_gateway(settings)]
    holders += [intake, settings.stripe_webhook_secret]
    with pytest.raises(BadSignatureError) as caught:
        verify(header(digest(TWO)), BODY, secrets, NOW_S)
    holders += [caught.value]
    said = "\n".join(text(holder) for holder in holders for text in (repr, str))
    for hidden in (secret, key, password):
        assert hidden not in said
        assert hidden.encode().hex() not in said
    assert fingerprint(secret) in said  # it does say which one
