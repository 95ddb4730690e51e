"""Whom an identity provider vouches for is let in as the right person, with the role of their groups."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from payouts.access import Step, add_person, bootstrap, deactivate, give_person_token
from payouts.audit import START, verify
from payouts.directory import admit_identity
from payouts.errors import RefusedError, SignInError
from payouts.identity import Identity, parse_role_rules
from payouts.ids import IdMaker
from payouts.people import Role
from payouts.storage import audit_rows
from payouts.storage.people_rows import authenticate, lock_person
from payouts.storage.queries import Filters, reading
from payouts.storage.unit import in_transaction
from payouts.tokens import Person

NOW_MS = 1_795_000_000_000
RULES = "admin=owners,approver=finance,operator=support"
ANNA = Identity("auth0|1", "https://id.example.com/", "Anna B", "anna@example.com", True, ("support",))


class Door:
    """Lets people in, a transaction each, as the page does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.make_id = IdMaker()

    def do(self, work: Callable[[Step], object]) -> None:
        in_transaction(self.engine, lambda connection: work(self.step(connection, "boss")))

    def step(self, connection: Connection, actor: str = "") -> Step:
        return Step(connection, self.make_id, NOW_MS, actor)

    def admit(self, who: Identity, rules: str = RULES) -> Person:
        return in_transaction(
            self.engine,
            lambda connection: admit_identity(self.step(connection), who, parse_role_rules(rules)),
        )

    def in_groups(self, *groups: str, rules: str = RULES) -> Person:
        return self.admit(replace(ANNA, groups=groups), rules)

    def trail(self) -> list[tuple[str, str, str]]:
        with reading(self.engine) as connection:
            rows = audit_rows.entry_list(connection, Filters({}), 100)
        return [(row["actor"], row["action"], row["subject"]) for row in rows[::-1]]

    def people(self) -> Sequence[tuple[str, str]]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT name, role FROM people ORDER BY id"))
            return [(row.name, row.role) for row in rows]


@pytest.fixture
def door(shared_engine: Engine) -> Door:
    return Door(shared_engine)


def test_a_first_sign_in_adds_the_person_and_the_log_says_so(door: Door) -> None:
    person = door.admit(ANNA)
    assert (person.name, person.role, person.active) == ("anna@example.com", Role.OPERATOR, True)
    assert door.trail() == [
        ("sign-in", "person.add", "person:anna@example.com"),
        ("sign-in", "person.identity", "person:anna@example.com"),
    ]


def test_a_later_sign_in_finds_the_same_person_and_writes_nothing(door: Door) -> None:
    first = door.admit(ANNA)
    renamed = replace(ANNA, name="Anna C", email="anna.c@example.com", username="anna-c")
    assert door.admit(renamed) == first
    assert len(door.trail()) == 2


def test_an_address_that_became_anothers_does_not_become_the_person(door: Door) -> None:
    first = door.admit(ANNA)
    heir = door.admit(replace(ANNA, subject="auth0|2"))
    elsewhere = door.admit(replace(ANNA, issuer="https://other.example.com/"))
    other_case = door.admit(replace(ANNA, subject="AUTH0|1"))
    assert len({person.id for person in (first, heir, elsewhere, other_case)}) == 4
    assert [name for name, _ in door.people()] == [
        "anna@example.com",
        "anna@example.com-2",
        "anna@example.com-3",
        "anna@example.com-4",
    ]


def test_a_person_added_here_under_the_same_name_stays_somebody_else(door: Door) -> None:
    door.do(lambda step: add_person(step, "anna@example.com", Role.ADMIN))
    assert door.admit(ANNA).name == "anna@example.com-2"
    assert door.people()[0] == ("anna@example.com", Role.ADMIN)


