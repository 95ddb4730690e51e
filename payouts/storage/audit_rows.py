"""The audit log's rows: appended under the lock of their chain's head, never changed."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Select, func, select, update
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from payouts.audit import START, Entry, Head, canonical, chain_of, sealed
from payouts.errors import PayoutsError
from payouts.ids import IdMaker
from payouts.logs import redact
from payouts.storage.columns import PLATFORM
from payouts.storage.paging import page
from payouts.storage.people_tables import audit, audit_chains
from payouts.storage.queries import Filters
from payouts.storage.records import Records

REASON_CHARS = 255
SUBJECT_CHARS = 255
PAGE = 500
_DRAWS = 3

ENTRIES = Records(audit, Entry, fixed=[column.name for column in audit.c], reads={})


def append(
    connection: Connection,
    make_id: IdMaker,
    at_ms: int,
    *,
    actor: str,
    action: str,
    subject: str,
    account: str = PLATFORM,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Entry:
    """Append one entry to the chain of `account` and the month of `at_ms`, in the caller's transaction.

    The chain's head stays locked until that transaction ends: append last, after every other lock. A
    longer `reason` is cut at 255 characters. Raises what a lost or busy database raises; the whole unit
    of work is what may be tried again.
    """
    chain = chain_of(account, at_ms)
    head = _lock_head(connection, chain, account)
    for _ in range(_DRAWS):
        entry = sealed(
            Entry(
                id=make_id(),
                account=account,
                chain=chain,
                number=head.number + 1,
                at_ms=at_ms,
                actor=_storable(actor),
                action=action,
                subject=_storable(subject)[:SUBJECT_CHARS],
                reason=None if reason is None else _storable(redact(reason))[:REASON_CHARS],
                details=canonical(dict(details or {})),
                previous=head.digest,
            )
        )
        try:
            ENTRIES.insert(connection, [entry])
        except IntegrityError:
            continue  # most likely the row id belongs to another row: draw again
        connection.execute(
            update(audit_chains)
            .where(audit_chains.c.chain == chain)
            .values(number=entry.number, digest=entry.digest)
        )
        return entry
    raise PayoutsError(
        f"entry {head.number + 1} of the audit chain {chain} is there although its head is {head.number}: "
        f"run `payouts audit verify --chain {chain}`"
    )


def _lock_head(connection: Connection, chain: str, account: str) -> Head:
    found = connection.execute(_head(chain).with_for_update()).first()
    if found is None:
        _insert_head(connection, chain, account)
        found = connection.execute(_head(chain).with_for_update()).one()
    return Head(found.number, found.digest)


def _insert_head(connection: Connection, chain: str, account: str) -> None:
    new = {"chain": chain, "account": account, "number": START.number, "digest": START.digest}
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite_insert(audit_chains).values(new).on_conflict_do_nothing())
        return
    # Not INSERT IGNORE: that takes a shared lock on the row of whoever came first, and of two that hold
    # one neither can go on to lock the row for itself. Half of 480 entries that eight writers put into 60
    # new chains deadlocked so on MariaDB; none does this way.
    statement = mysql_insert(audit_chains).values(new)
    connection.execute(statement.on_duplicate_key_update(number=audit_chains.c.number))


def _head(chain: str) -> Select[Any]:
    return select(audit_chains.c.number, audit_chains.c.digest).where(audit_chains.c.chain == chain)


def _storable(text: str) -> str:
    # Words of a command line may hold half a character. What is sealed must be what is stored.
    return text.encode("utf-8", "replace").decode()


def head_of(connection: Connection, chain: str) -> Head | None:
    """The end of `chain`; None where there is no such head."""
    found = connection.execute(_head(chain)).first()
    return None if found is None else Head(found.number, found.digest)


def next_chain(connection: Connection, after: str = "") -> str | None:
    """The chain that follows `after` by name, whether its head, its entries or both are there."""
    names = [
        connection.scalar(select(func.min(column)).where(column > after))
        for column in (audit_chains.c.chain, audit.c.chain)
    ]
    return min((name for name in names if name is not None), default=None)


def chain_exists(connection: Connection, chain: str) -> bool:
    """Whether `chain` has a head or entries."""
    entries = select(audit.c.number).where(audit.c.chain == chain).limit(1)
    return head_of(connection, chain) is not None or connection.execute(entries).first() is not None


def walk(connection: Connection, chain: str, head: Head) -> Iterator[Entry]:
    """The entries of `chain` up to `head` by number, a page in memory; then one behind its end, if any.

    Entries may be added meanwhile. No transaction stays open between two pages.
    """
    a = audit.c
    after: int | None = None
    while True:
        query = ENTRIES.query(a.chain == chain, a.number <= head.number).order_by(None).order_by(a.number)
        if after is not None:
            query = query.where(a.number > after)
        found = ENTRIES.all(connection, query.limit(PAGE))
        connection.rollback()
        yield from found
        if len(found) < PAGE:
            break
        after = found[-1].number
    now = func.coalesce(_head(chain).with_only_columns(audit_chains.c.number).scalar_subquery(), 0)
    behind = ENTRIES.query(a.chain == chain, a.number > now).order_by(None).order_by(a.number).limit(1)
    found = ENTRIES.all(connection, behind)
    connection.rollback()
    yield from found


def entry_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Entries of all chains, newest first, their `details` as objects."""
    rows = page(connection, select(audit), audit, filters, limit)
    return [{**row, "details": _details(row["details"])} for row in rows]


def _details(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # somebody changed it: shown as it is, and `payouts audit verify` says so
