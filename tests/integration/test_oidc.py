"""Signing in at a provider that keeps to the rules, and at one that does not."""

import asyncio
import gzip
import hashlib
import hmac
import json
import ssl
import time
import traceback
import warnings
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwk
from starlette.responses import JSONResponse, RedirectResponse, Response

from console.web.oidc import OidcProvider, Waits, open_provider
from payouts.clock import now_ms
from payouts.errors import ProviderDownError, SignInError
from payouts.identity import Identity
from payouts.settings import load_settings
from tests.support.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    REDIRECT_URI,
    Json,
    SmallProvider,
    Socket,
    oidc_settings,
    unsigned,
)

Change = Callable[[dict[str, str], dict[str, str]], None]


class Time:
    """The clock of the service, moved by the test."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return now_ms() + self.ahead_ms


class Visit:
    """A provider and the service that signs in at it."""

    def __init__(self, small: SmallProvider, **settings: Any) -> None:
        self.small = small
        self.time = Time()
        self.oidc = OidcProvider(
            oidc_settings(**settings),
            small.transport,
            self.time,
            Waits(call_s=0.3, finish_s=0.5, health_s=0.2),
        )

    async def sign_in(self, change: Change | None = None, redirect_uri: str = REDIRECT_URI) -> Identity:
        url, kept = await self.oidc.begin(REDIRECT_URI)
        query = self.small.authorize(url)
        if change is not None:
            change(kept, query)
        return await self.oidc.finish(kept, query, redirect_uri)

    def failure(self, change: Change | None = None, redirect_uri: str = REDIRECT_URI) -> SignInError:
        return failure_of(lambda: self.sign_in(change, redirect_uri))


def failure_of(work: Callable[[], Awaitable[object]]) -> SignInError:
    """What `work` is refused with; nothing secret shows in it, even in its traceback."""

    async def run() -> None:
        await work()

    with pytest.raises(SignInError) as caught:
        asyncio.run(run())
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.for_log)
    for secret in (CLIENT_SECRET, "access-1", "code-1", "eyJ"):
        assert secret not in told
    return caught.value


@pytest.fixture
def small() -> SmallProvider:
    return SmallProvider()


def test_somebody_signs_in(small: SmallProvider) -> None:
    small.claims |= {"email": "anna@example.com", "email_verified": True}
    who = asyncio.run(Visit(small).sign_in())
    assert who == Identity(
        "user-1", ISSUER, "Anna B", "anna@example.com", True, ("owners", "cooks"), username="anna"
    )
    assert small.count("userinfo") == 0


def test_the_browser_is_sent_with_state_nonce_and_a_challenge_and_without_a_secret(
    small: SmallProvider,
) -> None:
    async def begin_twice() -> list[tuple[str, dict[str, str]]]:
        oidc = Visit(small).oidc
        return [await oidc.begin(REDIRECT_URI) for _ in range(2)]

    (url, kept), (_, other) = asyncio.run(begin_twice())
    sent = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{ISSUER}authorize?tenant=1&")
    challenge = sent.pop("code_challenge")
    assert sent == {
        "tenant": "1",
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "scope": "openid profile email",
        "state": kept["state"],
        "nonce": kept["nonce"],
        "code_challenge_method": "S256",
    }
    assert kept["verifier"] not in url
    assert len(challenge) == 43
    names = ("state", "nonce", "verifier")
    assert len({one[name] for one in (kept, other) for name in names}) == 6
    assert json.loads(json.dumps(kept)) == kept
    assert small.count("discovery") == 1


@pytest.mark.parametrize(
    ("said", "groups"),
    [
        ({"groups": ["a", "b"]}, ("a", "b")),
        ({"groups": "a"}, ("a",)),
        ({"groups": []}, ()),
        ({"groups": None}, ()),
    ],
)
def test_groups_are_read_as_providers_write_them(
    small: SmallProvider, said: Json, groups: tuple[str, ...]
) -> None:
    small.claims |= said
    assert asyncio.run(Visit(small).sign_in()).groups == groups


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("https://example.com/groups", {"https://example.com/groups": ["owners"]}),
        ("public_metadata.groups", {"public_metadata": {"groups": ["owners"]}}),
        ("a.b", {"a.b": ["owners"], "a": {"b": ["others"]}}),
    ],
)
def test_groups_are_found_where_the_settings_say(small: SmallProvider, claim: str, said: Json) -> None:
    small.claims = {"groups": ["wrong"], **said}
    assert asyncio.run(Visit(small, oidc_groups_claim=claim).sign_in()).groups == ("owners",)


@pytest.mark.parametrize("said", [{"a": 1}, 7, True, ["a", 7], [["a"]], ["a"] * 1001])
def test_groups_that_cannot_be_read_are_not_taken_for_none(small: SmallProvider, said: Any) -> None:
    small.claims["groups"] = said
    failure = Visit(small).failure()
    assert failure.code == "groups_unreadable"
    assert "OIDC_GROUPS_CLAIM" in str(failure)


def test_what_the_id_token_leaves_out_is_taken_from_userinfo(small: SmallProvider) -> None:
    small.claims = {"name": "Anna B"}
    small.userinfo = {
        "sub": "user-1",
        "name": "Other",
        "email": "anna@example.com",
        "email_verified": "true",
        "groups": ["owners"],
    }
    who = asyncio.run(Visit(small).sign_in())
    assert (who.name, who.email, who.email_verified, who.groups) == (
        *("Anna B", "anna@example.com", True),
        ("owners",),
    )


def test_an_address_is_not_verified_by_what_is_said_of_another_one(small: SmallProvider) -> None:
    small.claims = {"email": "boss@example.com"}
    small.userinfo = {"sub": "user-1", "email": "anna@example.com", "email_verified": True}
    who = asyncio.run(Visit(small).sign_in())
    assert (who.email, who.email_verified) == ("boss@example.com", False)


@pytest.mark.parametrize(
    ("userinfo", "code"),
    [
        ({"sub": "user-2", "groups": ["owners"]}, "userinfo_bad"),
        ({"groups": ["owners"]}, "userinfo_bad"),
        ([], "userinfo_bad"),
        ({"sub": "user-1", "groups": 7}, "groups_unreadable"),
    ],
)
def test_userinfo_of_somebody_else_is_refused(small: SmallProvider, userinfo: Any, code: str) -> None:
    small.claims = {}
    small.userinfo = userinfo
    assert Visit(small).failure().code == code


def test_without_userinfo_and_groups_somebody_has_none(small: SmallProvider) -> None:
    small.claims = {}
    del small.facts["userinfo_endpoint"]
    assert asyncio.run(Visit(small).sign_in()).groups == ()


NOW = int(time.time())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"iss": "https://other.example.com/"}, "iss"),
        ({"iss": ISSUER.rstrip("/")}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": ["another"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": [CLIENT_ID, "another"]}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "azp"),
        ({"exp": NOW - 120}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"iat": NOW + 3600}, "iat"),
        ({"iat": None}, "iat"),
        ({"nbf": NOW + 3600}, "nbf"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": "x" * 256}, "subject"),
        ({"sub": "ännä"}, "subject"),
        ({"sub": 7}, "sub"),
        ({"at_hash": "bm90IHRoZSBoYXNo"}, "at_hash"),
    ],
)
def test_an_id_token_with_a_wrong_claim_is_refused_and_the_claim_named(
    small: SmallProvider, wrong: Json, said: str
) -> None:
    small.claims |= wrong
    failure = Visit(small).failure()
    assert failure.code == "id_token_bad"
    assert f" {said} " in str(failure)


@pytest.mark.parametrize("fine", [{"azp": CLIENT_ID}, {"aud": [CLIENT_ID]}, {"exp": -20}, {"iat": 20}])
def test_clocks_may_differ_a_little_and_parties_be_named_twice(small: SmallProvider, fine: Json) -> None:
    # Times are so many seconds from when the test runs.
    now_s = int(time.time())
    fine = {name: now_s + value if isinstance(value, int) else value for name, value in fine.items()}
    small.claims |= fine
    assert asyncio.run(Visit(small).sign_in()).subject == "user-1"


def hs256_with_the_public_key(small: SmallProvider) -> Callable[[Json], str]:
    secret = small.signing.as_pem(private=False)

    def make(claims: Json) -> str:
        head = {"alg": "HS256", "kid": "first"}
        signed = unsigned(claims, head).rsplit(".", 1)[0]
        return unsigned(claims, head, hmac.new(secret, signed.encode(), hashlib.sha256).digest())

    return make


@pytest.mark.parametrize(
    "forge",
    [
        lambda small: lambda claims: unsigned(claims, {"alg": "none"}),
        lambda small: lambda claims: unsigned(claims, {"alg": "none", "kid": "first"}),
        lambda small: lambda claims: unsigned(claims, {"alg": "None", "kid": "first"}),
        hs256_with_the_public_key,
        lambda small: lambda claims: unsigned(claims, {"alg": "RS256", "kid": "first"}),
        lambda small: lambda claims: unsigned(claims, {"alg": "RS256", "kid": "first"}, b"x" * 256),
        lambda small: lambda claims: unsigned(claims, {"alg": "ES256", "kid": "first"}, b"x" * 64),
        lambda small: lambda claims: unsigned(claims, {"alg": "RS512", "kid": "first"}, b"x" * 256),
        lambda small: lambda claims: unsigned(claims, {"alg": 7, "kid": "first"}, b"x" * 64),
        lambda small: lambda claims: unsigned(claims, {"alg": "RS256", "kid": 7}, b"x" * 64),
        lambda small: lambda claims: unsigned(claims, {"kid": "first"}, b"x" * 64),
        lambda small: lambda claims: unsigned(claims, {"alg": "RS256", "kid": "first", "crit": ["x"]}, b"x"),
        lambda small: lambda claims: small.signed(claims)[:-8] + "AAAAAAAA",
        lambda small: (
            lambda claims: (
                small.signed({**claims, "sub": "user-2"}).rsplit(".", 1)[0]
                + "."
                + small.signed(claims).rsplit(".", 1)[1]
            )
        ),
        lambda small: lambda claims: "no.token",
        lambda small: lambda claims: "",
        lambda small: lambda claims: "a.b.c.d.e",
        lambda small: lambda claims: "ä" * 10,
    ],
)
def test_a_token_that_the_provider_did_not_sign_is_refused(
    small: SmallProvider, forge: Callable[[SmallProvider], Callable[[Json], str]]
) -> None:
    small.id_token = forge(small)
    assert Visit(small).failure().code == "id_token_bad"


def test_a_token_without_json_in_it_is_refused(small: SmallProvider) -> None:
    small.id_token = lambda claims: None  # type: ignore[assignment,return-value]
    assert Visit(small).failure().code == "id_token_bad"


def test_a_secret_among_the_published_keys_signs_nothing(small: SmallProvider) -> None:
    shared = jwk.OctKey.import_key("published by mistake" * 3, {"kid": "shared"})
    small.keys = [small.signing, shared.as_dict(private=True)]
    small.signing, small.header = shared, {"alg": "HS256", "kid": "shared"}
    assert Visit(small).failure().code == "id_token_bad"


def test_keys_that_are_of_no_use_here_do_not_hide_the_right_one(small: SmallProvider) -> None:
    public = small.signing.as_dict(private=False)
    small.keys = [
        {"kty": "AKP", "kid": "future", "alg": "ML-DSA-44", "pub": "eA"},
        {"kty": "EC", "crv": "P-0", "x": "eA", "y": "eA", "kid": "broken"},
        {**public, "use": "enc", "kid": "first"},
        {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "garbage" * 9},
        public,
    ]
    assert asyncio.run(Visit(small).sign_in()).subject == "user-1"


def test_elliptic_keys_do_as_well(small: SmallProvider) -> None:
    small.signing = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
    small.keys, small.header = [small.signing], {"alg": "ES256", "kid": "ec"}
    small.facts["id_token_signing_alg_values_supported"] = ["ES256"]
    assert asyncio.run(Visit(small).sign_in()).subject == "user-1"


def test_a_new_key_is_asked_for_at_once_and_an_unknown_one_once_a_minute(small: SmallProvider) -> None:
    async def story() -> list[int]:
        visit = Visit(small)
        asked = []
        await visit.sign_in()
        asked.append(small.count("keys"))

        visit.time.ahead_ms = 61_000
        small.rotate("second")
        await visit.sign_in()
        asked.append(small.count("keys"))

        small.header["kid"] = "nobody's"  # signed by a key that is published under another name
        for _ in range(3):
            with pytest.raises(SignInError, match="begin again in a minute"):
                await visit.sign_in()
        asked.append(small.count("keys"))
        visit.time.ahead_ms += 61_000
        with pytest.raises(SignInError, match="not among its keys"):
            await visit.sign_in()
        asked.append(small.count("keys"))
        return asked

    assert asyncio.run(story()) == [1, 2, 2, 3]


def test_a_key_that_was_taken_back_is_believed_for_an_hour_at_most(small: SmallProvider) -> None:
    async def story() -> None:
        visit = Visit(small)
        await visit.sign_in()
        stolen, header = small.signing, small.header
        small.rotate("second")
        small.signing, small.header = stolen, header
        visit.time.ahead_ms = 3_601_000
        small.claims |= {"exp": int(time.time()) + 9_000}
        await visit.sign_in()

    assert failure_of(story).code == "id_token_bad"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda kept, query: query.update(state="another"), "state_wrong"),
        (lambda kept, query: query.update(state=""), "state_wrong"),
        (lambda kept, query: query.update(state="\udce4"), "state_wrong"),
        (lambda kept, query: query.pop("state"), "state_wrong"),
        (lambda kept, query: kept.clear(), "sign_in_stale"),
        (lambda kept, query: kept.update(state=""), "sign_in_stale"),
        (lambda kept, query: kept.update(begun_at_ms="0"), "sign_in_stale"),
        (lambda kept, query: kept.update(begun_at_ms="soon"), "sign_in_stale"),
        (lambda kept, query: kept.update(begun_at_ms="9" * 15), "sign_in_stale"),
        (lambda kept, query: kept.update(verifier="another" * 9), "code_refused"),
        (lambda kept, query: kept.update(nonce="another"), "id_token_bad"),
        (lambda kept, query: query.update(code="another"), "code_refused"),
        (lambda kept, query: query.update(code=""), "provider_refused"),
        (lambda kept, query: query.update(code="x" * 5000), "provider_refused"),
        (lambda kept, query: query.update(error="access_denied"), "provider_refused"),
        (lambda kept, query: query.update(iss="https://other.example.com/"), "issuer_wrong"),
        (lambda kept, query: query.update(iss=""), "issuer_wrong"),
        (
            lambda kept, query: query.update(iss="https://other.example.com/", error="access_denied"),
            "issuer_wrong",
        ),
    ],
)
def test_an_answer_that_is_not_that_of_this_sign_in_is_refused(
    small: SmallProvider, change: Change, code: str
) -> None:
    assert Visit(small).failure(change).code == code


def test_what_is_stale_or_of_another_browser_reaches_no_provider(small: SmallProvider) -> None:
    Visit(small).failure(lambda kept, query: query.update(state="another"))
    Visit(small).failure(lambda kept, query: kept.clear())
    assert small.count("token") == 0


def test_a_code_is_good_for_the_address_that_it_was_asked_for(small: SmallProvider) -> None:
    assert Visit(small).failure(redirect_uri="https://other.example.com/").code == "code_refused"


def test_a_sign_in_takes_ten_minutes_at_most(small: SmallProvider) -> None:
    async def finish_after(ms: int) -> None:
        visit = Visit(small)
        url, kept = await visit.oidc.begin(REDIRECT_URI)
        visit.time.ahead_ms = ms
        await visit.oidc.finish(kept, small.authorize(url), REDIRECT_URI)

    small.claims |= {"exp": NOW + 9_000}
    asyncio.run(finish_after(599_000))
    assert failure_of(lambda: finish_after(601_000)).code == "sign_in_stale"


def test_a_provider_that_says_it_names_itself_must_do_so(small: SmallProvider) -> None:
    small.facts["authorization_response_iss_parameter_supported"] = True
    assert Visit(small).failure().code == "issuer_wrong"
    asyncio.run(Visit(small).sign_in(lambda kept, query: query.update(iss=ISSUER)))


def test_an_error_of_the_provider_is_named_and_its_words_kept_for_the_log(small: SmallProvider) -> None:
    failure = Visit(small).failure(
        lambda kept, query: query.update(error="access_denied", error_description="not in this project")
    )
    assert "(access_denied)" in str(failure)
    assert failure.for_log == {"description": "not in this project"}
    odd = Visit(small).failure(lambda kept, query: query.update(error="<b>\n"))
    assert "<" not in str(odd)


@pytest.mark.parametrize(
    ("offered", "chosen", "sent"),
    [
        (["client_secret_basic", "client_secret_post"], "auto", "basic"),
        (["client_secret_post", "private_key_jwt"], "auto", "post"),
        ([], "auto", "basic"),
        (["client_secret_basic"], "post", "post"),
        (["client_secret_post"], "basic", "basic"),
    ],
)
def test_the_secret_is_sent_as_the_provider_takes_it(
    small: SmallProvider, offered: list[str], chosen: str, sent: str
) -> None:
    small.facts["token_endpoint_auth_methods_supported"] = offered
    asyncio.run(Visit(small, oidc_client_auth=chosen).sign_in())
    assert ("client_secret" in small.token_requests[0]) is (sent == "post")


def test_a_secret_that_changes_in_its_file_is_sent_by_the_next_sign_in(
    small: SmallProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payouts.secret_source.LOOK_EVERY_S", 0)
    kept = tmp_path / "secret"
    kept.write_text("wrong\n")
    environment = {
        "DATABASE_URL": "sqlite:////tmp/never.db",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "OIDC_ISSUER": ISSUER,
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_CLIENT_SECRET_FILE": str(kept),
        "OIDC_ROLES": "viewer=*",
    }
    visit = Visit(small)
    visit.oidc = OidcProvider(load_settings(environment), small.transport, visit.time)
    assert visit.failure().code == "code_refused"
    kept.write_text(f"{CLIENT_SECRET}\n")
    assert asyncio.run(visit.sign_in()).subject == "user-1"


def test_a_wrong_secret_is_said_to_be_a_setting(small: SmallProvider) -> None:
    failure = Visit(small, oidc_client_secret="wrong").failure()
    assert failure.code == "code_refused"
    assert "OIDC_CLIENT_SECRET" in str(failure)


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "https://other.example.com/"},
        {"issuer": 7},
        {"issuer": None},
        {"token_endpoint": "http://id.example.com/token"},
        {"jwks_uri": "http://127.0.0.1/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": "http://id.example.com/userinfo"},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"id_token_signing_alg_values_supported": None},
    ],
)
def test_a_discovery_document_that_is_not_safe_to_follow_is_refused(
    small: SmallProvider, wrong: Json
) -> None:
    small.facts |= wrong
    small.facts = {name: value for name, value in small.facts.items() if value is not None}
    failure = Visit(small).failure()
    assert failure.code == "provider_unfit"
    assert "OIDC_ISSUER" in str(failure)


def test_a_slash_at_the_issuers_end_may_be_left_out_in_the_settings(small: SmallProvider) -> None:
    who = asyncio.run(Visit(small, oidc_issuer=ISSUER.rstrip("/")).sign_in())
    assert who.issuer == ISSUER


@pytest.mark.parametrize("path", ["discovery", "keys", "token", "userinfo"])
@pytest.mark.parametrize(
    "answer",
    [
        Response("down", 503),
        Response("not json", 200),
        Response(b"\xff\xfe", 200),
        Response("[" * 100_000, 200),
        RedirectResponse("https://other.example.com/"),
        Response(b"x" * 300_000, 200),
        Response(b"x", 200, {"content-encoding": "gzip"}),
    ],
    ids=["503", "no json", "no text", "deep", "redirect", "huge", "packed"],
)
def test_an_answer_that_is_none_is_told_in_words_wherever_it_comes(
    small: SmallProvider, path: str, answer: Response
) -> None:
    small.claims = {}
    small.before = lambda asked: answer if asked == path else None
    failure = Visit(small).failure()
    assert failure.code in {"provider_down", "provider_unfit", "userinfo_bad"}
    assert "other.example.com" not in str(failure)
    assert not [asked for asked in small.asked if asked not in ("discovery", "keys", "token", "userinfo")]


def test_a_redirect_is_not_followed_even_to_a_good_document(small: SmallProvider) -> None:
    elsewhere = RedirectResponse("https://other.example.com/.well-known/openid-configuration")
    small.before = lambda asked: elsewhere if small.count("discovery") == 1 else None
    assert "HTTP 307" in str(Visit(small).failure())
    assert small.count("discovery") == 1


def test_a_packed_answer_is_refused_before_it_is_unpacked(small: SmallProvider) -> None:
    packed = gzip.compress(json.dumps(small.facts).encode())
    small.before = lambda asked: Response(packed, 200, {"content-encoding": "gzip"})
    assert "compressed" in str(Visit(small).failure())


@pytest.mark.parametrize("keys", [[], [{"kty": "oct", "k": "eA"}], "enc", "weak"])
def test_a_key_set_without_a_key_to_sign_with_is_said_to_be_one(small: SmallProvider, keys: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc itself warns of keys that are too short
        made = {
            "enc": [{**small.signing.as_dict(private=False), "use": "enc"}],
            "weak": [jwk.RSAKey.generate_key(1024, {"kid": "first"}).as_dict(private=False)],
        }
    small.keys = made[keys] if isinstance(keys, str) else keys
    failure = Visit(small).failure()
    assert failure.code == "provider_unfit"
    assert "no key that an ID token may be signed with" in str(failure)


@pytest.mark.parametrize("answer", [{}, {"id_token": 7, "access_token": "x"}, {"access_token": "access-1"}])
def test_an_answer_without_an_id_token_is_said_to_be_one(small: SmallProvider, answer: Json) -> None:
    small.before = lambda asked: JSONResponse(answer) if asked == "token" else None
    failure = Visit(small).failure()
    assert failure.code == "id_token_bad"
    assert "OIDC_SCOPES" in str(failure)


def test_after_a_failure_the_provider_is_left_alone_for_a_while_and_then_found_back(
    small: SmallProvider,
) -> None:
    async def story() -> None:
        visit = Visit(small)
        small.before = lambda asked: Response("down", 503)
        for _ in range(3):
            with pytest.raises(ProviderDownError, match="HTTP 503"):
                await visit.oidc.begin(REDIRECT_URI)
        assert small.count("discovery") == 1
        small.before = lambda asked: None
        visit.time.ahead_ms = 10_001
        await visit.sign_in()
        await visit.sign_in()
        assert small.count("discovery") == 2
        visit.time.ahead_ms += 3_600_001
        await visit.oidc.begin(REDIRECT_URI)
        assert small.count("discovery") == 3

    asyncio.run(story())


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def flood(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def trickle(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (hang, "did not answer within 0.5 s"),
        (trickle, "did not answer within 0.5 s"),
        (flood, "larger than 256 KB"),
    ],
)
def test_a_provider_that_hangs_or_floods_costs_one_time_limit_for_all_who_wait(
    behave: Callable[[asyncio.StreamWriter], Awaitable[None]], said: str
) -> None:
    async def story() -> float:
        async with Socket(behave) as url:
            oidc = OidcProvider(oidc_settings(oidc_issuer=url), waits=Waits(call_s=0.5))
            began = time.monotonic()
            failures = await asyncio.gather(
                *(oidc.begin(REDIRECT_URI) for _ in range(20)), return_exceptions=True
            )
            took_s = time.monotonic() - began
        assert all(isinstance(failure, ProviderDownError) and said in str(failure) for failure in failures)
        return took_s

    assert asyncio.run(story()) < 2


def test_nobody_there_is_told_in_words() -> None:
    oidc = OidcProvider(oidc_settings(oidc_issuer="http://127.0.0.1:1"))
    failure = failure_of(lambda: oidc.begin(REDIRECT_URI))
    assert (failure.code, failure.transient) == ("provider_down", True)
    assert "could not be asked" in str(failure)


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS as somebody has it who is not the provider."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_a_provider_whose_certificate_nobody_vouches_for_is_told_nothing(tmp_path: Path) -> None:
    told: list[object] = []

    async def listen(writer: asyncio.StreamWriter) -> None:
        told.append(writer)

    async def story() -> None:
        async with Socket(listen, self_signed(tmp_path)) as url:
            oidc = OidcProvider(
                oidc_settings(oidc_issuer=url.replace("http://127.0.0.1", "https://localhost"))
            )
            await oidc.begin(REDIRECT_URI)

    failure = failure_of(story)
    assert failure.code == "provider_down"
    assert "certificate" in str(failure.for_log["cause"]).lower()
    assert told == []


@pytest.mark.parametrize(
    ("issuer", "by_proxy"), [("https://id.example.com", True), ("http://127.0.0.1:1", False)]
)
def test_the_environments_proxy_is_used_but_not_for_a_provider_on_this_machine(
    issuer: str, by_proxy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    async def listen(writer: asyncio.StreamWriter) -> None:
        told.append(writer)

    async def story() -> None:
        async with Socket(listen) as proxy:
            for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
                monkeypatch.setenv(name, proxy)
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            await OidcProvider(oidc_settings(oidc_issuer=issuer)).begin(REDIRECT_URI)

    assert failure_of(story).code == "provider_down"
    assert bool(told) is by_proxy


def test_finishing_has_a_limit_for_all_calls_together(small: SmallProvider) -> None:
    async def story() -> None:
        async with Socket(hang) as url:
            visit = Visit(small)
            oidc = OidcProvider(oidc_settings(oidc_issuer=url), waits=Waits(call_s=5, finish_s=0.2))
            address, kept = await visit.oidc.begin(REDIRECT_URI)
            await oidc.finish(kept, small.authorize(address), REDIRECT_URI)

    failure = failure_of(story)
    assert failure.code == "provider_down"
    assert "longer than 0.2 s" in str(failure)


def test_health_says_how_the_provider_stands_and_asks_it_twice_a_minute(small: SmallProvider) -> None:
    async def story() -> list[tuple[bool, int]]:
        visit = Visit(small)
        seen = []
        for later_ms in (0, 29_000, 2_000, 31_000):
            visit.time.ahead_ms += later_ms
            health = await visit.oidc.health()
            seen.append((health.passed, small.count("discovery")))
            assert 0 <= health.latency_ms < 1_000
            assert bool(health.note) is not health.passed
            small.before = lambda asked: Response("down", 503)
        return seen

    assert asyncio.run(story()) == [(True, 1), (True, 1), (False, 2), (False, 3)]


def test_health_of_a_provider_that_hangs_is_known_within_its_limit_and_then_at_once() -> None:
    async def story() -> None:
        async with Socket(hang) as url:
            oidc = OidcProvider(oidc_settings(oidc_issuer=url), waits=Waits(health_s=0.2))
            began = time.monotonic()
            first = await oidc.health()
            assert time.monotonic() - began < 10  # it hangs for 30
            assert not first.passed
            assert "did not answer" in first.note
            assert await oidc.health() is first, "it is asked again, and waited for"

    asyncio.run(story())


def test_without_an_issuer_there_is_no_provider() -> None:
    names = ("oidc_issuer", "oidc_client_id", "oidc_client_secret", "oidc_roles")
    assert open_provider(oidc_settings(**dict.fromkeys(names, ""))) is None
    provider = open_provider(oidc_settings(oidc_name="Auth0"))
    assert provider is not None
    assert provider.name == "Auth0"
    assert CLIENT_SECRET not in repr(vars(provider))
