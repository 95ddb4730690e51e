"""Recoveries as rows, and how far the database itself has come."""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from payouts.errors import RowIdTakenError
from payouts.recovery import Recovery, RecoveryStep
from payouts.states import AttemptStatus, LegKind, RequestStatus
from payouts.storage.bulk import insert_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.money_tables import leg_attempts, legs, partners, payout_requests, request_transitions
from payouts.storage.records import Records
from payouts.storage.recovery_tables import database_identity, recoveries

OPEN = "open"
RECOVERIES = Records(
    recoveries,
    Recovery,
    fixed={"id", "account", "began_at_ms", "began_by", "reason", "gap_from_ms"},
    reads={"step": RecoveryStep},
)


def open_recovery(connection: Connection) -> Recovery | None:
    """The recovery that is open, read without a lock."""
    r = recoveries.c
    return next(iter(RECOVERIES.find(connection, r.account == PLATFORM, r.open_key == OPEN)), None)


def lock_open_recovery(connection: Connection) -> Recovery | None:
    """The recovery that is open, locked."""
    r = recoveries.c
    query = RECOVERIES.query(r.account == PLATFORM, r.open_key == OPEN).with_for_update()
    return next(iter(RECOVERIES.all(connection, query)), None)


def last_recovery(connection: Connection) -> Recovery | None:
    """The newest recovery, open or not."""
    query = RECOVERIES.query().order_by(None).order_by(recoveries.c.id.desc()).limit(1)
    return next(iter(RECOVERIES.all(connection, query)), None)


def insert_recovery(connection: Connection, begun: Recovery) -> None:
    """Insert one. RowIdTakenError where somebody else began one at the same time."""
    try:
        RECOVERIES.insert(connection, [begun])
    except IntegrityError:
        raise RowIdTakenError("somebody began a recovery at the same time") from None


def covered_until(connection: Connection) -> int:
    """The largest row id that a recovery was about; 0: there was none."""
    r = recoveries.c
    return connection.scalar(select(func.max(r.covers_id)).where(r.account == PLATFORM)) or 0


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest rows that say what was sent and what was decided: row ids, 0: none."""

    attempt_id: int = 0
    transition_id: int = 0

    def or_newer(self, other: "Newest") -> "Newest":
        """The newer of each."""
        return Newest(max(self.attempt_id, other.attempt_id), max(self.transition_id, other.transition_id))


def newest(connection: Connection) -> Newest:
    """The newest rows that are committed."""
    attempt_id = connection.scalar(select(func.max(leg_attempts.c.id)))
    return Newest(attempt_id or 0, connection.scalar(select(func.max(request_transitions.c.id))) or 0)


def missing_of(connection: Connection, known: Newest) -> int:
    """The largest id of `known` whose row is not there; 0 where all are."""
    wanted = [(leg_attempts.c.id, known.attempt_id), (request_transitions.c.id, known.transition_id)]
    columns = [
        select(column).where(column == row_id).scalar_subquery().label(f"found_{number}")
        for number, (column, row_id) in enumerate(wanted)
    ]
    found = connection.execute(select(*columns)).one()
    return max(0 if there is not None else row_id for there, (_, row_id) in zip(found, wanted, strict=True))


def newest_attempt_ms(connection: Connection) -> int | None:
    """When the newest attempt was made, else when the first partner was known; None where there is none."""
    made: int | None = connection.scalar(
        select(leg_attempts.c.first_sent_at_ms).order_by(leg_attempts.c.id.desc()).limit(1)
    )
    return made if made is not None else connection.scalar(select(func.min(partners.c.created_at_ms)))


def generation(connection: Connection) -> str:
    """What tells this database from another one; drawn where it was not yet."""
    found: str | None = connection.scalar(
        select(database_identity.c.generation).where(database_identity.c.account == PLATFORM)
    )
    if found is not None:
        return found
    drawn = secrets.token_hex(16)
    try:
        insert_rows(connection, database_identity, ("account", "generation"), [(PLATFORM, drawn)])
    except IntegrityError:
        raise RowIdTakenError("somebody named the database at the same time") from None
    return drawn


def open_attempts_after(
    connection: Connection, after_id: int, before_ms: int, limit: int
) -> list[tuple[int, int]]:
    """Attempts that are open and were first sent before a time: their ids, and those of their requests."""
    a = leg_attempts.c
    rows = connection.execute(
        select(a.id, a.request_id)
        .where(a.status == AttemptStatus.OPEN, a.id > after_id, a.first_sent_at_ms <= before_ms)
        .order_by(a.id)
        .limit(limit)
    )
    return [(row.id, row.request_id) for row in rows]


def payouts_of_request(connection: Connection, request_id: int) -> list[str]:
    """Stripe's ids of the payouts that a request was paid out by so far, oldest first."""
    c = legs.c
    query = select(c.stripe_id).where(c.request_id == request_id, c.kind == LegKind.PAYOUT)
    return [found for found in connection.scalars(query.order_by(c.id)) if found is not None]


@dataclass(frozen=True, slots=True)
class WouldGoOut:
    """What waits to be sent in a currency."""

    currency: str
    payouts: int
    amount_minor: int


def queued(connection: Connection) -> list[WouldGoOut]:
    """What is queued, by currency: it goes out once nothing stops it."""
    r = payout_requests.c
    rows = connection.execute(
        select(r.currency, func.count().label("payouts"), func.sum(r.amount_minor).label("amount_minor"))
        .where(r.status == RequestStatus.QUEUED)
        .group_by(r.currency)
        .order_by(r.currency)
    )
    return [WouldGoOut(row.currency, int(row.payouts), int(row.amount_minor)) for row in rows]
