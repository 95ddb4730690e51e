"""Setting and removing limits."""

import dataclasses

from sqlalchemy import Connection

from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.limits import (
    COUNTED,
    FOR_ONE_PARTNER,
    MINUTE_S,
    MOST_WINDOW_S,
    WITH_WINDOW,
    Limit,
    LimitKind,
    LimitScope,
)
from payouts.partner import Partner
from payouts.people import Actor, Scope
from payouts.storage import audit_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.limit_rows import LIMITS, lock_limit, remove_limit


@dataclasses.dataclass(frozen=True, slots=True)
class LimitKey:
    """Which limit: its kind, its currency (empty for a number of payouts), and whom it is for (None: all)."""

    kind: LimitKind
    currency: str
    partner: Partner | None = None

    @property
    def scope(self) -> LimitScope:
        return LimitScope.PARTNER if self.partner else LimitScope.ALL

    @property
    def scope_key(self) -> str:
        return str(self.partner.id) if self.partner else ""

    @property
    def account(self) -> str:
        return self.partner.account if self.partner else PLATFORM

    def __str__(self) -> str:
        whom = self.partner.reference if self.partner else "all partners"
        return " ".join(filter(None, [self.kind, self.currency, "for", whom]))


def set_limit(
    connection: Connection,
    key: LimitKey,
    value: int,
    window_s: int,
    actor: Actor,
    make_id: IdMaker,
    now_ms: int,
    reason: str | None = None,
) -> Limit:
    """Set a limit, in place of the one there was. `value`: minor units, or a number of payouts.

    `window_s`: for the kinds that have a window, whole minutes, a week at the most; else 0. Raises
    RefusedError `bad_limit`, with what the kind takes.
    """
    actor.require(Scope.ADMIN)
    check(key, value, window_s)
    before = lock_limit(connection, key.kind, key.scope, key.scope_key, key.currency)
    if before is None:
        made = Limit(
            *(make_id(), key.account, key.kind, key.scope, key.scope_key, key.currency),
            *(value, window_s, actor.name, now_ms),
        )
        LIMITS.insert(connection, [made])
    else:
        made = dataclasses.replace(
            before, value=value, window_s=window_s, set_by=actor.name, set_at_ms=now_ms
        )
        LIMITS.save(connection, [made])
    details = {"value": value, "window_s": window_s, "before": before.value if before else None}
    _note(connection, "limit.set", key, actor, make_id, now_ms, reason, details)
    return made


def unset_limit(
    connection: Connection,
    key: LimitKey,
    actor: Actor,
    make_id: IdMaker,
    now_ms: int,
    reason: str | None = None,
) -> Limit:
    """Remove a limit. RefusedError `no_such_limit` where there is none."""
    actor.require(Scope.ADMIN)
    before = lock_limit(connection, key.kind, key.scope, key.scope_key, key.currency)
    if before is None:
        raise RefusedError("no_such_limit", f"no limit {key} is set: `payouts limit list` shows them")
    remove_limit(connection, before.id)
    _note(connection, "limit.remove", key, actor, make_id, now_ms, reason, {"before": before.value})
    return before


def check(key: LimitKey, value: int, window_s: int) -> None:
    """Raise RefusedError where a limit like this makes no sense."""
    problem = _problem(key, value, window_s)
    if problem:
        raise RefusedError("bad_limit", f"{key.kind}: {problem}")


def _problem(key: LimitKey, value: int, window_s: int) -> str | None:
    if value < 0:
        return "a limit is not negative"
    if key.kind in COUNTED and key.currency:
        return "it counts payouts of every currency, so it takes none"
    if key.kind not in COUNTED and not key.currency:
        return "it is an amount: say of which currency"
    if key.partner and key.kind not in FOR_ONE_PARTNER:
        return "it is about all partners together and cannot be set for one"
    if key.partner and key.partner.currency != key.currency:
        return f"{key.partner.reference} is paid in {key.partner.currency.upper()}"
    if key.kind not in WITH_WINDOW:
        return "it has no window" if window_s else None
    if window_s % MINUTE_S or not MINUTE_S <= window_s <= MOST_WINDOW_S:
        return "it takes a window of whole minutes, from 1m to 7d"
    return None


def _note(
    connection: Connection,
    action: str,
    key: LimitKey,
    actor: Actor,
    make_id: IdMaker,
    now_ms: int,
    reason: str | None,
    details: dict[str, int | None],
) -> None:
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action=action,
        subject=str(key),
        account=key.account,
        reason=reason,
        details=details,
    )