@pytest.mark.parametrize("username", ["", "anna-of-old"], ids=["same name", "renamed meanwhile"])
def test_two_first_sign_ins_at_once_are_one_person(door: Door, username: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        with door.engine.begin() as connection:
            first = admit_identity(door.step(connection), ANNA, parse_role_rules(RULES))
            other = pool.submit(door.admit, replace(ANNA, username=username))
            time.sleep(0.3)  # the other has come as far as it can before this one commits
        assert other.result(30) == first
    assert door.people() == [("anna@example.com", "operator")]


def test_two_people_of_one_name_at_once_are_two(door: Door) -> None:
    with ThreadPoolExecutor(1) as pool:
        with door.engine.begin() as connection:
            admit_identity(door.step(connection), ANNA, parse_role_rules(RULES))
            other = pool.submit(door.admit, replace(ANNA, subject="auth0|2"))
            time.sleep(0.3)
        assert other.result(30).name == "anna@example.com-2"


def test_without_a_group_that_gives_a_role_nobody_is_let_in_or_added(door: Door) -> None:
    with pytest.raises(SignInError, match="OIDC_ROLES") as refused:
        door.in_groups("cooks")
    assert refused.value.code == "no_role"
    assert "cooks" not in str(refused.value)
    assert refused.value.for_log["groups"] == ("cooks",)
    assert door.people() == []
    assert door.trail() == []


def test_who_lost_every_group_is_not_let_in_any_more(door: Door) -> None:
    door.in_groups("owners")
    with pytest.raises(SignInError) as refused:
        door.in_groups()
    assert refused.value.code == "no_role"


def test_other_groups_change_the_role_on_record(door: Door) -> None:
    door.do(lambda step: bootstrap(step, "boss", 90))
    before = len(door.trail())
    roles = [door.in_groups(group).role for group in ("support", "finance", "owners", "support")]
    assert roles == [Role.OPERATOR, Role.APPROVER, Role.ADMIN, Role.OPERATOR]
    assert door.people()[-1] == ("anna@example.com", "operator")
    assert [(actor, action) for actor, action, _ in door.trail()[before + 2 :]] == [
        ("sign-in", "person.role")
    ] * 3
    with reading(door.engine) as connection:
        last = audit_rows.entry_list(connection, Filters({}), 1)[0]
        assert last["details"] == {"from": "admin", "to": "operator", "group": "support"}
        chain = audit_rows.next_chain(connection)
        assert chain is not None
        head = audit_rows.head_of(connection, chain) or START
        assert verify(audit_rows.walk(connection, chain, head), head) is None


def test_a_role_that_was_taken_away_counts_for_tokens_at_once(door: Door) -> None:
    door.in_groups("finance")
    with door.engine.begin() as connection:
        step = door.step(connection, "boss")
        given = give_person_token(step, lock_person(connection, "anna@example.com"), "mine", None, 9)
    assert "approve" in authenticate(door.engine, given.secret, NOW_MS).scopes
    door.in_groups("support")
    assert authenticate(door.engine, given.secret, NOW_MS).scopes == {"read"}


def test_who_was_deactivated_here_stays_out_whatever_the_provider_says(door: Door) -> None:
    door.admit(ANNA)
    door.do(lambda step: deactivate(step, "anna@example.com"))
    before = door.trail()
    for groups in (("support",), ("owners",)):
        with pytest.raises(SignInError, match="was deactivated here") as refused:
            door.in_groups(*groups)
        assert refused.value.code == "inactive"
    assert door.people() == [("anna@example.com", "operator")]
    assert door.trail() == before


def test_the_provider_may_take_the_last_admin_away_while_it_can_appoint_another(door: Door) -> None:
    door.in_groups("owners")
    assert door.in_groups("support").role == Role.OPERATOR
    heir = replace(ANNA, subject="auth0|2", groups=("owners",))
    assert door.admit(heir).role == Role.ADMIN


def test_the_last_admin_is_not_taken_away_by_a_provider_that_can_appoint_none(door: Door) -> None:
    door.in_groups("owners")
    with pytest.raises(SignInError, match="payouts people add NAME --role admin") as refused:
        door.in_groups("support", rules="operator=support")
    assert refused.value.code == "last_admin"
    assert door.people() == [("anna@example.com", "admin")]

    door.do(lambda step: add_person(step, "boss", Role.ADMIN))
    assert door.in_groups("support", rules="operator=support").role == Role.OPERATOR


def test_a_name_that_only_the_service_may_have_is_given_to_nobody(door: Door) -> None:
    assert door.admit(replace(ANNA, username="sign-in")).name == "sign-in-2"
    with pytest.raises(RefusedError) as refused:
        door.do(lambda step: add_person(step, "sign-in", Role.VIEWER))
    assert refused.value.code == "bad_name"
