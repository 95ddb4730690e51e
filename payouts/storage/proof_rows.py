"""Proofs: appended under the lock of their account's chain, never changed."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, func, literal, select, update
from sqlalchemy.exc import IntegrityError

from payouts.audit import START, Head, sealed
from payouts.errors import PayoutsError, RowIdTakenError
from payouts.ids import floor_id
from payouts.proof import KEPT_S, Proof
from payouts.storage.catch_up_tables import proof_chains, proofs
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.records import Records

PAGE = 500
DAY_S = 86_400
CLOCKS_DIFFER_MS = 600_000

PROOFS = Records(proofs, Proof, fixed=[column.name for column in proofs.c], reads={})


def lock_chain(connection: Connection, account: str) -> Head:
    """The head of an account's chain, locked until the transaction ends."""
    found = connection.execute(_head(account).with_for_update()).first()
    if found is None:
        try:
            connection.execute(
                proof_chains.insert().values(account=account, number=START.number, digest=START.digest)
            )
        except IntegrityError:
            raise RowIdTakenError(f"somebody began the chain of {account} at the same time") from None
        return START
    return Head(found.number, found.digest)


def append(connection: Connection, proof: Proof) -> Proof:
    """Append `proof`, which follows the head that the caller has locked; returns it with its digest."""
    made = sealed(proof)
    try:
        PROOFS.insert(connection, [made])
    except IntegrityError:
        if _number_is_taken(connection, made):
            raise PayoutsError(
                f"proof {made.number} of {made.account} is there although its chain ends before: "
                f"run `payouts proof verify --account {made.account}`"
            ) from None
        raise RowIdTakenError(f"the row id {made.id} of a proof is taken") from None
    connection.execute(
        update(proof_chains)
        .where(proof_chains.c.account == made.account)
        .values(number=made.number, digest=made.digest)
    )
    return made


def _number_is_taken(connection: Connection, proof: Proof) -> bool:
    p = proofs.c
    query = select(p.id).where(p.account == proof.account, p.number == proof.number)
    return connection.scalar(query) is not None


def _head(account: str) -> Select[Any]:
    c = proof_chains.c
    return select(c.number, c.digest).where(c.account == account)


def head_of(connection: Connection, account: str) -> Head | None:
    """The end of an account's chain; None where there is none."""
    found = connection.execute(_head(account)).first()
    return None if found is None else Head(found.number, found.digest)


def next_account(connection: Connection, after: str = "") -> str | None:
    """The account after `after` that has a chain's head, proofs, or both."""
    names = [
        connection.scalar(select(func.min(column)).where(column > after))
        for column in (proof_chains.c.account, proofs.c.account)
    ]
    return min((name for name in names if name is not None), default=None)


def walk_chain(connection: Connection, account: str, head: Head) -> Iterator[Proof]:
    """The proofs of an account up to `head` by number, a page in memory; then one behind its end, if any.

    Proofs may be added meanwhile. No transaction stays open between two pages.
    """
    after: int | None = None
    p = proofs.c
    in_order = PROOFS.query(p.account == account).order_by(None).order_by(p.number)
    while True:
        query = in_order.where(p.number <= head.number).limit(PAGE)
        if after is not None:
            query = query.where(p.number > after)
        found = PROOFS.all(connection, query)
        connection.rollback()
        yield from found
        if len(found) < PAGE:
            break
        after = found[-1].number
    end = func.coalesce(_head(account).with_only_columns(proof_chains.c.number).scalar_subquery(), 0)
    found = PROOFS.all(connection, in_order.where(p.number > end).limit(1))
    connection.rollback()
    yield from found


def find_proof(connection: Connection, proof_id: int) -> Proof | None:
    """A proof by its row id."""
    return next(iter(PROOFS.find(connection, proofs.c.id == proof_id)), None)


def proof_of_walk(connection: Connection, account: str, walk_id: int) -> Proof | None:
    """The proof that a walk came to; None while it is under way."""
    p = proofs.c
    return next(iter(PROOFS.find(connection, p.account == account, p.walk_id == walk_id)), None)


def proof_numbered(connection: Connection, account: str, number: int) -> Proof | None:
    """A proof by its place in an account's chain."""
    p = proofs.c
    return next(iter(PROOFS.find(connection, p.account == account, p.number == number)), None)


def proofs_over(connection: Connection, account: str, since_s: int, until_s: int, limit: int) -> list[Proof]:
    """The proofs of an account over any of these seconds, both included, the newest `limit`, newest first;
    without their details.

    A proof is made once its time has begun, and at most KEPT_S after it ended: its id says so.
    """
    p = proofs.c
    columns = [literal("").label(name) if name == "details" else p[name] for name in PROOFS.columns]
    query = (
        select(*columns)
        .where(p.account == account, p.id >= floor_id(since_s * 1000 - CLOCKS_DIFFER_MS))
        .where(p.id < floor_id((until_s + KEPT_S + DAY_S) * 1000))
        .where(p.since_s <= until_s, p.until_s >= since_s)
        .order_by(p.id.desc())
        .limit(limit)
    )
    return PROOFS.all(connection, query)


def proof_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Proofs, newest first, their `details` as objects."""
    rows = page(connection, select(proofs), proofs, filters, limit)
    return [{**row, "details": details_of(row["details"])} for row in rows]


def details_of(text: str) -> dict[str, Any]:
    """The details as an object; empty where somebody changed them: `payouts proof verify` says so."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
