"""What roles allow, what programs may be given, and which names are fit."""

import pytest

from payouts.errors import RefusedError
from payouts.people import PROGRAM_SCOPES, ROLE_SCOPES, Actor, Role, Scope, check_name, parse_scopes


def test_an_actor_without_the_scope_is_refused_and_told_which_it_takes() -> None:
    actor = Actor("anna", 1, 2, frozenset({"read", "credit"}))
    actor.require("credit")
    with pytest.raises(RefusedError, match="anna may not do this: it takes the scope approve") as refused:
        actor.require("approve")
    assert refused.value.code == "not_allowed"


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.VIEWER, "read"),
        (Role.OPERATOR, "read credit request operate"),
        (Role.APPROVER, "read approve"),
        (Role.ADMIN, "read credit request operate approve admin"),
    ],
)
def test_each_role_allows_what_it_is_for_and_no_more(role: Role, scopes: str) -> None:
    assert ROLE_SCOPES[role] == set(scopes.split())


def test_no_role_but_admin_can_both_ask_for_a_payout_and_approve() -> None:
    both = {Scope.REQUEST, Scope.APPROVE}
    assert [role for role in Role if both <= ROLE_SCOPES[role]] == [Role.ADMIN]


@pytest.mark.parametrize("scope", ["approve", "admin"])
def test_a_program_is_given_neither_approval_nor_administration(scope: str) -> None:
    with pytest.raises(RefusedError, match=f"a program cannot be given {scope}"):
        parse_scopes(f"read {scope}", PROGRAM_SCOPES, "a program")


def test_scopes_are_read_with_spaces_or_commas() -> None:
    assert parse_scopes("read, credit request", PROGRAM_SCOPES, "it") == {"read", "credit", "request"}


@pytest.mark.parametrize("text", ["", "  ", "reads", "read everything", "READ"])
def test_words_that_are_no_scopes_are_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="names no scopes"):
        parse_scopes(text, Scope, "anna")


@pytest.mark.parametrize("name", ["anna", "a", "anna.b@example.com", "operator-1", "x" * 64])
def test_fit_names_are_taken_as_they_are(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "Anna", "anna b", "-anna", "änna", "anna\n", "x" * 65),
        *("program:portal", "bootstrap", "system"),  # who else appears as an actor
    ],
)
def test_names_that_could_be_mistaken_for_another_are_refused(name: str) -> None:
    with pytest.raises(RefusedError) as refused:
        check_name(name)
    assert refused.value.code == "bad_name"
