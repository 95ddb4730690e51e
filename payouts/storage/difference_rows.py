"""Differences: written when they are seen first, kept current while they last, closed when they are gone."""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from payouts.difference import Difference, DifferenceKind, Finding
from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker
from payouts.storage.bulk import insert_rows
from payouts.storage.difference_tables import SIDE_CHARS, TEXT_CHARS, differences
from payouts.storage.new_notices import NewNotice, body_of, insert_new
from payouts.storage.paging import page, window_floor
from payouts.storage.queries import Filters
from payouts.storage.records import Records

NOTICE = "alert.difference"
DIFFERENCES = Records(
    differences,
    Difference,
    fixed={"id", "account", "kind", "subject", "first_seen_ms"},
    reads={"kind": DifferenceKind},
)


def report(
    connection: Connection, findings: Iterable[Finding], make_id: IdMaker, now_ms: int
) -> list[Difference]:
    """Keep what was found: a new one is told to operators once, one that is open already stays one row.

    Returns the new ones.
    """
    wanted = {(finding.account, finding.open_key): finding for finding in findings}
    held = _lock_open(connection, wanted)
    again = [_seen_again(row, wanted[row.account, str(row.open_key)], now_ms) for row in held]
    DIFFERENCES.save(connection, again)
    known = {(row.account, row.open_key) for row in held}
    new = [_new(finding, make_id, now_ms) for key, finding in wanted.items() if key not in known]
    _insert(connection, new)
    _tell(connection, new, make_id)
    return new


def note_healed(
    connection: Connection, healed: Iterable[tuple[Finding, str]], make_id: IdMaker, now_ms: int
) -> None:
    """Put on record what was found and healed at once, with how; an open row of it is closed."""
    wanted = {(finding.account, finding.open_key): (finding, how) for finding, how in healed}
    held = _lock_open(connection, wanted)
    heal(connection, [(row, wanted[row.account, str(row.open_key)][1]) for row in held], now_ms)
    known = {(row.account, row.open_key) for row in held}
    new = [
        _healed(_new(finding, make_id, now_ms), how, now_ms)
        for key, (finding, how) in wanted.items()
        if key not in known
    ]
    _insert(connection, new)


def heal(connection: Connection, gone: Iterable[tuple[Difference, str]], now_ms: int) -> None:
    """Close differences that are gone, with how; they are locked by this transaction."""
    DIFFERENCES.save(connection, [_healed(row, how, now_ms) for row, how in gone])


def heal_unseen(
    connection: Connection,
    kinds: Collection[DifferenceKind],
    before_ms: int,
    how: str,
    now_ms: int,
    account: str | None = None,
) -> int:
    """Close the open differences of `kinds` that were last seen before `before_ms`; returns how many."""
    d = differences.c
    conditions = [d.kind.in_(sorted(kinds)), d.healed_at_ms.is_(None), d.last_seen_ms < before_ms]
    if account is not None:
        conditions.append(d.account == account)
    count = 0
    while True:
        query = DIFFERENCES.query(*conditions).limit(_AT_ONCE)
        rows = DIFFERENCES.all(connection, query.with_for_update())
        heal(connection, [(row, how) for row in rows], now_ms)
        count += len(rows)
        if len(rows) < _AT_ONCE:
            return count


def heal_subjects(
    connection: Connection,
    account: str,
    subjects: Collection[str],
    kinds: Collection[DifferenceKind],
    how: str,
    now_ms: int,
) -> None:
    """Close the open differences of `kinds` about these subjects of an account."""
    keys = {(account, f"{kind}:{subject}") for subject in subjects for kind in kinds}
    heal(connection, [(row, how) for row in _lock_open(connection, keys)], now_ms)


def open_of(
    connection: Connection, account: str, kinds: Collection[DifferenceKind], before_ms: int, limit: int
) -> list[Difference]:
    """Open differences of an account that were last seen before `before_ms`, oldest first; not locked."""
    d = differences.c
    query = DIFFERENCES.query(
        d.account == account,
        d.kind.in_(sorted(kinds)),
        d.healed_at_ms.is_(None),
        d.last_seen_ms < before_ms,
    )
    return DIFFERENCES.all(connection, query.limit(limit))


