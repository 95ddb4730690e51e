"""Groups become roles, and whoever the provider names gets a name that fits here."""

from itertools import islice

import pytest

from payouts.identity import Identity, parse_role_rules, possible_names
from payouts.people import Role, check_name

RULES = "viewer=*,operator=support,admin=payouts-admins,approver=finance, admin=owners"


def somebody(username: str = "", email: str = "", *, verified: bool = True, name: str = "") -> Identity:
    return Identity("sub-1", "https://id.example", name, email, verified, (), username)


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ([], Role.VIEWER),
        (["cooks"], Role.VIEWER),
        (["support"], Role.OPERATOR),
        (["support", "finance"], Role.APPROVER),
        (["finance", "owners", "support"], Role.ADMIN),
        (["Support"], Role.VIEWER),
        (["*"], Role.VIEWER),
    ],
)
def test_the_highest_role_of_all_groups_counts(groups: list[str], role: Role) -> None:
    found = parse_role_rules(RULES).role_of(groups)
    assert found is not None
    assert found[0] == role


def test_without_a_rule_for_everybody_a_stranger_gets_no_role() -> None:
    rules = parse_role_rules("admin=owners")
    assert rules.role_of(["cooks"]) is None
    assert rules.role_of([]) is None
    assert rules.role_of(["cooks", "owners"]) == (Role.ADMIN, "owners")


def test_a_group_may_hold_what_separates_role_and_group() -> None:
    assert parse_role_rules("viewer=cn=readers").role_of(["cn=readers"]) == (Role.VIEWER, "cn=readers")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("boss=owners", "'boss' is no role"),
        ("admin", "names no group"),
        ("admin=", "names no group"),
        ("admin=owners,", "'' is no role"),
        ("admin=*", "everybody an admin"),
        ("", "'' is no role"),
    ],
)
def test_rules_that_do_not_read_as_rules_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("*", r"\*")):
        parse_role_rules(text)


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (somebody("anna", "a@example.com"), "anna"),
        (somebody("", "Anna.B@Example.com"), "anna.b@example.com"),
        (somebody("Zoë Müller"), "zoe-muller"),
        (somebody("", "other@example.com", verified=False, name="Anna Smith"), "anna-smith"),
        (somebody("  -anna!! "), "anna"),
        (somebody("x" * 200), "x" * 64),
        (somebody("system"), "system-2"),
        (somebody("bootstrap"), "bootstrap-2"),
        (somebody("Sign-In"), "sign-in-2"),
        (somebody("program:portal"), "program-portal"),
    ],
)
def test_a_name_is_made_of_what_the_provider_says(identity: Identity, name: str) -> None:
    assert next(possible_names(identity)) == name


def test_somebody_of_whom_nothing_can_be_spelled_is_named_by_their_subject() -> None:
    first, other = (next(possible_names(who)) for who in (somebody("日本"), somebody("山田")))
    assert first == other
    assert first.startswith("person-")


@pytest.mark.parametrize("username", ["x" * 64, "anna", "日本", "a-" * 60, "." * 70 + "a", "anna@"])
def test_every_name_that_is_tried_fits_and_is_another_one(username: str) -> None:
    names = list(islice(possible_names(somebody(username)), 300))
    assert [check_name(name) for name in names] == names
    assert len(set(names)) == 300
