"""Who asks: the API key, as a bearer token or as the user of basic auth."""

import base64
import binascii
import hmac

from sandbox.errors import no_key, unknown_key

TEST_KEYS = ("sk_test_", "rk_test_")


def authenticate(authorization: str, api_key: str | None) -> None:
    """401 where the header holds no key, or another one. `api_key` None: any that looks like a test key."""
    given = _given(authorization)
    if not given:
        raise no_key()
    if api_key is None:
        good = given.startswith(TEST_KEYS)
    else:
        good = hmac.compare_digest(given.encode(), api_key.encode())
    if not good:
        raise unknown_key(given)


def _given(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
