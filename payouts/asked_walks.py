"""Walks that somebody asks for and does not walk: a row, and the workers go on with it page by page."""

from collections.abc import Mapping

from sqlalchemy import Connection

from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.proof import KEPT_S, OVERLAP_S
from payouts.registering import check_account
from payouts.storage import audit_rows
from payouts.storage.columns import PLATFORM
from payouts.storage.mark_rows import find_mark
from payouts.walk import Cause, Recipe, Walk
from payouts.walks import ASKED, DAY_S, Wish, begin


def ask_to_catch_up(
    connection: Connection,
    account: str,
    since_s: int | None,
    recipe: Recipe,
    actor: Actor,
    make_id: IdMaker,
    now_ms: int,
    *,
    all_types: bool = False,
) -> Walk:
    """A walk up to now through the events of an account, as `payouts catch-up` makes one.

    `since_s`: from then on, by Stripe's clock; None: from where the account was walked to. One that is under
    way and goes as far is returned instead. Raises RefusedError `bad_account` or `nothing_to_walk`.
    """
    actor.require(Scope.OPERATE)
    _check(account)
    now_s = now_ms // 1000
    details = {"since_s": since_s, "recipe": recipe, "all_types": all_types}
    if since_s is None:
        mark = find_mark(connection, account)
        since_s = mark.walked_until_s - OVERLAP_S if mark else now_s - KEPT_S
    times = (min(since_s, now_s), now_s)
    wish = Wish(account, Cause.COMMAND, ASKED, actor.name, *times, recipe, all_types)
    walk = begin(connection, wish, make_id, now_ms)
    _note(connection, "catch_up.run", account, details, actor, make_id, now_ms)
    return walk


def ask_for_proof(
    connection: Connection, account: str, day_s: int, actor: Actor, make_id: IdMaker, now_ms: int
) -> Walk:
    """A walk that proves the day (in UTC) that `day_s` lies in; of today, as far as it has come.

    One for the same time that is under way is returned instead. Raises RefusedError `bad_account`,
    `bad_day` or, for what is older than Stripe keeps, `nothing_to_walk`.
    """
    actor.require(Scope.OPERATE)
    _check(account)
    since_s, now_s = day_s // DAY_S * DAY_S, now_ms // 1000
    if since_s >= now_s:
        raise RefusedError("bad_day", "that day has not begun: only what has happened can be proven")
    until_s = min(since_s + DAY_S, now_s) - 1
    key = f"{ASKED}:{since_s // DAY_S}"
    wish = Wish(account, Cause.PROOF, key, actor.name, since_s, until_s)
    walk = begin(connection, wish, make_id, now_ms)
    details = {"since_s": since_s, "until_s": until_s}
    _note(connection, "proof.make", account, details, actor, make_id, now_ms)
    return walk


def _check(account: str) -> None:
    if account != PLATFORM:
        check_account(account)


def _note(
    connection: Connection,
    action: str,
    account: str,
    details: Mapping[str, object],
    actor: Actor,
    make_id: IdMaker,
    now_ms: int,
) -> None:
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action=action,
        subject=account,
        account=account,
        details=details,
    )
