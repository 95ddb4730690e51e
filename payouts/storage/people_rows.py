"""People and their tokens as rows, and who a token stands for."""

from typing import Any

from sqlalchemy import Connection, Engine, select, update

from payouts.errors import NotFoundError
from payouts.people import PROGRAM_PREFIX, Actor, Role, Scope
from payouts.storage.engine import is_contention
from payouts.storage.paging import page
from payouts.storage.people_tables import people, tokens
from payouts.storage.queries import Filters, reading
from payouts.storage.records import Records
from payouts.tokens import (
    Person,
    Token,
    admit,
    digest_of,
    use_is_worth_noting,
)

PEOPLE = Records(people, Person, fixed={"id", "account", "name", "created_at_ms"}, reads={"role": Role})
TOKENS = Records(
    tokens,
    Token,
    fixed={"id", "account", "name", "person_id", "digest", "scopes", "created_at_ms", "created_by"},
    reads={},
)


def authenticate(engine: Engine, token: str, at_ms: int) -> Actor:
    """Who `token` stands for. TokenError, with what to do, where it lets nobody in.

    Its use is noted at most once a minute; where the database is too busy for that, it is left out.
    """
    actor, found = look_up(engine, token, at_ms)
    if use_is_worth_noting(found, at_ms):
        _note_use(engine, found.id, at_ms)
    return actor


def look_up(engine: Engine, token: str, at_ms: int) -> tuple[Actor, Token]:
    """As `authenticate`, with what is kept of the token, and without a note of its use."""
    digest = digest_of(token)
    with reading(engine) as connection:
        found = token_by_digest(connection, digest)
        person = None
        if found is not None and found.person_id is not None:
            person = person_of(connection, found.person_id)
    return admit(digest, found, person, at_ms)


def person_of(connection: Connection, person_id: int) -> Person | None:
    """The person with this row id, read without a lock."""
    return next(iter(PEOPLE.find(connection, people.c.id == person_id)), None)


def token_by_digest(connection: Connection, digest: str) -> Token | None:
    """The token with this digest, read without a lock."""
    return next(iter(TOKENS.find(connection, tokens.c.digest == digest)), None)


def live_digests(engine: Engine, at_ms: int, most: int) -> frozenset[str]:
    """The digests of tokens that are neither revoked nor expired: of the newest, `most` at the most."""
    query = (
        select(tokens.c.digest)
        .where(tokens.c.revoked_at_ms.is_(None), tokens.c.expires_at_ms > at_ms)
        .order_by(tokens.c.id.desc())
        .limit(most)
    )
    with reading(engine) as connection:
        return frozenset(connection.scalars(query))


def token_of(connection: Connection, token_id: int) -> Token | None:
    """The token with this row id, read without a lock."""
    return next(iter(TOKENS.find(connection, tokens.c.id == token_id)), None)


def name_of(connection: Connection, digest: str) -> str | None:
    """The person or program whose token has this digest, good or not; None where there is no such token."""
    found = token_by_digest(connection, digest)
    if found is None:
        return None
    if found.person_id is None:
        return PROGRAM_PREFIX + found.name
    person = person_of(connection, found.person_id)
    return None if person is None else person.name


def _note_use(engine: Engine, token_id: int, at_ms: int) -> None:
    try:
        with engine.begin() as connection:
            connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at_ms=at_ms))
    except Exception as error:
        if not is_contention(error):
            raise


def lock_person(connection: Connection, name: str) -> Person:
    """The person called `name`, locked until the transaction ends. NotFoundError where there is none."""
    found = PEOPLE.all(connection, PEOPLE.query(people.c.name == name).with_for_update())
    if not found:
        raise NotFoundError(f"there is no person {name}: `payouts people list` names them")
    return found[0]


def find_person(connection: Connection, name: str) -> Person | None:
    """The person called `name`, read without a lock."""
    return next(iter(PEOPLE.find(connection, people.c.name == name)), None)


def lock_token(connection: Connection, token_id: int) -> Token:
    """The token with this row id, locked until the transaction ends. NotFoundError where there is none."""
    found = TOKENS.lock(connection, tokens.c.id, [token_id])
    if not found:
        raise NotFoundError(f"there is no token {token_id}: `payouts token list` shows their ids")
    return found[0]


def maker_of(connection: Connection, token_id: int | None) -> int | None:
    """The row id of the person who made a token; None where nobody is known."""
    query = select(people.c.id).join(tokens, tokens.c.created_by == people.c.name)
    maker: int | None = connection.scalar(query.where(tokens.c.id == token_id))
    return maker


def tokens_of(connection: Connection, person_id: int) -> list[Token]:
    """All tokens of a person, oldest first, read without a lock."""
    return TOKENS.find(connection, tokens.c.person_id == person_id)


def live_tokens(connection: Connection, person_id: int) -> list[Token]:
    """The person's tokens that are not revoked, locked until the transaction ends."""
    query = TOKENS.query(tokens.c.person_id == person_id, tokens.c.revoked_at_ms.is_(None))
    return TOKENS.all(connection, query.with_for_update())


def lock_active_admins(connection: Connection) -> list[Person]:
    """Everybody who is an admin now, locked: two of them cannot deactivate each other at once."""
    query = PEOPLE.query(people.c.role == Role.ADMIN, people.c.active.is_(True))
    return PEOPLE.all(connection, query.with_for_update())


def is_admin_at_hand(connection: Connection, at_ms: int) -> bool:
    """Whether any active admin has a token that still works and covers people."""
    found = connection.execute(
        select(tokens.c.scopes)
        .join(people, people.c.id == tokens.c.person_id)
        .where(
            people.c.role == Role.ADMIN,
            people.c.active.is_(True),
            tokens.c.revoked_at_ms.is_(None),
            tokens.c.expires_at_ms > at_ms,
        )
    )
    return any(Scope.ADMIN in row.scopes.split() for row in found)


def people_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """People, newest first."""
    return page(connection, select(people), people, filters, limit)


def token_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Tokens, newest first, each with the name of its `person`, without the digest."""
    columns = [tokens.c[name] for name in TOKENS.columns if name not in ("digest", "person_id")]
    query = select(*columns, people.c.name.label("person")).outerjoin(
        people, people.c.id == tokens.c.person_id
    )
    return page(connection, query, tokens, filters, limit)
