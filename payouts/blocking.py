"""Blocking addresses, and raising rate limits for a while: each with a reason, an end and an audit entry."""

import dataclasses
from typing import Any

from sqlalchemy import Connection

from payouts.addresses import Networks, network_text
from payouts.blocks import (
    BLOCK_MOST_MS,
    DAY_MS,
    NEAR,
    RAISE_MOST,
    RAISE_MOST_MS,
    Block,
    Raise,
    check_network,
)
from payouts.clock import iso
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.rates import RateLimits, RouteGroup
from payouts.reasons import check_reason
from payouts.storage import audit_rows, guard_rows
from payouts.storage.columns import PLATFORM
from payouts.stripe_addresses import SNAPSHOT

BLOCKS_MOST = 10_000
"""At once: every process reads all of them every few seconds."""


def block(
    connection: Connection,
    text: str,
    until_ms: int,
    trusted: Networks,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> Block:
    """Answer an address or a network no more, until a time. One that is blocked already gets this end.

    Raises RefusedError: `bad_address`, `not_blockable`, `bad_time`, `too_many_blocks`, and as `check_reason`.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    published = guard_rows.newest_addresses(connection)
    # What came with this version counts too: a list that was read wrongly opens nothing.
    stripe = Networks([*SNAPSHOT, *(published[0] if published else ())])
    network = check_network(text, stripe, trusted)
    if NEAR.overlapping(network) is not None:
        raise RefusedError(
            "not_blockable",
            f"{network_text(network)} cannot be blocked: it is of a network of your own, so most likely a "
            "proxy with everybody behind it, Stripe too: name it in TRUSTED_PROXIES, and block whom it then "
            "names",
        )
    _check_until(until_ms, now_ms, BLOCK_MOST_MS, "an address is blocked")
    name = network_text(network)
    held = guard_rows.lock_block(connection, network)
    if held is not None:
        _close_block(connection, held, actor, reason, now_ms)
    elif guard_rows.block_count(connection, now_ms) >= BLOCKS_MOST:
        raise RefusedError(
            "too_many_blocks", f"{BLOCKS_MOST} blocks are in force: block networks, or at the proxy in front"
        )
    made = Block(make_id(), PLATFORM, name, name, until_ms, reason, now_ms, actor.name)
    guard_rows.insert_block(connection, made)
    details = {"until": iso(until_ms), "before": iso(held.until_ms) if held else None}
    _audit(connection, "address.block", f"address {name}", actor, reason, details, make_id, now_ms)
    return made


def unblock(
    connection: Connection, text: str, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> Block:
    """Lift a block before its end. NotFoundError where exactly this is not blocked; RefusedError as
    `check_reason`, or `bad_address`."""
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    network = check_network(text, Networks(), Networks())
    held = guard_rows.lock_block(connection, network)
    if held is None or held.until_ms <= now_ms:
        raise NotFoundError(f"{network_text(network)} is not blocked: `payouts limits` shows what is")
    lifted = _close_block(connection, held, actor, reason, now_ms)
    details = {"until": iso(held.until_ms)}
    _audit(connection, "address.unblock", f"address {held.network}", actor, reason, details, make_id, now_ms)
    return lifted


def raise_limit(
    connection: Connection,
    group: RouteGroup,
    most: int,
    until_ms: int,
    set_to: RateLimits,
    actor: Actor,
    reason: str,
    make_id: IdMaker,
    now_ms: int,
) -> Raise:
    """Allow more of a route group until a time, in place of what it was raised to before.

    `most`: so many a minute. `set_to`: the limits as the settings have them. Raises RefusedError:
    `bad_limit`, `bad_time`, and as `check_reason`.
    """
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    usual = set_to.get(group, 0)
    if not usual:
        raise RefusedError("bad_limit", f"{group} has no limit that could be raised: its setting is 0")
    if not usual < most <= RAISE_MOST:
        raise RefusedError(
            "bad_limit",
            f"{group} allows {usual:,} a minute: raise it to more than that, at most {RAISE_MOST:,}, "
            f"not {most:,}",
        )
    _check_until(until_ms, now_ms, RAISE_MOST_MS, "a limit is raised")
    held = guard_rows.lock_raise(connection, group)
    if held is not None:
        _close_raise(connection, held, actor, reason, now_ms)
    made = Raise(make_id(), PLATFORM, str(group), group, most, until_ms, reason, now_ms, actor.name)
    guard_rows.insert_raise(connection, made)
    details = {"most": most, "until": iso(until_ms), "usual": usual, "before": held.most if held else None}
    _audit(connection, "rate_limit.raise", f"rate limit {group}", actor, reason, details, make_id, now_ms)
    return made


def lower_again(
    connection: Connection, group: RouteGroup, actor: Actor, reason: str, make_id: IdMaker, now_ms: int
) -> Raise:
    """Let a limit be as it is set, before its raise ends. NotFoundError where it is not raised; RefusedError
    as `check_reason`."""
    actor.require(Scope.OPERATE)
    reason = check_reason(reason)
    held = guard_rows.lock_raise(connection, group)
    if held is None or held.until_ms <= now_ms:
        raise NotFoundError(f"{group} is not raised: `payouts limits` shows what is")
    lowered = _close_raise(connection, held, actor, reason, now_ms)
    details = {"most": held.most, "until": iso(held.until_ms)}
    _audit(connection, "rate_limit.reset", f"rate limit {group}", actor, reason, details, make_id, now_ms)
    return lowered


def _close_block(connection: Connection, held: Block, actor: Actor, reason: str, now_ms: int) -> Block:
    lifted = dataclasses.replace(
        held, open_key=None, lifted_at_ms=now_ms, lifted_by=actor.name, lift_reason=reason
    )
    guard_rows.BLOCKS.save(connection, [lifted])
    return lifted


def _close_raise(connection: Connection, held: Raise, actor: Actor, reason: str, now_ms: int) -> Raise:
    lowered = dataclasses.replace(
        held, open_key=None, lowered_at_ms=now_ms, lowered_by=actor.name, lower_reason=reason
    )
    guard_rows.RAISES.save(connection, [lowered])
    return lowered


def _check_until(until_ms: int, now_ms: int, most_ms: int, what: str) -> None:
    if until_ms <= now_ms:
        raise RefusedError("bad_time", f"{iso(until_ms)} is over: say an end to come")
    if until_ms - now_ms > most_ms:
        raise RefusedError("bad_time", f"{what} for at most {most_ms // DAY_MS} days")


def _audit(
    connection: Connection,
    action: str,
    subject: str,
    actor: Actor,
    reason: str,
    details: dict[str, Any],
    make_id: IdMaker,
    now_ms: int,
) -> None:
    audit_rows.append(
        *(connection, make_id, now_ms),
        actor=actor.name,
        action=action,
        subject=subject,
        reason=reason,
        details=details,
    )
