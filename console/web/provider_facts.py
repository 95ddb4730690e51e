"""What an identity provider says about itself: its discovery document and its keys."""

import json
from typing import Any

import msgspec
from authlib.oidc.discovery import get_well_known_url
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, KeySet, RSAKey

from console.web.provider_line import ProviderLine
from payouts.errors import SignInError
from payouts.safe_url import is_safe

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"},
)
"""By which an ID token may be signed: with a private key. `none` is nobody's signature, and HS… would take
any public key for a secret."""
MAX_KEYS = 50
RSA_BITS_LEAST = 2048


class Facts(msgspec.Struct, frozen=True):
    """The discovery document (OpenID Connect Discovery 1.0, 3), as far as it is used here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    id_token_signing_alg_values_supported: list[str]
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = []
    """Empty: client_secret_basic, the standard's default."""
    authorization_response_iss_parameter_supported: bool = False
    """RFC 9207: the answer names its issuer."""

    @property
    def algorithms(self) -> list[str]:
        """Those that the provider signs by and this service accepts."""
        return sorted(ALGORITHMS & set(self.id_token_signing_alg_values_supported))


async def fetch_facts(line: ProviderLine, issuer: str, timeout_s: float | None = None) -> Facts:
    """The discovery document of `issuer`. SignInError `provider_unfit` where it cannot be worked with."""
    url = get_well_known_url(issuer, external=True)
    body = await line.get(url, "its discovery document", timeout_s=timeout_s)
    return read_facts(body, issuer)


def read_facts(body: bytes, issuer: str) -> Facts:
    """The discovery document in `body`. Its issuer may differ from `issuer` by a slash at the end alone."""
    try:
        facts = msgspec.json.decode(body, type=Facts)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unfit(f"the discovery document does not read as one ({error})") from None
    if facts.issuer.rstrip("/") != issuer.rstrip("/"):
        raise _unfit("the discovery document is that of another issuer", theirs=facts.issuer[:300])
    endpoints = {
        "authorization_endpoint": facts.authorization_endpoint,
        "token_endpoint": facts.token_endpoint,
        "jwks_uri": facts.jwks_uri,
        "userinfo_endpoint": facts.userinfo_endpoint,
    }
    for name, url in endpoints.items():
        if url is not None and not (is_safe(url) and _is_as_safe(url, issuer)):
            raise _unfit(f"its {name} is no https address")
    if not facts.algorithms:
        raise _unfit("it signs ID tokens by no algorithm with a private key (as RS256)")
    return facts


async def fetch_keys(line: ProviderLine, url: str) -> KeySet:
    """The provider's public keys, those left out that no ID token may be signed with."""
    body = await line.get(url, "its keys")
    try:
        listed = json.loads(body)["keys"]
        candidates = [key for key in listed if isinstance(key, dict)][:MAX_KEYS]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _unfit("its keys do not read as a key set") from None
    keys = [key for key in map(_usable, candidates) if key is not None]
    if not keys:
        raise _unfit("its key set has no key that an ID token may be signed with")
    return KeySet(list(keys))


def _usable(listed: dict[str, Any]) -> RSAKey | ECKey | None:
    if listed.get("kty") not in ("RSA", "EC") or listed.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in listed.items() if name not in ("x5c", "x5t", "x5t#S256", "x5u")}
    try:
        if listed["kty"] == "RSA" and len(str(listed["n"])) * 6 < RSA_BITS_LEAST:
            return None
        key = JWKRegistry.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None  # of a kind that this service does not know: others of the set may do
    return key if isinstance(key, RSAKey | ECKey) else None


def _is_as_safe(url: str, issuer: str) -> bool:
    return url.startswith("https://") or not issuer.startswith("https://")


def _unfit(what: str, **for_log: object) -> SignInError:
    return SignInError(
        "provider_unfit",
        f"signing in by the identity provider does not work as it is set up: {what}. Whoever runs this "
        "service compares OIDC_ISSUER with what the provider shows as its issuer",
        **for_log,
    )
