"""Stripe's webhook signature, checked on the raw bytes before anything is read from them.

`Stripe-Signature: t=<unix>,v1=<hex>[,v1=…]`: HMAC-SHA256 over `t.body` with the whole `whsec_…` string as
the key (Stripe's documentation, "Verify webhook signatures manually"). Any `v1` may match, by any of the
secrets configured; `v0` never counts. Done here rather than by the SDK because the SDK's check accepts a
time in the far future, and raises errors of its own on bytes that anybody could send.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from payouts.errors import SettingsError
from payouts.fingerprint import Role, label
from payouts.secret_source import Derived
from payouts.settings import Settings, listed

TOLERANCE_S = 300
"""How far the signature's time may be from ours, in both directions."""
MAX_HEADER_BYTES = 4096
MAX_CANDIDATES = 16
"""`v1` entries tried at the most: one for each secret in use is all that Stripe sends."""


class BadSignatureError(Exception):
    """The request is not from Stripe, or not fresh; the message is a plain reason to answer with."""


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A signing secret with the name it is recorded under: its list and a fingerprint, never itself."""

    label: str
    key: bytes = field(repr=False)


def signing_secrets(platform: Sequence[str], connect: Sequence[str]) -> list[SigningSecret]:
    """The secrets of both endpoints, named. Raises SettingsError where there is none at all."""
    named: list[tuple[Role, str]] = [("platform", secret) for secret in platform]
    named += [("connect", secret) for secret in connect]
    if not named:
        raise SettingsError(
            "no signing secret: set STRIPE_WEBHOOK_SECRET (and STRIPE_CONNECT_WEBHOOK_SECRET for the Connect "
            "endpoint) to the whsec_… that Stripe showed when the endpoint was made"
        )
    return [SigningSecret(label(role, secret), secret.encode()) for role, secret in named]


def current_secrets(settings: Settings) -> Callable[[], Sequence[SigningSecret]]:
    """The secrets as they are now: those from files may change. Raises SettingsError where there is none."""
    sources = (settings.source("stripe_webhook_secret"), settings.source("stripe_connect_webhook_secret"))
    made = Derived(sources, lambda platform, connect: signing_secrets(listed(platform), listed(connect)))
    return made.get


def verify(header: bytes, body: bytes, secrets: Sequence[SigningSecret], now_s: float) -> SigningSecret:
    """The secret that signed `body`. Raises BadSignatureError, whatever the bytes."""
    stamp, candidates = _parse(header)
    payload = stamp + b"." + body
    found: SigningSecret | None = None
    for secret in secrets:
        expected = hmac.digest(secret.key, payload, "sha256").hex().encode()
        for candidate in candidates:
            if hmac.compare_digest(expected, candidate):
                found = secret
                break
        if found:
            break
    if found is None:
        raise BadSignatureError(
            "no signature matches: is the endpoint's signing secret among those configured?"
        )
    # After the match: only who holds a secret learns anything about our clock.
    age_s = now_s - int(stamp)
    if abs(age_s) > TOLERANCE_S:
        side = "old" if age_s > 0 else "in the future"
        raise BadSignatureError(
            f"the signature's time is {abs(age_s):.0f} s {side}; {TOLERANCE_S} s are allowed"
        )
    return found


def _parse(header: bytes) -> tuple[bytes, list[bytes]]:
    if not header:
        raise BadSignatureError("the Stripe-Signature header is missing")
    if len(header) > MAX_HEADER_BYTES:
        raise BadSignatureError(f"the Stripe-Signature header is longer than {MAX_HEADER_BYTES} bytes")
    stamp = b""
    candidates: list[bytes] = []
    for part in header.split(b","):
        name, _, value = part.strip().partition(b"=")
        if name == b"t":
            if stamp:
                raise BadSignatureError("the Stripe-Signature header has more than one t=")
            stamp = value
        elif name == b"v1":
            candidates.append(value)
    if not (stamp.isdigit() and stamp.isascii() and len(stamp) <= 12):
        raise BadSignatureError("the Stripe-Signature header has no t=<seconds>")
    if not candidates:
        raise BadSignatureError("the Stripe-Signature header has no v1=<signature>")
    if len(candidates) > MAX_CANDIDATES:
        raise BadSignatureError(f"the Stripe-Signature header has more than {MAX_CANDIDATES} signatures")
    return stamp, candidates
