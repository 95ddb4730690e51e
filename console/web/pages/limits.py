"""Rate limits: how they stand, what is raised, which addresses are blocked, and who asks most."""

from typing import Any

from starlette.responses import Response

from console.output import parse_time_to_come
from console.web.call import Call
from console.web.verb import Field, Verb
from payouts import blocking
from payouts.errors import PayoutsError, RefusedError
from payouts.limits_now import Standing, limits_now
from payouts.people import Scope
from payouts.rates import RouteGroup

AT = "/operations/limits"
SHOWN = 100
_FOR = Field("for", "For how long", value="2h", hint="as 30m, 2h or 1d; it ends by itself")


def limits(call: Call) -> Response:
    """How rate limits stand."""
    parts = call.parts
    settings = parts.settings
    found = limits_now(
        call.connection,
        *(parts.redis, settings.queue_namespace, settings.rate_limits, call.now_ms),
        shown=SHOWN,
    )
    data = {
        "limits": [
            {"route": each.group, "per_minute": each.usual, "per_minute_now": each.now}
            for each in found.standings
        ],
        "blocks": [
            {name: row[name] for name in ("network", "until_ms", "reason", "blocked_by")}
            for row in found.blocks
        ],
    }
    return call.page(
        "limits.html",
        title="Rate limits",
        data=data,
        found=found,
        raise_verb=raise_verb,
        unblock_verb=unblock_verb,
        block_verb=_block_verb(),
    )


def raise_limit(call: Call) -> Response:
    """Raise a limit for a while."""
    group, until_ms, most = _group(call), _until(call), _most(call)
    call.do(
        lambda connection, actor, make_id, at_ms: blocking.raise_limit(
            *(connection, group, most, until_ms, call.parts.settings.rate_limits),
            *(actor, call.reason, make_id, at_ms),
        )
    )
    return call.back(AT, f"{group} allows {most:,} requests a minute, for a while")


def lower(call: Call) -> Response:
    """Lower it again."""
    group = _group(call)
    call.do(
        lambda connection, actor, make_id, at_ms: blocking.lower_again(
            connection, group, actor, call.reason, make_id, at_ms
        )
    )
    return call.back(AT, f"{group} allows what is set again")


def block(call: Call) -> Response:
    """Block an address or a network."""
    until_ms, address = _until(call), call.form.get("address", "")
    made = call.do(
        lambda connection, actor, make_id, at_ms: blocking.block(
            *(connection, address, until_ms, call.parts.settings.proxies),
            *(actor, call.reason, make_id, at_ms),
        )
    )
    return call.back(AT, f"{made.network} is blocked: within seconds nobody answers it")


def unblock(call: Call) -> Response:
    """Lift a block."""
    address = call.form.get("address", "")
    made = call.do(
        lambda connection, actor, make_id, at_ms: blocking.unblock(
            connection, address, actor, call.reason, make_id, at_ms
        )
    )
    return call.back(AT, f"{made.network} is answered again")


def raise_verb(standing: Standing) -> Verb:
    """The form that raises a limit, or lowers it again."""
    if standing.raised is not None and standing.now > standing.usual:
        says = f"{standing.usual:,} requests a minute are allowed again, at once."
        return Verb("Lower again", says, f"{AT}/{standing.group}/lower")
    fields = (
        Field("most", "Requests a minute", "number", value=str(standing.usual * 2)),
        _FOR,
    )
    says = f"More than {standing.usual:,} requests a minute are allowed for a while."
    why_not = None if standing.usual else "it has no limit that could be raised"
    return Verb("Raise", says, f"{AT}/{standing.group}/raise", fields=fields, why_not=why_not)


def unblock_verb(row: dict[str, Any]) -> Verb:
    """The form that lifts a block."""
    says = f"Requests from {row['network']} are answered again."
    return Verb("Unblock", says, f"{AT}/unblock", row=("address", row["network"]))


def _block_verb() -> Verb:
    fields = (
        Field("address", "Address or network", hint="as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/48"),
        Field("for", "For how long", value="1d", hint=_FOR.hint),
    )
    says = (
        "Whatever it asks of the receiver, the API and this console is answered 403, until then. Stripe's "
        "addresses and trusted proxies cannot be blocked."
    )
    return Verb("Block an address", says, f"{AT}/block", fields=fields, danger=True)


def _group(call: Call) -> RouteGroup:
    try:
        return RouteGroup(call.path("group"))
    except ValueError:
        raise RefusedError("bad_limit", f"there is no rate limit {call.path('group')[:40]}") from None


def _until(call: Call) -> int:
    try:
        return parse_time_to_come(call.form.get("for", "").strip())
    except PayoutsError as error:
        raise RefusedError("bad_time", str(error)) from None


def _most(call: Call) -> int:
    text = call.form.get("most", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise RefusedError("bad_limit", f"{text[:40]!r} is no number of requests")
    return int(text)


ROUTES = (
    ("GET", AT, limits, Scope.READ),
    ("POST", f"{AT}/block", block, Scope.OPERATE),
    ("POST", f"{AT}/unblock", unblock, Scope.OPERATE),
    ("POST", f"{AT}/{{group}}/raise", raise_limit, Scope.OPERATE),
    ("POST", f"{AT}/{{group}}/lower", lower, Scope.OPERATE),
)
