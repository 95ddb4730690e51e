"""Limits on payouts as people type them: which one, how much, over what time."""

from typing import TYPE_CHECKING

from payouts.errors import RefusedError
from payouts.limits import COUNTED, LimitKind
from payouts.money import check_currency, parse_money

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.limiting import LimitKey

_SPANS_S = {"m": 60, "h": 3_600, "d": 86_400}


def limit_key(
    connection: "Connection", kind: LimitKind, currency: str | None, partner: str | None
) -> "LimitKey":
    """Which limit: of a currency, unless it counts payouts; of a partner by whatever names it, else of all.

    Raises NotFoundError where there is no such partner. The currency is checked where a limit is set.
    """
    from payouts.limiting import LimitKey
    from payouts.registering import the_partner

    found = the_partner(connection, partner) if partner else None
    code = currency.lower() if currency else ""
    if found is not None and not code and kind not in COUNTED:
        code = found.currency
    return LimitKey(kind, code, found)


def limit_value(key: "LimitKey", text: str) -> int:
    """Minor units, or a number of payouts. RefusedError `bad_limit`, `bad_amount` or `bad_currency`."""
    if key.currency:
        check_currency(key.currency)
    if key.kind not in COUNTED:
        if not key.currency:
            raise RefusedError("bad_limit", f"{key.kind} is an amount: say of which currency, as eur")
        return parse_money(text, key.currency)
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise RefusedError("bad_limit", f"{text[:40]!r} is no number of payouts")
    return int(text)


def limit_window_s(text: str | None) -> int:
    """A window in seconds; 0 where none is named. Raises RefusedError `bad_limit`."""
    if not text:
        return 0
    number, span = text[:-1], text[-1:]
    if span not in _SPANS_S or not (number.isascii() and number.isdigit() and len(number) <= 6):
        raise RefusedError("bad_limit", f"{text[:40]!r} is no window: use 60m, 24h or 7d")
    return int(number) * _SPANS_S[span]
