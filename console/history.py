"""`payouts payout show`: everything about one payout, now or as it was known at another time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.context import DataOption, JsonOption, reading_from
from console.output import out, parse_time, print_table, short_time, table, write_json
from payouts.as_of import WAITING, as_of
from payouts.clock import iso
from payouts.errors import NotFoundError
from payouts.failures import classify
from payouts.history import Row, Rows
from payouts.money import format_money
from payouts.timeline import Entry, timeline
from payouts.waiting import Wait, wait_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

TEXT_CHARS = 200
"""Of an entry in the table; `--json` shows all."""


def show_payout(
    key: Annotated[
        str, typer.Argument(metavar="ID", help="pay_…, po_…, tr_…, a row id, or the reference of a request.")
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="As it was known then: 2026-01-31T12:00:00Z, or '2h ago'."),
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show one payout: where it stands, and all that happened, in order of time."""
    at_ms = None if at is None else parse_time(at.removesuffix(" ago"))
    with reading_from(data) as connection:
        rows = _rows(connection, key, at_ms)
    if as_json:
        write_json(story(rows, at_ms))
        return
    _print(rows, at_ms)


def story(rows: Rows, at_ms: int | None) -> dict[str, Any]:
    """A payout's history for programs: always the same keys, whatever the payout is."""
    request, partner, wait = rows.request, rows.partner, waits(rows)
    return {
        "as_of_ms": at_ms,
        "payout": request.public_id if request else None,
        "request": request and _request(rows),
        "waits_for": wait and {"code": wait.code, "text": wait.text, "until_ms": wait.until_ms},
        "partner": partner
        and {
            "id": partner.id,
            **{name: getattr(partner, name) for name in ("reference", "name", "account", "currency")},
        },
        "balances": [
            {"kind": kind, "currency": currency, "amount_minor": amount}
            for (currency, kind), amount in sorted(rows.balances.items())
        ],
        "legs": [{name: getattr(leg, name) for name in _LEG_FIELDS} for leg in rows.legs],
        "payouts": [
            {name: value for name, value in row.items() if name != "request_id"} for row in rows.payouts
        ],
        "timeline": [_entry(entry) for entry in timeline(rows)],
        "cut": list(rows.cut),
        "not_kept": list(rows.not_kept),
    }


_LEG_FIELDS = ("id", "kind", "status", "amount_minor", "currency", "stripe_id", "reversed_minor")
_REQUEST_FIELDS = (
    *("id", "account", "amount_minor", "currency", "status", "source", "reference", "requested_by"),
    *("statement_descriptor", "needs_approval", "shadow", "sent_at_ms", "created_at_ms"),
)


def _rows(connection: "Connection", key: str, at_ms: int | None) -> "Rows":
    from payouts.storage.history_queries import find, read_rows

    rows = read_rows(connection, find(connection, key))
    return rows if at_ms is None else known_at(connection, rows, key, at_ms)


def known_at(connection: "Connection", rows: Rows, key: str, at_ms: int) -> Rows:
    """`rows` as they were at `at_ms`; `connection` is the one they were read by. Raises NotFoundError."""
    from payouts.storage.history_queries import balances_at

    since_ms = rows.request.created_at_ms if rows.request else rows.payouts[0]["created_at_ms"]
    if since_ms > at_ms:
        raise NotFoundError(f"{key} was not there yet at {iso(at_ms)}: it is known since {iso(since_ms)}")
    balances = balances_at(connection, rows.request.partner_id, at_ms) if rows.request else {}
    return as_of(rows, at_ms, balances)


def _request(rows: Rows) -> dict[str, Any]:
    return {name: getattr(rows.request, name) for name in _REQUEST_FIELDS}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "at_ms": entry.at_ms,
        "kind": entry.kind,
        "actor": entry.actor,
        "text": entry.text,
        "details": dict(entry.details),
    }


def waits(rows: Rows) -> Wait | None:
    """What the payout waits for; None where it has ended, is foreign, or where it cannot be told."""
    if rows.request is None:
        return None
    return wait_of(rows.request, rows.holds, is_known=WAITING not in rows.not_kept)


def _print(rows: Rows, at_ms: int | None) -> None:
    if at_ms is not None:
        out().print(f"as it was known at {iso(at_ms)}", markup=False)
    facts = _request_facts(rows) if rows.request else _payout_facts(rows.payouts[0])
    print_table(table(("", ""), facts))
    if rows.legs:
        cells = [
            (leg.kind, leg.stripe_id, format_money(leg.amount_minor, leg.currency), leg.status, back)
            for leg in rows.legs
            for back in [format_money(leg.reversed_minor, leg.currency) if leg.reversed_minor else None]
        ]
        print_table(table(("leg", "at Stripe", "amount", "status", "came back"), cells))
    held = [
        (kind, format_money(amount, currency))
        for (currency, kind), amount in sorted(rows.balances.items())
        if amount
    ]
    if held:
        print_table(table(("balance of the partner", "amount"), held))
    happened = [(iso(e.at_ms), e.kind.replace("_", " "), e.actor, _cut(e.text)) for e in timeline(rows)]
    print_table(table(("at", "what", "by", ""), happened))
    for line in warnings(rows):
        out().print(line, markup=False)


def _request_facts(rows: Rows) -> Iterator[tuple[str, Any]]:
    request, partner, wait = rows.request, rows.partner, waits(rows)
    if request is None:
        return
    yield "payout", request.public_id
    yield "partner", partner and f"{partner.reference} ({partner.name}, {partner.account})"
    yield "amount", format_money(request.amount_minor, request.currency)
    yield "status", request.status
    if wait:
        until = f", until {short_time(wait.until_ms)} at the latest" if wait.until_ms else ""
        yield "waits for", f"{_cut(wait.text)}{until}"
    yield "reference", request.reference
    yield "requested by", f"{request.requested_by} ({request.source})"
    for row in rows.payouts:
        yield "payout at Stripe", f"{row['stripe_id']} {stripe_status(row) or 'seen, without a state'}"
        if row["failure_code"]:
            yield "failure", f"{row['failure_code']} ({classify(row['failure_code'])})"
        if row["arrival_date_s"] is not None:
            yield "arrives", short_time(row["arrival_date_s"] * 1000)


def _payout_facts(row: Row) -> list[tuple[str, Any]]:
    arrival, failure = row["arrival_date_s"], row["failure_code"]
    return [
        *(("payout", row["stripe_id"]), ("account", row["account"])),
        *(("amount", format_money(row["amount_minor"], row["currency"])), ("status", stripe_status(row))),
        *(("origin", row["origin"]), ("destination", row["destination"]), ("method", row["method"])),
        ("arrives", short_time(arrival * 1000) if arrival is not None else None),
        ("failure", f"{failure} ({classify(failure)})" if failure else None),
        *(("reversed by", row["reversed_by"]), ("reverses", row["original_payout"])),
        *(("trace id", row["trace_id"]), ("row id", row["id"])),
    ]


def warnings(rows: Rows) -> Iterator[str]:
    """What is missing from the history, a line each."""
    from payouts.storage.history_queries import ROWS_MOST

    for name in rows.cut:
        yield f"only the newest {ROWS_MOST} rows of {name} are shown"
    for name in rows.not_kept:
        yield f"not kept for that time: {name}"


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"


def stripe_status(row: Row) -> str | None:
    """The state of Stripe's payout, and a status it was seen in that this code does not know."""
    if row["unknown_status"]:
        return f"{row['status'] or 'none yet'} (Stripe said {row['unknown_status']!r}, unknown here)"
    status: str | None = row["status"]
    return status
