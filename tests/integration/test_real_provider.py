"""Signing in at a certified provider, whose forms are filled in as a person would."""

import asyncio

import pytest

from console.web.oidc import OidcProvider
from payouts.errors import SignInError
from payouts.identity import Identity
from tests.support.identity_provider import oidc_settings
from tests.support.real_provider import REDIRECT_URI, RealProvider, cancel_at, sign_in_as


def sign_in(oidc: OidcProvider, login: str, **change: str) -> Identity:
    async def visit() -> Identity:
        url, kept = await oidc.begin(REDIRECT_URI)
        query = await asyncio.to_thread(sign_in_as, login, url)
        return await oidc.finish(kept | change, query, REDIRECT_URI)

    return asyncio.run(visit())


def test_somebody_signs_in_with_groups_from_userinfo(real_provider: RealProvider) -> None:
    who = sign_in(OidcProvider(oidc_settings(**real_provider.settings)), "anna")
    assert who == Identity(
        *("anna", real_provider.issuer, "Anna B", "anna@example.com", True), ("owners",), username="anna"
    )


def test_somebody_without_groups_has_none(real_provider: RealProvider) -> None:
    who = sign_in(OidcProvider(oidc_settings(**real_provider.settings)), "carla")
    assert (who.groups, who.email_verified) == ((), False)


def test_a_code_of_another_verifier_is_not_taken(real_provider: RealProvider) -> None:
    with pytest.raises(SignInError, match="did not take the code") as refused:
        sign_in(OidcProvider(oidc_settings(**real_provider.settings)), "anna", verifier="x" * 43)
    assert refused.value.code == "code_refused"


def test_a_nonce_of_another_sign_in_is_not_taken(real_provider: RealProvider) -> None:
    with pytest.raises(SignInError, match="nonce") as refused:
        sign_in(OidcProvider(oidc_settings(**real_provider.settings)), "anna", nonce="x" * 43)
    assert refused.value.code == "id_token_bad"


def test_a_wrong_secret_is_not_taken(real_provider: RealProvider) -> None:
    settings = oidc_settings(**real_provider.settings | {"oidc_client_secret": "wrong"})
    with pytest.raises(SignInError, match="invalid_client") as refused:
        sign_in(OidcProvider(settings), "anna")
    assert "OIDC_CLIENT_SECRET" in str(refused.value)


def test_a_code_is_good_for_once(real_provider: RealProvider) -> None:
    async def twice() -> None:
        oidc = OidcProvider(oidc_settings(**real_provider.settings))
        url, kept = await oidc.begin(REDIRECT_URI)
        query = await asyncio.to_thread(sign_in_as, "anna", url)
        await oidc.finish(kept, query, REDIRECT_URI)
        await oidc.finish(kept, query, REDIRECT_URI)

    with pytest.raises(SignInError) as refused:
        asyncio.run(twice())
    assert refused.value.code == "code_refused"


def test_the_answer_names_its_issuer_and_one_of_another_is_refused(real_provider: RealProvider) -> None:
    async def visit(iss: str | None) -> Identity:
        oidc = OidcProvider(oidc_settings(**real_provider.settings))
        url, kept = await oidc.begin(REDIRECT_URI)
        query = await asyncio.to_thread(sign_in_as, "anna", url)
        assert query.pop("iss") == real_provider.issuer
        return await oidc.finish(kept, query | ({} if iss is None else {"iss": iss}), REDIRECT_URI)

    for iss in (None, "https://other.example.com"):
        with pytest.raises(SignInError) as refused:
            asyncio.run(visit(iss))
        assert refused.value.code == "issuer_wrong"


def test_who_cancels_there_is_told_that_the_provider_did_not_sign_them_in(
    real_provider: RealProvider,
) -> None:
    async def visit() -> None:
        oidc = OidcProvider(oidc_settings(**real_provider.settings))
        url, kept = await oidc.begin(REDIRECT_URI)
        await oidc.finish(kept, await asyncio.to_thread(cancel_at, url), REDIRECT_URI)

    with pytest.raises(SignInError, match="access_denied") as refused:
        asyncio.run(visit())
    assert refused.value.code == "provider_refused"


def test_its_health_is_asked_for_over_the_network(real_provider: RealProvider) -> None:
    health = asyncio.run(OidcProvider(oidc_settings(**real_provider.settings)).health())
    assert (health.passed, health.note) == (True, "")
