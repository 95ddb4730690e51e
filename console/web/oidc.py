"""Signing in by OpenID Connect: the authorization code flow with state, nonce and PKCE.

What the frame calls: `begin` sends the browser to the provider, `finish` reads what it comes back with.
Authlib speaks the protocol. Every failure is a SignInError whose message is fit for the page.
"""

import asyncio
import base64
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import httpx2
import msgspec
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc.jwk import KeySet

from console.web.claims import groups_of, read_identity
from console.web.id_token import Expected, UnknownKeyError, read_id_token
from console.web.kept import Kept
from console.web.provider_facts import Facts, fetch_facts, fetch_keys
from console.web.provider_line import CALL_TIMEOUT_S, ProviderLine, cause_of
from payouts.clock import Clock, now_ms
from payouts.errors import ProviderDownError, SignInError
from payouts.identity import Identity
from payouts.settings import Settings

BEGUN_FOR_MS = 600_000
"""How long somebody may take at the provider."""
FACTS_AGE_MS = 3_600_000
KEYS_AGE_MS = 3_600_000
"""A key that the provider takes back is believed no longer than this."""
FAILURE_PAUSE_MS = 10_000
KEYS_PAUSE_MS = 60_000
"""An unknown key makes this service ask for the keys again, but no more often."""
HEALTH_AGE_MS = 30_000
CODE_CHARS = 4096
SECRET_BYTES = 32

