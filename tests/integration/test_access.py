"""People and tokens on every kind of database: who is let in, who may let in, and what is kept of it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.access import (
    Given,
    Step,
    add_person,
    bootstrap,
    deactivate,
    give_person_token,
    give_program_token,
    revoke_token,
)
from payouts.audit import START, verify
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.people import Role
from payouts.storage import audit_rows
from payouts.storage.engine import build_engine
from payouts.storage.people_rows import authenticate, lock_person, lock_token, people_list, token_list
from payouts.storage.queries import Filters, reading
from payouts.tokens import DAY_MS, TokenError, new_token
from tests.support.databases import bring_up_to_date

NOW_MS = 1_795_000_000_000
T = TypeVar("T")
ALL = "admin approve credit operate read request"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database of each kind, without people."""
    made = build_engine(database_url, timeout_s=20, pool_size=5)
    bring_up_to_date(made)
    yield made
    made.dispose()


class Office:
    """Does one action a transaction, as the commands do."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.make_id = IdMaker()

    def do(self, work: Callable[[Step], T], actor: str = "anna", at_ms: int = NOW_MS) -> T:
        with self.engine.begin() as connection:
            return work(Step(connection, self.make_id, at_ms, actor, "as agreed"))

    def first(self, name: str = "anna", at_ms: int = NOW_MS) -> Given:
        return self.do(lambda step: bootstrap(step, name, 90), actor="", at_ms=at_ms)

    def add(self, name: str, role: Role) -> Given:
        return self.do(lambda step: give_person_token(step, add_person(step, name, role), "first", None, 90))

    def trail(self) -> list[tuple[str, str, str]]:
        with reading(self.engine) as connection:
            rows = audit_rows.entry_list(connection, Filters({}), 100)
        return [(row["actor"], row["action"], row["subject"]) for row in rows[::-1]]


@pytest.fixture
def office(engine: Engine) -> Office:
    return Office(engine)


def last_used(engine: Engine) -> int | None:
    with engine.connect() as connection:
        found: int | None = connection.execute(sa.text("SELECT last_used_at_ms FROM tokens")).scalar_one()
    return found


def test_the_first_admin_needs_no_token_and_the_log_says_so(office: Office) -> None:
    given = office.first()
    actor = authenticate(office.engine, given.secret, NOW_MS)
    assert (actor.name, " ".join(sorted(actor.scopes))) == ("anna", ALL)
    assert office.trail() == [
        ("bootstrap", "bootstrap", "person:anna"),
        ("bootstrap", "person.add", "person:anna"),
        ("bootstrap", "token.create", f"token:{given.token.id}"),
    ]


def test_nobody_makes_himself_admin_while_there_is_one(office: Office) -> None:
    office.first()
    with pytest.raises(RefusedError, match="set PAYOUTS_TOKEN") as refused:
        office.first("mallory")
    assert refused.value.code == "not_signed_in"
    with reading(office.engine) as connection:
        assert [row["name"] for row in people_list(connection, Filters({}), 10)] == ["anna"]


def test_of_two_first_admins_at_once_one_becomes_it(office: Office) -> None:
    with ThreadPoolExecutor(1) as pool:
        with office.engine.begin() as connection:
            bootstrap(Step(connection, office.make_id, NOW_MS, "", None), "anna", 90)
            other = pool.submit(office.first, "bert")
            time.sleep(0.3)  # the other has come as far as it can before this one commits
        with pytest.raises(RefusedError, match="there is an admin"):
            other.result(30)


def test_an_admin_whose_tokens_all_ended_is_let_in_anew_by_whoever_has_the_database(office: Office) -> None:
    office.first()
    later = NOW_MS + 91 * DAY_MS
    given = office.first(at_ms=later)
    assert authenticate(office.engine, given.secret, later).name == "anna"


def test_somebody_who_is_no_admin_does_not_become_one_that_way(office: Office) -> None:
    first = office.first()
    office.add("bert", Role.VIEWER)
    office.do(lambda step: revoke_token(step, first.token.id))
    with pytest.raises(RefusedError, match="called bert already"):
        office.first("bert")


@pytest.mark.parametrize(
    ("end", "at_ms", "code"),
    [
        (lambda step, given: revoke_token(step, given.token.id), NOW_MS, "token_revoked"),
        (lambda step, given: deactivate(step, "bert"), NOW_MS, "token_revoked"),
        (lambda step, given: None, NOW_MS + 90 * DAY_MS, "token_expired"),
    ],
    ids=["revoked", "deactivated", "expired"],
)
def test_a_token_that_ended_lets_nobody_in(
    office: Office, end: Callable[[Step, Given], object], at_ms: int, code: str
) -> None:
    office.first()
    given = office.add("bert", Role.OPERATOR)
    assert authenticate(office.engine, given.secret, NOW_MS).name == "bert"
    office.do(lambda step: end(step, given))
    with pytest.raises(TokenError) as refused:
        authenticate(office.engine, given.secret, at_ms)
    assert refused.value.code == code


def test_a_token_that_was_never_made_lets_nobody_in(office: Office) -> None:
    office.first()
    with pytest.raises(TokenError, match="not known here"):
        authenticate(office.engine, new_token(), NOW_MS)


def test_a_program_acts_under_its_own_name_with_what_it_was_given(office: Office) -> None:
    office.first()
    given = office.do(lambda step: give_program_token(step, "portal", "credit read", 30))
    actor = authenticate(office.engine, given.secret, NOW_MS)
    assert (actor.name, actor.person_id, actor.scopes) == ("program:portal", None, {"credit", "read"})
    with pytest.raises(RefusedError, match="it takes the scope request"):
        actor.require("request")


def test_a_person_gets_no_token_that_the_role_does_not_cover(office: Office) -> None:
    office.first()
    office.add("bert", Role.OPERATOR)
    with pytest.raises(RefusedError, match=r"bert \(operator\) cannot be given approve"):
        office.do(
            lambda step: give_person_token(step, lock_person(step.connection, "bert"), "x", "approve", 9)
        )


def test_the_last_admin_stays(office: Office) -> None:
    office.first()
    office.add("bert", Role.OPERATOR)
    with pytest.raises(RefusedError) as refused:
        office.do(lambda step: deactivate(step, "anna"))
    assert refused.value.code == "last_admin"
    office.add("carla", Role.ADMIN)
    office.do(lambda step: deactivate(step, "anna"))
    with pytest.raises(RefusedError, match="carla is the last admin"):
        office.do(lambda step: deactivate(step, "carla"))


def test_two_admins_who_deactivate_each_other_at_once_do_not_both_go(office: Office) -> None:
    office.first()
    office.add("bert", Role.ADMIN)
    with ThreadPoolExecutor(1) as pool:
        with office.engine.begin() as connection:
            deactivate(Step(connection, office.make_id, NOW_MS, "bert", None), "anna")
            other = pool.submit(office.do, lambda step: deactivate(step, "bert"))
            time.sleep(0.3)  # the other has come as far as it can before this one commits
        with pytest.raises(RefusedError, match="bert is the last admin"):
            other.result(30)
    with reading(office.engine) as connection:
        active = [row["name"] for row in people_list(connection, Filters({}), 10) if row["active"]]
    assert len(active) == 1


def test_what_was_refused_leaves_no_trace_of_having_happened(office: Office) -> None:
    office.first()
    before = office.trail()
    with pytest.raises(RefusedError):
        office.do(lambda step: deactivate(step, "anna"))
    with pytest.raises(NotFoundError, match="there is no person bert"):
        office.do(lambda step: deactivate(step, "bert"))
    assert office.trail() == before


def test_a_name_is_never_used_again(office: Office) -> None:
    office.first()
    office.add("bert", Role.OPERATOR)
    office.do(lambda step: deactivate(step, "bert"))
    with pytest.raises(RefusedError, match="names are never used again"):
        office.add("bert", Role.OPERATOR)
    with pytest.raises(RefusedError, match="was deactivated and gets no tokens"):
        office.do(lambda step: give_person_token(step, lock_person(step.connection, "bert"), "x", None, 9))


def test_a_token_is_revoked_once(office: Office) -> None:
    given = office.first()
    office.do(lambda step: revoke_token(step, given.token.id))
    with pytest.raises(RefusedError, match="was revoked before"):
        office.do(lambda step: revoke_token(step, given.token.id))
    with pytest.raises(NotFoundError, match="there is no token 1"):
        office.do(lambda step: lock_token(step.connection, 1))


def test_the_use_of_a_token_is_noted_at_most_once_a_minute(office: Office) -> None:
    given = office.first()
    seen = []
    for at_ms in (NOW_MS, NOW_MS + 59_999, NOW_MS + 60_000, NOW_MS + 60_001):
        authenticate(office.engine, given.secret, at_ms)
        seen.append(last_used(office.engine))
    assert seen == [NOW_MS, NOW_MS, NOW_MS + 60_000, NOW_MS + 60_000]


def test_neither_the_database_nor_a_list_holds_a_token(office: Office) -> None:
    given = [office.first(), office.add("bert", Role.APPROVER)]
    given.append(office.do(lambda step: give_program_token(step, "portal", "credit", 30)))
    with office.engine.connect() as connection:
        stored = [
            str(tuple(row))
            for table in ("people", "tokens", "audit", "audit_chains")
            for row in connection.execute(sa.text(f"SELECT * FROM {table}"))
        ]
    with reading(office.engine) as connection:
        listed = token_list(connection, Filters({}), 10)
    assert [row["person"] for row in listed] == [None, "bert", "anna"]
    for one in given:
        assert not [row for row in stored if one.secret in row or one.secret[3:] in row]
        assert one.secret not in repr(one)
        assert not [row for row in listed if one.token.digest in map(str, row.values())]


def test_the_log_of_all_this_is_a_whole_chain(office: Office) -> None:
    given = office.first()
    office.add("bert", Role.ADMIN)
    office.do(lambda step: revoke_token(step, given.token.id), actor="bert")
    office.do(lambda step: deactivate(step, "anna"), actor="bert")
    assert [entry[:2] for entry in office.trail()[3:]] == [
        ("anna", "person.add"),
        ("anna", "token.create"),
        ("bert", "token.revoke"),
        ("bert", "person.deactivate"),
    ]
    with reading(office.engine) as connection:
        chain = audit_rows.next_chain(connection)
        assert chain is not None
        head = audit_rows.head_of(connection, chain) or START
        assert head.number == 7
        assert verify(audit_rows.walk(connection, chain, head), head) is None
