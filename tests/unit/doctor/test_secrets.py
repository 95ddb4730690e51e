"""Signing secrets and the key: what is wrong with them is said, and none of them is shown."""

from typing import Any

import pytest

from payouts.doctor.finding import Check, Finding, Level
from payouts.doctor.secrets import SecretFacts, SecretUse, judge_secrets, judge_use
from payouts.fingerprint import fingerprint, label

ONE, TWO = "whsec_4Hn2kPq8sT1vWx5yZb7cDf9gJm3rLoA6", "whsec_Z9y8X7w6V5u4T3s2R1q0P9o8N7m6L5k4"
KEY = "sk_test_51AbCdEfGhIjKl"
NOW_MS = 1_790_000_000_000


def facts(**changed: Any) -> SecretFacts:
    return SecretFacts(**{"platform": [ONE], "connect": [TWO], "api_key": KEY, "livemode": False, **changed})


def wrong(found: list[Finding]) -> list[tuple[Check, Level]]:
    text = " ".join(f"{each.text} {each.remedy}" for each in found) + repr(found)
    assert not any(secret[6:12] in text for secret in (ONE, TWO, KEY))
    assert all(each.remedy for each in found if each.level != Level.OK)
    return [(each.check, each.level) for each in found if each.level != Level.OK]


def test_two_real_secrets_and_a_key_of_the_same_mode_are_fine() -> None:
    assert wrong(judge_secrets(facts())) == []
    assert wrong(judge_secrets(facts(api_key="rk_live_51AbCdEf", livemode=True))) == []


def test_facts_show_no_secret() -> None:
    assert not any(secret in repr(facts()) for secret in (ONE, TWO, KEY))


def test_missing_secrets_are_named_by_their_setting() -> None:
    (finding,) = [each for each in judge_secrets(facts(connect=[])) if each.check == Check.SECRETS]
    assert finding.level == Level.WARNING
    assert "STRIPE_CONNECT_WEBHOOK_SECRET" in finding.text
    assert wrong(judge_secrets(facts(platform=[], connect=[]))) == [(Check.SECRETS, Level.BAD)]


@pytest.mark.parametrize(
    ("secret", "level"),
    [
        ("sk_test_51AbCdEfGhIjKlMnOpQrStUvWxYz", Level.BAD),
        ("whsec_...", Level.BAD),
        ("whsec_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", Level.BAD),
        ("whsec_changeme_changeme_changeme_12", Level.BAD),
        ("whsec_11111111111111111111111111111111", Level.BAD),
        ("whsec_<paste the secret of the endpoint here>", Level.BAD),
        ("whsec_Ab3De6Gh9", Level.WARNING),
    ],
)
def test_what_is_no_secret_of_stripes_is_named_by_its_fingerprint(secret: str, level: Level) -> None:
    found = judge_secrets(facts(platform=[ONE, secret]))
    (form,) = [each for each in found if each.check == Check.SECRET_FORM]
    assert form.level == level
    assert f"platform:{fingerprint(secret)}" in form.text
    assert secret not in form.text


@pytest.mark.parametrize("lists", [([ONE, ONE], [TWO]), ([ONE, TWO], [TWO])])
def test_a_secret_that_is_set_twice_is_a_warning(lists: tuple[list[str], list[str]]) -> None:
    platform, connect = lists
    found = judge_secrets(facts(platform=platform, connect=connect))
    assert wrong(found) == [(Check.SECRET_REPEATS, Level.WARNING)]


@pytest.mark.parametrize(
    ("key", "livemode", "level"),
    [
        ("sk_test_1", True, Level.BAD),
        ("rk_live_1", False, Level.BAD),
        ("pk_test_1", False, Level.BAD),
        ("", False, Level.WARNING),
    ],
)
def test_a_key_that_does_not_fit_the_mode_is_found(key: str, livemode: bool, level: Level) -> None:
    assert wrong(judge_secrets(facts(api_key=key, livemode=livemode))) == [(Check.KEY_MODE, level)]


def test_a_secret_that_signed_nothing_of_late_is_named() -> None:
    use = SecretUse({label("platform", ONE): 40}, NOW_MS - 3_600_000)
    (found,) = judge_use(facts(), use, NOW_MS)
    assert (found.check, found.level) == (Check.SECRET_USE, Level.WARNING)
    assert label("connect", TWO) in found.text
    assert label("platform", ONE) not in found.text


def test_secrets_that_all_sign_are_fine_and_without_events_nothing_shows_it() -> None:
    both = SecretUse({label("platform", ONE): 40, label("connect", TWO): 2}, NOW_MS - 3_600_000)
    assert wrong(judge_use(facts(), both, NOW_MS)) == []
    assert wrong(judge_use(facts(), SecretUse({}, None), NOW_MS)) == [(Check.SECRET_USE, Level.WARNING)]
