"""Limits on payouts: which are set, and setting, changing and removing them."""

from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from console.limit_words import limit_key, limit_value, limit_window_s
from console.web.call import Call
from console.web.listing import listed
from console.web.verb import Field, Verb
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.limiting import LimitKey, set_limit, unset_limit
from payouts.limits import COUNTED, WITH_WINDOW, LimitKind, LimitScope, value_text, window_text
from payouts.money import decimal_text
from payouts.people import Actor, Scope
from payouts.storage.limit_rows import limit_list, lock_limits
from payouts.storage.partner_rows import find_partner

AT = "/operations/payout-limits"
MEANT = {
    LimitKind.MINIMUM: "the smallest payout that can be requested",
    LimitKind.APPROVAL: "from this amount on a second person must approve",
    LimitKind.DAILY: "the most that can be requested for one partner on one day, UTC",
    LimitKind.VELOCITY_AMOUNT: "the most that goes out in a currency within the window; more stops it",
    LimitKind.VELOCITY_COUNT: "the most payouts that go out within the window; one more stops everything",
    LimitKind.PARTNER_VELOCITY: "the most that goes out to one partner within the window; more stops it",
}
_WINDOW = "as 60m, 24h or 7d; only where the kind has one"


def limits(call: Call) -> Response:
    """The limits that are set, newest first."""
    page = listed(call, limit_list, {})
    return call.page(
        "payout_limits.html",
        title="Limits on payouts",
        data=list(page.rows),
        page=page,
        meant=MEANT,
        set_verb=_set_verb(call.asked("partner")),
        change_verb=change_verb,
        remove_verb=remove_verb,
    )


def set_one(call: Call) -> Response:
    """Set a limit."""
    return call.back(AT, call.do(lambda connection, *by: _set(connection, call, _key(connection, call), *by)))


def change(call: Call) -> Response:
    """Change a limit of the list, where it is as the page showed it."""
    return call.back(
        AT, call.do(lambda connection, *by: _set(connection, call, _shown(connection, call), *by))
    )


def remove(call: Call) -> Response:
    """Remove a limit of the list, where it is as the page showed it."""

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> str:
        key = _shown(connection, call)
        unset_limit(connection, key, actor, make_id, at_ms, call.reason)
        return f"the limit {key} is removed"

    return call.back(AT, call.do(work))


def change_verb(row: dict[str, Any]) -> Verb:
    """The form that changes a limit of the list."""
    kind, currency = LimitKind(row["kind"]), row["currency"] or ""
    value = str(row["value"]) if kind in COUNTED else decimal_text(row["value"], currency)
    fields = [
        Field(
            "value",
            "How many payouts" if kind in COUNTED else f"How much, in {currency.upper()}",
            value=value,
        )
    ]
    if kind in WITH_WINDOW:
        fields.append(Field("window", "Window", value=f"{row['window_s'] // 60}m", hint="as 60m, 24h or 7d"))
    says = f"In place of {row['limit']}: {MEANT[kind]}. It counts from the next payout on."
    seen = ("seen", _seen(row["value"], row["window_s"]))
    return Verb("Change", says, f"{AT}/{row['id']}/change", scope=Scope.ADMIN, fields=fields, hidden=(seen,))


def remove_verb(row: dict[str, Any]) -> Verb:
    """The form that removes a limit of the list."""
    whom = row["partner"] or "all partners"
    says = (
        f"{row['limit']} for {whom} counts no more. A hold that it placed stays until somebody releases it."
    )
    seen = ("seen", _seen(row["value"], row["window_s"]))
    return Verb("Remove", says, f"{AT}/{row['id']}/remove", scope=Scope.ADMIN, hidden=(seen,), danger=True)


def _set_verb(partner: str | None) -> Verb:
    kinds = [(str(kind), f"{kind.replace('_', ' ')}: {meant}") for kind, meant in MEANT.items()]
    fields = (
        Field("kind", "Kind", "select", choices=kinds),
        Field("value", "How much", hint="an amount, as 500.00, or a number of payouts"),
        Field("currency", "Currency", required=False, hint="as eur; not for a number of payouts"),
        Field("window", "Window", required=False, hint=_WINDOW),
        Field(
            "partner",
            "Partner",
            value=partner or "",
            required=False,
            hint="a reference or acct_…; empty: for all partners",
        ),
    )
    says = (
        "It counts from the next payout on, in place of one of its kind that is set. One for a partner "
        "counts in place of the one for all."
    )
    return Verb("Set a limit", says, AT, scope=Scope.ADMIN, fields=fields)


def _set(
    connection: Connection, call: Call, key: LimitKey, actor: Actor, make_id: IdMaker, at_ms: int
) -> str:
    value = limit_value(key, call.form.get("value", "").strip())
    window_s = limit_window_s(call.form.get("window", "").strip())
    made = set_limit(connection, key, value, window_s, actor, make_id, at_ms, call.reason)
    within = f" within {window_text(window_s)}" if window_s else ""
    return f"the limit {key} is {value_text(made)}{within}"


def _key(connection: Connection, call: Call) -> LimitKey:
    form = {name: call.form.get(name, "").strip() for name in ("kind", "currency", "partner")}
    try:
        kind = LimitKind(form["kind"])
    except ValueError:
        text = f"{form['kind'][:40]!r} is no kind of limit: there are {', '.join(LimitKind)}"
        raise RefusedError("bad_limit", text) from None
    try:
        return limit_key(connection, kind, form["currency"], form["partner"])
    except NotFoundError as error:  # a refusal, which keeps what was typed; the page itself is there
        raise RefusedError("no_partner", str(error)) from None


def _shown(connection: Connection, call: Call) -> LimitKey:
    """The limit that the address names, locked. RefusedError `stale` where it is not as the page showed."""
    text = call.path("limit_id")
    known = text.isascii() and text.isdigit() and len(text) < _DIGITS
    found = lock_limits(connection, [int(text)]) if known else []
    if not found:
        raise RefusedError("stale", "nothing was changed: this limit is removed by now")
    held = found[0]
    partner = find_partner(connection, held.account) if held.scope == LimitScope.PARTNER else None
    key = LimitKey(held.kind, held.currency, partner)
    if _seen(held.value, held.window_s) != call.form.get("seen"):
        now = f"{value_text(held)}, set by {held.set_by}"
        raise RefusedError("stale", f"nothing was changed: the limit {key} is {now} by now")
    return key


def _seen(value: int, window_s: int) -> str:
    return f"{value}/{window_s}"


ROUTES = (
    ("GET", AT, limits, Scope.READ),
    ("POST", AT, set_one, Scope.ADMIN),
    ("POST", f"{AT}/{{limit_id}}/change", change, Scope.ADMIN),
    ("POST", f"{AT}/{{limit_id}}/remove", remove, Scope.ADMIN),
)
_DIGITS = 20