_BEGIN_AGAIN = "begin again at the sign-in page"
_ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the provider is waited for: in one call, by `finish` for all of them, by `health`."""

    call_s: float = CALL_TIMEOUT_S
    finish_s: float = 10.0
    health_s: float = 2.0


WAITS = Waits()


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """How the provider stood when it was last asked. `note` says why it failed, fit to be shown."""

    passed: bool
    latency_ms: int
    checked_at_ms: int
    note: str


def open_provider(settings: Settings) -> "OidcProvider | None":
    """The identity provider that is set; None where there is none. Nothing is asked yet."""
    return OidcProvider(settings) if settings.oidc_issuer else None


class OidcProvider:
    """One identity provider. Used within one event loop; keeps its document and keys, and no token."""

    def __init__(
        self,
        settings: Settings,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Clock = now_ms,
        waits: Waits = WAITS,
    ) -> None:
        self.name = settings.oidc_name
        self._settings = settings
        self._client_secret = settings.source("oidc_client_secret")
        self._clock = clock
        self._line = ProviderLine(settings.oidc_issuer, transport, waits.call_s)
        self._waits = waits
        self._facts = Kept(self._fetch_facts, clock, FACTS_AGE_MS, FAILURE_PAUSE_MS)
        self._keys = Kept(self._fetch_keys, clock, KEYS_AGE_MS, FAILURE_PAUSE_MS)
        self._health = Kept(self._check, clock, HEALTH_AGE_MS, 0)

    async def begin(self, redirect_uri: str) -> tuple[str, dict[str, str]]:
        """Where to send the browser, and what to keep for `finish`.

        What is kept stays on the server, for 10 minutes, for the one browser that began: found by a cookie
        of its own, and used once. SignInError where the provider cannot be asked.
        """
        facts = await self._facts.get()
        kept = {name: secrets.token_urlsafe(SECRET_BYTES) for name in ("state", "nonce", "verifier")}
        async with self._client(facts, redirect_uri) as client:
            url, _ = client.create_authorization_url(
                facts.authorization_endpoint,
                state=kept["state"],
                nonce=kept["nonce"],
                code_verifier=kept["verifier"],
            )
        return url, {**kept, "begun_at_ms": str(self._clock())}

    async def finish(self, kept: Mapping[str, str], query: Mapping[str, str], redirect_uri: str) -> Identity:
        """Who came back. `kept` is what `begin` gave, `query` what the browser came back with.

        Takes 10 s at most. SignInError with one of the codes `sign_in_stale`, `state_wrong`, `issuer_wrong`,
        `provider_refused`, `code_refused`, `id_token_bad`, `userinfo_bad`, `groups_unreadable`,
        `provider_unfit`; ProviderDownError (`provider_down`) where the provider does not answer.
        """
        try:
            async with asyncio.timeout(self._waits.finish_s):
                return await self._finish(kept, query, redirect_uri)
        except TimeoutError:
            raise ProviderDownError(
                f"the identity provider took longer than {self._waits.finish_s:g} s: {_BEGIN_AGAIN}"
            ) from None

    async def health(self) -> ProviderHealth:
        """Whether the provider answers; asked at most every 30 s, for at most 2 s. Never raises."""
        return await self._health.get(old_is_fine=True)

    async def _finish(self, kept: Mapping[str, str], query: Mapping[str, str], redirect_uri: str) -> Identity:
        self._check_state(kept, query)
        facts = await self._facts.get()
        code = _code_of(query, facts)
        token = await self._exchange(facts, code, kept["verifier"], redirect_uri)
        id_token, access_token = token.get("id_token"), token.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise SignInError(
                "id_token_bad",
                "the identity provider gave no ID token: whoever runs this service sees that its application "
                "there is one of OpenID Connect, and that OIDC_SCOPES has openid",
            )
        claims = await self._verified(facts, id_token, access_token, kept["nonce"])
        where = self._settings.oidc_groups_claim
        more: dict[str, Any] = {}
        if groups_of(claims, where) is None and facts.userinfo_endpoint is not None:
            more = await self._userinfo(facts.userinfo_endpoint, access_token, claims["sub"])
        return read_identity(claims, more, facts.issuer, where)

    def _check_state(self, kept: Mapping[str, str], query: Mapping[str, str]) -> None:
        whole = all(kept.get(name) for name in ("state", "nonce", "verifier"))
        begun = kept.get("begun_at_ms", "")
        if not whole or not begun.isdecimal() or not 0 <= self._clock() - int(begun) < BEGUN_FOR_MS:
            minutes = BEGUN_FOR_MS // 60_000
            raise SignInError(
                "sign_in_stale",
                f"this sign-in was begun more than {minutes} minutes ago, or never: {_BEGIN_AGAIN}",
            )
        if not hmac.compare_digest(query.get("state", "").encode("utf-8", "replace"), kept["state"].encode()):
            raise SignInError(
                "state_wrong",
                f"this answer does not belong to the sign-in that this browser began: {_BEGIN_AGAIN}",
            )

    async def _exchange(self, facts: Facts, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        async with self._line.answering("the tokens"), self._client(facts, redirect_uri) as client:
            try:
                token = await client.fetch_token(
                    facts.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                )
            except OAuthError as error:
                raise _code_refused(error) from None
            except httpx2.HTTPStatusError as error:
                status = error.response.status_code
                raise ProviderDownError(
                    f"the identity provider answered with HTTP {status} to the code: {_BEGIN_AGAIN}",
                    status=status,
                ) from None
            except (ValueError, RecursionError) as error:
                raise ProviderDownError(
                    f"the identity provider's answer to the code does not read as one: {_BEGIN_AGAIN}",
                    cause=type(error).__name__,
                ) from None
        return dict(token)

    async def _verified(self, facts: Facts, id_token: str, access_token: str, nonce: str) -> dict[str, Any]:
        expected = Expected(
            issuer=facts.issuer,
            client_id=self._settings.oidc_client_id,
            nonce=nonce,
            access_token=access_token,
            algorithms=facts.algorithms,
            now_s=self._clock() // 1000,
        )
        keys = await self._keys.get()
        try:
            return read_id_token(id_token, keys, expected)
        except UnknownKeyError:
            newer = await self._keys.newer_than(keys, KEYS_PAUSE_MS)
        try:
            return read_id_token(id_token, newer, expected)
        except UnknownKeyError:
            raise SignInError(
                "id_token_bad",
                "the identity provider's ID token is signed with a key that is not among its keys: begin "
                "again in a minute, when they are asked for again",
            ) from None

    async def _userinfo(self, url: str, access_token: str, subject: str) -> dict[str, Any]:
        body = await self._line.get(url, "your groups", {"Authorization": f"Bearer {access_token}"})
        try:
            more = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SignInError(
                "userinfo_bad",
                "what the identity provider says of you does not read as JSON: whoever runs this service has "
                "it put the groups into the ID token, or send userinfo unsigned",
            ) from None
        if more.get("sub") != subject:
            raise SignInError(
                "userinfo_bad", f"the identity provider speaks of somebody else than you: {_BEGIN_AGAIN}"
            )
        return more

    def _client(self, facts: Facts, redirect_uri: str) -> AsyncOAuth2Client:
        settings = self._settings
        client = self._line.client(
            client_id=settings.oidc_client_id,
            client_secret=self._client_secret.read(),
            scope=settings.oidc_scopes,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method=self._client_auth(facts),
        )
        client.register_client_auth_method(("client_secret_basic", _basic))
        return client

    def _client_auth(self, facts: Facts) -> str:
        chosen = self._settings.oidc_client_auth
        if chosen == "auto":
            offered = facts.token_endpoint_auth_methods_supported
            only_post = "client_secret_post" in offered and "client_secret_basic" not in offered
            chosen = "post" if only_post else "basic"
        return f"client_secret_{chosen}"

    async def _fetch_facts(self) -> Facts:
        return await fetch_facts(self._line, self._settings.oidc_issuer)

    async def _fetch_keys(self) -> KeySet:
        return await fetch_keys(self._line, (await self._facts.get()).jwks_uri)

    async def _check(self) -> ProviderHealth:
        began_ms = self._clock()
        note = ""
        try:
            await fetch_facts(self._line, self._settings.oidc_issuer, self._waits.health_s)
        except SignInError as error:
            note = str(error)
        return ProviderHealth(not note, self._clock() - began_ms, self._clock(), note)


def _code_of(query: Mapping[str, str], facts: Facts) -> str:
    # RFC 9207: an answer that names its issuer, or should, must name this one, errors included.
    said = query.get("iss")
    if said != facts.issuer and (said is not None or facts.authorization_response_iss_parameter_supported):
        raise SignInError(
            "issuer_wrong",
            f"this answer comes from another identity provider than the one here: {_BEGIN_AGAIN}",
        )
    error = query.get("error")
    if error is not None:
        shown = error if _ERROR_CODE.fullmatch(error) else "an error without a name"
        raise SignInError(
            "provider_refused",
            f"the identity provider did not sign you in ({shown}): begin again, or ask whoever runs it",
            description=query.get("error_description", "")[:200],
        )
    code = query.get("code", "")
    if not 0 < len(code) <= CODE_CHARS:
        raise SignInError("provider_refused", f"the identity provider sent no code: {_BEGIN_AGAIN}")
    return code


def _code_refused(error: OAuthError) -> SignInError:
    said = str(error.error)
    shown = said if _ERROR_CODE.fullmatch(said) else "an error without a name"
    advice = _BEGIN_AGAIN
    if said in ("invalid_client", "unauthorized_client"):
        advice = "whoever runs this service looks at OIDC_CLIENT_ID, OIDC_CLIENT_SECRET and OIDC_CLIENT_AUTH"
    return SignInError(
        "code_refused",
        f"the identity provider did not take the code ({shown}): {advice}",
        cause=cause_of(error),
    )


def _basic(
    client: Any, method: str, uri: str, headers: dict[str, str], body: Any
) -> tuple[str, dict[str, str], Any]:
    # RFC 6749, 2.3.1: id and secret are form-encoded first, which Authlib's own leaves out.
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body
