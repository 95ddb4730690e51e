"""Decisions of second persons: appended, never changed."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from payouts.ids import IdMaker
from payouts.storage.bulk import insert_rows
from payouts.storage.money_tables import approvals


class Subject(StrEnum):
    """What was decided on."""

    REQUEST = "request"
    BANK_ACCOUNT = "bank_account"


class Verdict(StrEnum):
    """What was decided."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Approval:
    """A decision, with who made it and why."""

    account: str
    subject: Subject
    subject_id: str
    verdict: Verdict
    actor: str
    reason: str | None
    at_ms: int


def append(connection: Connection, approval: Approval, make_id: IdMaker) -> None:
    """Write down a decision."""
    columns = ("id", "account", "subject", "subject_id", "decision", "actor", "reason", "at_ms")
    row = (
        *(make_id(), approval.account, approval.subject, approval.subject_id, approval.verdict),
        *(approval.actor, approval.reason, approval.at_ms),
    )
    insert_rows(connection, approvals, columns, [row])


def approvers_of(connection: Connection, request_ids: Collection[int]) -> dict[int, set[str]]:
    """Who approved each of these requests."""
    rows = connection.execute(
        select(approvals.c.subject_id, approvals.c.actor).where(
            approvals.c.subject == Subject.REQUEST,
            approvals.c.subject_id.in_([str(request_id) for request_id in sorted(request_ids)]),
            approvals.c.decision == Verdict.APPROVED,
        )
    )
    found: dict[int, set[str]] = {}
    for row in rows:
        found.setdefault(int(row.subject_id), set()).add(row.actor)
    return found
