"""Rounds of reconciling: which account is next, and how much Stripe was asked."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from payouts.ids import IdMaker
from payouts.storage.columns import PLATFORM
from payouts.storage.difference_tables import reconcile_rounds
from payouts.storage.money_tables import partners
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.records import Records

OPEN = "open"


@dataclass(frozen=True, slots=True)
class Round:
    """A row of `reconcile_rounds`; the fields are its columns."""

    id: int
    account: str
    open_key: str | None
    began_at_ms: int
    moved_at_ms: int
    ended_at_ms: int | None
    next_account: str
    partner_id: int
    """The last partner done. A round begins after that of the round before."""
    reads: int


ROUNDS = Records(reconcile_rounds, Round, fixed={"id", "account", "began_at_ms"}, reads={})


def open_round(connection: Connection) -> Round | None:
    """The round that is under way, locked."""
    r = reconcile_rounds.c
    query = ROUNDS.query(r.account == PLATFORM, r.open_key == OPEN).with_for_update()
    return next(iter(ROUNDS.all(connection, query)), None)


def begin_round(connection: Connection, make_id: IdMaker, now_ms: int, every_ms: int) -> Round | None:
    """Begin a round, at the platform; None while one is under way, or `every_ms` have not passed."""
    r = reconcile_rounds.c
    query = ROUNDS.query().order_by(None).order_by(r.id.desc()).limit(1)
    last = next(iter(ROUNDS.all(connection, query)), None)
    if last is not None and (last.open_key is not None or last.began_at_ms + every_ms > now_ms):
        return None
    begun = Round(
        make_id(), PLATFORM, OPEN, now_ms, now_ms, None, PLATFORM, last.partner_id if last else 0, 0
    )
    try:
        with connection.begin_nested():
            ROUNDS.insert(connection, [begun])
    except IntegrityError:
        return None
    return begun


def save_round(connection: Connection, changed: Round) -> None:
    """Write back a round that this transaction has locked."""
    ROUNDS.save(connection, [changed])


def end_round(connection: Connection, held: Round, now_ms: int) -> None:
    """The round is over."""
    save_round(connection, dataclasses.replace(held, open_key=None, ended_at_ms=now_ms, moved_at_ms=now_ms))


def partner_after(connection: Connection, partner_id: int) -> tuple[int, str] | None:
    """The partner that comes next, with its account; None past the last one."""
    row = connection.execute(
        select(partners.c.id, partners.c.account)
        .where(partners.c.id > partner_id)
        .order_by(partners.c.id)
        .limit(1)
    ).first()
    return (row.id, row.account) if row else None


def partner_id_of(connection: Connection, account: str) -> int:
    """The row id of the partner of an account; 0 where it belongs to none."""
    return connection.scalar(select(partners.c.id).where(partners.c.account == account)) or 0


def count_partners(connection: Connection) -> int:
    """How many partners there are."""
    return connection.scalar(select(func.count()).select_from(partners)) or 0


def round_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Rounds, newest first."""
    columns = [column for column in reconcile_rounds.c if column.name != "open_key"]
    return page(connection, select(*columns), reconcile_rounds, filters, limit)
