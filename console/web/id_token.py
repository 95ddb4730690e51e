"""Reading an ID token: whether it is the provider's, for this service, of this sign-in, and of now.

The rules are those of OpenID Connect Core 1.0, 3.1.3.7; joserfc checks the signature, Authlib the claims.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import ClaimError, InvalidKeyIdError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from payouts.errors import SignInError

LEEWAY_S = 60
"""By how much the provider's clock may differ from ours."""
SUBJECT_CHARS = 255
"""OpenID Connect Core 1.0, 2: at most, and in ASCII."""
_HEADER_BYTES = 4096

_BEGIN_AGAIN = "begin again at the sign-in page"
_ADVICE = {
    "iss": "whoever runs this service compares OIDC_ISSUER with what the provider shows as its issuer",
    "aud": "whoever runs this service looks at OIDC_CLIENT_ID",
    "azp": "whoever runs this service looks at OIDC_CLIENT_ID",
    "exp": "begin again; where it stays so, the clock here or at the provider is wrong",
    "iat": "begin again; where it stays so, the clock here or at the provider is wrong",
    "nbf": "begin again; where it stays so, the clock here or at the provider is wrong",
    "nonce": f"it belongs to another sign-in: {_BEGIN_AGAIN}",
}


class UnknownKeyError(Exception):
    """The token names a key that is not among those at hand: the provider may have new ones."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token must say to be accepted."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str
    algorithms: list[str]
    now_s: int


def read_id_token(raw: str, keys: KeySet, expected: Expected) -> dict[str, Any]:
    """The claims of `raw`. UnknownKeyError, or SignInError `id_token_bad` that names what does not fit."""
    registry = JWSRegistry(algorithms=expected.algorithms, strict_check_header=False)
    registry.max_header_length = _HEADER_BYTES
    try:
        token = jwt.decode(raw, keys, registry=registry)
    except InvalidKeyIdError:
        raise UnknownKeyError from None
    except UnsupportedAlgorithmError:
        raise _bad("it is signed by an algorithm that is not accepted", _BEGIN_AGAIN) from None
    except (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        # joserfc meets what it did not expect with whatever Python raises there.
        raise _bad(f"its signature does not hold ({type(error).__name__})", _BEGIN_AGAIN) from None
    _check(token.claims, token.header, expected)
    return token.claims


def _check(claims: Mapping[str, Any], header: Mapping[str, Any], expected: Expected) -> None:
    rules = {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    about = {
        "nonce": expected.nonce,
        "client_id": expected.client_id,
        "access_token": expected.access_token,
    }
    try:
        CodeIDToken(claims, header, rules, about).validate(now=expected.now_s, leeway=LEEWAY_S)
    except ClaimError as error:
        name = error.claim if error.claim in _ADVICE else error.claim[:40]
        raise _bad(f"its claim {name} does not fit", _ADVICE.get(name, _BEGIN_AGAIN)) from None
    except (JoseError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _bad(f"its claims do not fit ({type(error).__name__})", _BEGIN_AGAIN) from None
    subject = claims["sub"]
    if not 0 < len(subject) <= SUBJECT_CHARS or not subject.isascii() or not subject.isprintable():
        raise _bad(f"its subject is not one of 1 to {SUBJECT_CHARS} printable ASCII characters", _BEGIN_AGAIN)


def _bad(what: str, advice: str) -> SignInError:
    return SignInError(
        "id_token_bad", f"the identity provider's ID token was not accepted: {what}. What to do: {advice}"
    )
