"""Changing what is known of a partner from people: name, address, schedule, and whether it may be paid."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from payouts.due_days import LONGEST_MONTH_DAYS, Schedule
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.money import check_amount
from payouts.partner import NO_SCHEDULE, Partner, PartnerState
from payouts.people import Actor, Scope
from payouts.reasons import check_reason
from payouts.storage import audit_rows
from payouts.storage.partner_rows import PARTNERS, lock_partners
from payouts.words import check_email, check_name

PERSONAL = frozenset({"name", "email", "email_bounce"})
"""Noted as changed in the audit log, without their values: that log is never cleaned."""


UNSAID = frozenset({"email_since_ms", "email_bounced_at_ms"})
"""Not noted in the audit log: they follow from what is."""
WRITTEN_TO: dict[str, Any] = {"email_bounced_at_ms": None, "email_bounce": None}
"""The values of a partner whose address is written to."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be changed; None: stays as it is."""

    name: str | None = None
    email: str | None = None
    schedule: str | None = None
    """none, daily, weekly or monthly. With it, day and minimum are set anew too."""
    schedule_day: int | None = None
    schedule_minimum_minor: int | None = None


def update(
    connection: Connection, partner_id: int, changes: Changes, actor: Actor, make_id: IdMaker, now_ms: int
) -> Partner:
    """Change a partner. Its reference, Stripe account and currency stay: register another one for those.

    Raises NotFoundError; RefusedError `bad_name`, `bad_email`, `bad_schedule` or `bad_amount`.
    """
    actor.require(Scope.OPERATE)
    before = _locked(connection, partner_id)
    values: dict[str, Any] = {}
    if changes.name is not None:
        values["name"] = check_name(changes.name)
    if changes.email is not None:
        values["email"] = check_email(changes.email)
        if values["email"] != before.email:
            values |= {**WRITTEN_TO, "email_since_ms": now_ms}
    if changes.schedule is not None:
        values |= _schedule(changes, before.currency)
    elif changes.schedule_day is not None or changes.schedule_minimum_minor is not None:
        raise RefusedError("bad_schedule", "a day and a minimum belong to a schedule: name it as well")
    return _write(connection, before, values, actor, "partner.update", None, make_id, now_ms)


def block(
    connection: Connection, partner_id: int, reason: str, actor: Actor, make_id: IdMaker, now_ms: int
) -> Partner:
    """Pay a partner nothing until it is unblocked. Raises NotFoundError; RefusedError `reason_missing`."""
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    before = _locked(connection, partner_id)
    values = {"state": PartnerState.BLOCKED, "state_reason": reason}
    return _write(connection, before, values, actor, "partner.block", reason, make_id, now_ms)


def unblock(
    connection: Connection, partner_id: int, reason: str, actor: Actor, make_id: IdMaker, now_ms: int
) -> Partner:
    """Let a blocked partner be paid again, once Stripe was asked about its account anew.

    Raises NotFoundError; RefusedError `not_blocked` or `reason_missing`.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    before = _locked(connection, partner_id)
    if before.state != PartnerState.BLOCKED:
        raise RefusedError("not_blocked", f"{before.reference} is not blocked, it is {before.state}")
    values = {
        "state": PartnerState.UNVERIFIED,
        "state_reason": "unblocked; Stripe was not asked since",
        "refreshed_at_ms": None,
    }
    return _write(connection, before, values, actor, "partner.unblock", reason, make_id, now_ms)


def trust_email(
    connection: Connection, partner_id: int, reason: str, actor: Actor, make_id: IdMaker, now_ms: int
) -> Partner:
    """Write to a partner's address again, although mail came back.

    Raises NotFoundError; RefusedError `not_bouncing` or `reason_missing`.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    before = _locked(connection, partner_id)
    if before.email_bounced_at_ms is None:
        raise RefusedError("not_bouncing", f"the address of {before.reference} is written to as it is")
    values = {**WRITTEN_TO, "email_since_ms": now_ms}
    return _write(connection, before, values, actor, "partner.trust_email", reason, make_id, now_ms)


def _locked(connection: Connection, partner_id: int) -> Partner:
    partner = lock_partners(connection, [partner_id]).get(partner_id)
    if partner is None:
        raise NotFoundError(f"there is no partner {partner_id}")
    return partner


def _schedule(changes: Changes, currency: str) -> dict[str, Any]:
    name, day = changes.schedule or NO_SCHEDULE, changes.schedule_day
    minimum_minor = changes.schedule_minimum_minor
    days = {Schedule.WEEKLY: range(7), Schedule.MONTHLY: range(1, LONGEST_MONTH_DAYS + 1)}
    if name not in (NO_SCHEDULE, *Schedule):
        raise RefusedError("bad_schedule", f"a schedule is none, {', '.join(Schedule)}, not {name!r}")
    allowed = days.get(Schedule(name)) if name != NO_SCHEDULE else None
    if allowed is None and day is not None:
        raise RefusedError("bad_schedule", f"the schedule {name} has no day")
    if allowed is not None and day not in allowed:
        what = "0 (Monday) to 6 (Sunday)" if name == Schedule.WEEKLY else f"1 to {allowed[-1]}"
        raise RefusedError("bad_schedule", f"a {name} schedule needs a day, {what}")
    if minimum_minor is not None:
        check_amount(minimum_minor, currency)
    return {"schedule": name, "schedule_day": day, "schedule_minimum_minor": minimum_minor}


def _write(
    connection: Connection,
    before: Partner,
    values: dict[str, Any],
    actor: Actor,
    action: str,
    reason: str | None,
    make_id: IdMaker,
    now_ms: int,
) -> Partner:
    changed = {name: value for name, value in values.items() if value != getattr(before, name)}
    if not changed:
        return before
    after = dataclasses.replace(before, **changed, updated_at_ms=now_ms)
    PARTNERS.save(connection, [after])
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action=action,
        subject=before.reference,
        account=before.account,
        reason=reason,
        details={
            name: "changed" if name in PERSONAL else {"before": getattr(before, name), "after": value}
            for name, value in changed.items()
            if name not in UNSAID
        },
    )
    return after
