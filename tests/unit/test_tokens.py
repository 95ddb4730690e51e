"""Whom a token lets in, and how long."""

import dataclasses
import hashlib

import pytest

from payouts.errors import RefusedError
from payouts.logs import redact
from payouts.people import Role
from payouts.tokens import DAY_MS, MAX_DAYS, Person, Token, TokenError, admit, digest_of, expiry, new_token

NOW_MS = 1_795_000_000_000
SECRET = "pt_" + "a" * 43
ANNA = Person(7, "platform", "anna", Role.APPROVER, True, NOW_MS)
LAPTOP = Token(
    id=1,
    account="platform",
    name="laptop",
    person_id=7,
    digest=digest_of(SECRET),
    scopes="approve read",
    created_at_ms=NOW_MS - DAY_MS,
    created_by="bert",
    expires_at_ms=NOW_MS + 1,
)


def test_a_token_of_an_active_person_acts_in_their_name() -> None:
    actor, _ = admit(LAPTOP.digest, LAPTOP, ANNA, NOW_MS)
    assert (actor.name, actor.person_id, actor.token_id) == ("anna", 7, 1)
    assert actor.scopes == {"approve", "read"}


def test_a_token_never_allows_more_than_the_role_does() -> None:
    wide = dataclasses.replace(LAPTOP, scopes="admin approve read")
    assert admit(wide.digest, wide, ANNA, NOW_MS)[0].scopes == {"approve", "read"}


def test_a_narrow_token_does_not_allow_all_that_the_role_does() -> None:
    narrow = dataclasses.replace(LAPTOP, scopes="read")
    assert admit(narrow.digest, narrow, ANNA, NOW_MS)[0].scopes == {"read"}


def test_a_program_never_passes_for_the_person_of_the_same_name() -> None:
    program = dataclasses.replace(LAPTOP, name="anna", person_id=None)
    actor, _ = admit(program.digest, program, None, NOW_MS)
    assert (actor.name, actor.person_id) == ("program:anna", None)


@pytest.mark.parametrize(
    ("changes", "at_ms", "code", "said"),
    [
        ({}, NOW_MS + 1, "token_expired", "expired on 2026-11-1"),
        ({"revoked_at_ms": NOW_MS - 5}, NOW_MS, "token_revoked", "was revoked on 2026-11-1"),
        ({"digest": "0" * 64}, NOW_MS, "token_unknown", "not known here"),
    ],
)
def test_a_token_that_lets_nobody_in_says_why_and_what_to_do(
    changes: dict[str, object], at_ms: int, code: str, said: str
) -> None:
    found = dataclasses.replace(LAPTOP, **changes)  # type: ignore[arg-type]
    with pytest.raises(TokenError, match=said) as refused:
        admit(LAPTOP.digest, found, ANNA, at_ms)
    assert refused.value.code == code
    assert "payouts token create" in str(refused.value)


def test_a_token_of_somebody_deactivated_lets_nobody_in() -> None:
    gone = dataclasses.replace(ANNA, active=False)
    with pytest.raises(TokenError, match="anna, who was deactivated"):
        admit(LAPTOP.digest, LAPTOP, gone, NOW_MS)


def test_a_token_whose_person_is_not_there_lets_nobody_in() -> None:
    with pytest.raises(TokenError, match="not there"):
        admit(LAPTOP.digest, LAPTOP, None, NOW_MS)


def test_tokens_differ_and_only_their_sha_256_is_kept() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert {len(token) for token in made} == {46}
    some = made.pop()
    assert digest_of(some) == hashlib.sha256(some.encode()).hexdigest()


@pytest.mark.parametrize("text", ["", "hunter2", "pt_short", "pt_" + "ä" * 43, SECRET + "\n", "x" + SECRET])
def test_what_is_no_token_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(TokenError) as refused:
        digest_of(text)
    assert refused.value.code == "token_unknown"
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("days", [0, -1, MAX_DAYS + 1])
def test_a_token_lives_between_a_day_and_a_year(days: int) -> None:
    with pytest.raises(RefusedError, match="1 to 365 days"):
        expiry(days, NOW_MS)
    assert expiry(MAX_DAYS, NOW_MS) == NOW_MS + 365 * DAY_MS


def test_neither_a_repr_nor_a_log_line_shows_a_token_or_its_digest() -> None:
    token = new_token()
    assert LAPTOP.digest not in repr(LAPTOP)
    assert token not in redact(f"with {token} and 'Bearer {token}'")
    assert token[10:] not in redact(f'{{"token":"{token}"}}')


def test_words_that_end_like_the_prefix_stay_in_log_lines() -> None:
    assert redact("receipt_number attempt_1 opt_out") == "receipt_number attempt_1 opt_out"