def difference_list(
    connection: Connection,
    filters: Filters,
    limit: int,
    *,
    only_open: bool = False,
    only_healed: bool = False,
) -> list[dict[str, Any]]:
    """Differences, newest first."""
    query = select(*(column for column in differences.c if column.name != "open_key"))
    if only_open:
        query = query.where(differences.c.healed_at_ms.is_(None))
    if only_healed:
        query = query.where(differences.c.healed_at_ms.is_not(None))
    return page(connection, query, differences, filters, limit)


def difference_floor(connection: Connection, filters: Filters, most: int) -> int | None:
    """The id down to which `most` differences before the page reach; None where they reach the first."""
    return window_floor(connection, differences, filters.before_id, most)


def count_open(connection: Connection, most: int) -> dict[str, int]:
    """How many of the newest `most` open differences are of each kind; those that have none are left out."""
    d = differences.c
    newest = select(d.id, d.kind).where(d.healed_at_ms.is_(None)).order_by(d.id.desc()).limit(most).subquery()
    rows = connection.execute(select(newest.c.kind, func.count().label("count")).group_by(newest.c.kind))
    return {row.kind: row[1] for row in rows}


def healed_since(connection: Connection, at_ms: int) -> int:
    """How many differences were healed, or found to be gone, at or after `at_ms`."""
    query = select(func.count()).select_from(differences).where(differences.c.healed_at_ms >= at_ms)
    return connection.scalar(query) or 0


def _lock_open(connection: Connection, keys: Collection[tuple[str, str]]) -> list[Difference]:
    if not keys:
        return []
    d = differences.c
    condition: ColumnElement[bool] = d.open_key.in_(sorted({key for _, key in keys}))
    accounts = d.account.in_(sorted({account for account, _ in keys}))
    found = DIFFERENCES.all(connection, DIFFERENCES.query(accounts, condition).with_for_update())
    return [row for row in found if (row.account, row.open_key) in keys]


def _seen_again(row: Difference, finding: Finding, now_ms: int) -> Difference:
    changed = _new(finding, lambda: row.id, now_ms)
    return dataclasses.replace(changed, id=row.id, first_seen_ms=row.first_seen_ms)


def _new(finding: Finding, make_id: Any, now_ms: int) -> Difference:
    return Difference(
        id=make_id(),
        account=finding.account,
        kind=finding.kind,
        subject=finding.subject,
        currency=finding.currency,
        ours=finding.ours[:SIDE_CHARS] if finding.ours else finding.ours,
        theirs=finding.theirs[:SIDE_CHARS] if finding.theirs else finding.theirs,
        text=finding.text[:TEXT_CHARS],
        remedy=finding.remedy[:SIDE_CHARS],
        first_seen_ms=now_ms,
        last_seen_ms=now_ms,
        healed_at_ms=None,
        healed_how=None,
        open_key=finding.open_key,
    )


def _healed(row: Difference, how: str, now_ms: int) -> Difference:
    return dataclasses.replace(row, healed_at_ms=now_ms, healed_how=how[:SIDE_CHARS], open_key=None)


def _insert(connection: Connection, new: Sequence[Difference]) -> None:
    rows = [tuple(getattr(row, name) for name in DIFFERENCES.columns) for row in new]
    if insert_rows(connection, differences, DIFFERENCES.columns, rows, skip="open_key") < len(rows):
        # Somebody compares the same account at the same time: what they wrote is read and kept current.
        raise RowIdTakenError("a difference was written by somebody else at the same time")


def _tell(connection: Connection, new: Sequence[Difference], make_id: IdMaker) -> None:
    told = [
        NewNotice(make_id(), row.account, NOTICE, f"difference:{row.id}", _body(row), row.first_seen_ms)
        for row in new
    ]
    insert_new(connection, told)


def _body(row: Difference) -> str:
    body = {
        "name": NOTICE,
        "difference_id": str(row.id),
        "kind": row.kind,
        "subject": row.subject,
        "account": row.account,
        "ours": row.ours,
        "theirs": row.theirs,
        "text": row.text,
        "remedy": row.remedy,
        "occurred_at_ms": row.first_seen_ms,
    }
    return body_of(body)


_AT_ONCE = 500
