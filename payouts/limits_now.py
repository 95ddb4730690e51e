"""How rate limits stand: as they are set, what is raised, what is blocked, and who asks most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
from sqlalchemy import Connection

from payouts.blocks import Raise
from payouts.logs import redact
from payouts.rates import BY_TOKEN, RateLimits, RouteGroup
from payouts.storage import guard_rows
from payouts.storage.rate_keys import Counted, busiest
from payouts.stripe_addresses import SNAPSHOT

SHOWN = 20
WHAT = {
    RouteGroup.API_READ: "what a token looks at",
    RouteGroup.API_WRITE: "what a token changes",
    RouteGroup.API_OPEN: "what needs no token",
    RouteGroup.API_REFUSED: "tokens that let nobody in",
    RouteGroup.CONSOLE: "pages of the console",
    RouteGroup.RECEIVER_REFUSED: "deliveries without a good signature",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One route group: `usual` as it is set, `now` with what is raised; a minute, 0 for any number."""

    group: RouteGroup
    usual: int
    now: int
    raised: Raise | None

    @property
    def by(self) -> str:
        return "token" if self.group in BY_TOKEN else "address"

    @property
    def what(self) -> str:
        return WHAT[self.group]


@dataclass(frozen=True, slots=True)
class Stripe:
    """The addresses that Stripe sends from. `read_at_ms` None: as they came with this version."""

    count: int
    read_at_ms: int | None


@dataclass(frozen=True, slots=True)
class LimitsNow:
    """All of it."""

    standings: Sequence[Standing]
    blocks: Sequence[dict[str, Any]]
    block_count: int
    stripe: Stripe
    busiest: Sequence[Counted] | None
    """None: Redis cannot be asked, as `why` says."""
    why: str | None
    whole: bool
    """Whether everybody who is counted was looked at."""


def limits_now(
    connection: Connection,
    client: redis.Redis,
    namespace: str,
    limits: RateLimits,
    now_ms: int,
    shown: int = SHOWN,
) -> LimitsNow:
    """Look. Never raises for Redis. Of blocks and of those who ask, `shown` at the most."""
    decided = guard_rows.read_decided(connection, now_ms)
    raised = {each.route_group: each for each in decided.raises}
    standings = []
    for group in RouteGroup:
        usual, on_top = limits.get(group, 0), raised.get(group)
        now = max(usual, on_top.most) if usual and on_top else usual
        standings.append(Standing(group, usual, now, on_top))
    published = guard_rows.newest_addresses(connection)
    stripe = Stripe(len(published[0]), published[1]) if published else Stripe(len(SNAPSHOT), None)
    who, why, whole = None, None, True
    try:
        found = busiest(client, namespace, shown)
    except (redis.RedisError, OSError) as error:
        why = f"Redis does not answer: {redact(str(error))[:200]}"
    else:
        who, whole = _named(connection, found.counted), found.whole
    blocks = guard_rows.block_list(connection, now_ms, shown)
    return LimitsNow(standings, blocks, len(decided.blocks), stripe, who, why, whole)


def _named(connection: Connection, counted: Sequence[Counted]) -> list[Counted]:
    by_token = {str(group) for group in BY_TOKEN}
    ids = [int(each.key) for each in counted if each.group in by_token and each.key.isdecimal()]
    names = guard_rows.token_names(connection, ids)
    return [
        Counted(each.group, f"token {names[int(each.key)]}", each.count, each.limit)
        if each.group in by_token and each.key.isdecimal() and int(each.key) in names
        else each
        for each in counted
    ]
