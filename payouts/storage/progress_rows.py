"""How far each account is compared: a row for each, claimed by whoever is at it; and what Stripe listed."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import IntegrityError

from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker
from payouts.storage.bulk import insert_rows
from payouts.storage.difference_tables import reconcile_progress, reconcile_seen
from payouts.storage.paging import page
from payouts.storage.queries import Filters
from payouts.storage.records import Records


class Stage(StrEnum):
    """The steps of comparing an account, in their order."""

    BEGIN = "begin"
    """What is left of a comparison that was given up is forgotten."""
    TRANSFERS = "transfers"
    """The platform's only: what Stripe lists against our legs."""
    LOST_TRANSFERS = "lost_transfers"
    """The platform's only: our legs that Stripe did not list."""
    PAYOUTS = "payouts"
    LOST_PAYOUTS = "lost_payouts"
    OPEN = "open"
    """Differences of earlier times that were not seen again: each is looked at."""
    BALANCE = "balance"
    END = "end"
    """What Stripe listed is forgotten."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """A row of `reconcile_progress`; the fields are its columns."""

    id: int
    account: str
    stage: Stage
    position: str | None
    since_s: int
    until_s: int
    began_at_ms: int
    ended_at_ms: int | None
    compared_until_s: int
    lease_until_ms: int


PROGRESS = Records(reconcile_progress, Progress, fixed={"id", "account"}, reads={"stage": Stage})


def claim(
    connection: Connection, fresh: Progress, lease_until_ms: int, now_ms: int, *, anew: bool
) -> Progress | None:
    """Claim an account until `lease_until_ms`; None while somebody else is at it.

    `fresh`: its row as it begins, where there is none, the last comparison came to its end, or `anew`. It
    begins no later than where the last one ended.
    """
    p = reconcile_progress.c
    held = next(iter(PROGRESS.lock(connection, p.account, [fresh.account])), None)
    if held is None:
        row = dataclasses.replace(fresh, lease_until_ms=lease_until_ms)
        try:
            PROGRESS.insert(connection, [row])
        except IntegrityError:
            raise RowIdTakenError(f"somebody began to compare {fresh.account} at the same time") from None
        return row
    if held.lease_until_ms > now_ms:
        return None
    if anew or held.stage == Stage.DONE:
        since_s = fresh.since_s if anew else min(fresh.since_s, held.compared_until_s or fresh.since_s)
        fresh = dataclasses.replace(fresh, since_s=since_s, compared_until_s=held.compared_until_s)
        held = dataclasses.replace(fresh, id=held.id)
    held = dataclasses.replace(held, lease_until_ms=lease_until_ms)
    PROGRESS.save(connection, [held])
    return held


def save(connection: Connection, progress: Progress) -> None:
    """Write back the progress of an account that this process has claimed."""
    PROGRESS.save(connection, [progress])


def note_seen(connection: Connection, account: str, stripe_ids: Sequence[str], make_id: IdMaker) -> None:
    """Keep that Stripe listed these."""
    rows = [(make_id(), account, stripe_id) for stripe_id in sorted(stripe_ids)]
    insert_rows(connection, reconcile_seen, ("id", "account", "stripe_id"), rows, skip="stripe_id")


def seen_among(connection: Connection, account: str, stripe_ids: Iterable[str]) -> set[str]:
    """Those of `stripe_ids` that Stripe listed."""
    s = reconcile_seen.c
    wanted = sorted(stripe_ids)
    if not wanted:
        return set()
    return set(connection.scalars(select(s.stripe_id).where(s.account == account, s.stripe_id.in_(wanted))))


def progress_list(connection: Connection, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """How far each account is compared, the newest account first."""
    return page(connection, select(reconcile_progress), reconcile_progress, filters, limit)


def forget_seen(connection: Connection, account: str, most: int) -> int:
    """Forget up to `most` of what Stripe listed of an account; returns how many there were."""
    s = reconcile_seen.c
    ids = list(connection.scalars(select(s.id).where(s.account == account).limit(most)))
    if ids:
        connection.execute(delete(reconcile_seen).where(s.id.in_(ids)))
    return len(ids)
