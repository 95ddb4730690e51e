"""Whether the identity provider answers, for servers that sign nobody in themselves."""

import json
from typing import Any

from payouts.clock import timed
from payouts.health_checks import Found
from payouts.version import VERSION

DISCOVERY = "/.well-known/openid-configuration"
TIMEOUT_S = 1.5
MAX_BYTES = 256 * 1024
LOCAL = Found("pass", "by tokens: no identity provider is set")


def provider_health(issuer: str) -> Found:
    """How the provider at `issuer` stands; without one people sign in by tokens, which need none."""
    if not issuer:
        return LOCAL
    from http.client import HTTPException

    try:
        took_ms = timed(lambda: _ask(issuer))
    except (OSError, HTTPException, ValueError):
        return Found("fail", "the identity provider does not answer as one: who is signed in stays so")
    return Found("pass", latency_ms=took_ms)


def _ask(issuer: str) -> None:
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    opener = urllib.request.build_opener(NoRedirect)
    request = urllib.request.Request(  # noqa: S310 - the setting is checked: https, or this machine
        issuer.rstrip("/") + DISCOVERY, headers={"User-Agent": f"payouts/{VERSION}"}
    )
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        said: Any = json.loads(answer.read(MAX_BYTES))
    theirs = said.get("issuer") if isinstance(said, dict) else None
    if not isinstance(theirs, str) or theirs.rstrip("/") != issuer.rstrip("/"):
        raise ValueError("the document is that of another issuer")
