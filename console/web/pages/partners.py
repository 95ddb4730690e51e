"""Partners: whom the platform pays, what each is owed, and what stands in the way."""

import dataclasses
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response

from console.schedule_words import schedule_words
from console.web.call import Call
from console.web.download import csv_download
from console.web.ledger_words import money_of
from console.web.listing import ROWS, Listing, listed
from console.web.pages.partner_verbs import PARTNER_VERBS, new_partner, release_verb, verbs_of
from payouts.due_days import Schedule
from payouts.errors import RefusedError
from payouts.exporting import STATEMENT_COLUMNS, statement_rows
from payouts.holds import HoldScope, Target
from payouts.partner import NO_SCHEDULE, Partner, PartnerState
from payouts.people import Scope
from payouts.period import Month, month_of, parse_month
from payouts.registering import the_partner
from payouts.statement import Statement, StatementLine, statement
from payouts.storage.hold_rows import holds_of
from payouts.storage.ledger_rows import partner_balances
from payouts.storage.partner_rows import partner_list, partners_beginning
from payouts.storage.queries import Filters
from payouts.storage.request_queries import request_list
from payouts.waiting import wait_in_list

HOLDS_SHOWN = 20
LATEST_SHOWN = 5
"""Payouts: who asks about a partner asks as a rule about the last one."""
LINES_READ = 150
"""Transactions that are read at a time for a page of lines: of a payout's five, two change what is owed."""


def partners(call: Call) -> Response:
    """All partners, newest first; or those whose reference begins as asked, in the order of references."""
    beginning = call.asked("reference")
    page = (
        listed(call, partner_list, {"state": "state", "account": "account", "schedule": "schedule"})
        if beginning is None
        else _beginning(call, beginning)
    )
    context: dict[str, Any] = {"states": list(PartnerState), "schedules": [NO_SCHEDULE, *Schedule]}
    return call.page(
        "partners.html",
        title="Partners",
        data=list(page.rows),
        page=page,
        schedule_words=schedule_words,
        **context,
    )


def new(call: Call) -> Response:
    """The form that registers one."""
    return call.page("partner_new.html", title="Register a partner", data={}, verb=new_partner(call.form))


def partner(call: Call) -> Response:
    """One partner: its account at Stripe, its bank account, its money, and what holds it back."""
    found = the_partner(call.connection, call.path("key"))
    balances = partner_balances(call.connection, found.id)
    holds = holds_of(call.connection, _targets(found), HOLDS_SHOWN)
    latest = request_list(call.connection, Filters({"partner_id": found.id}), LATEST_SHOWN)
    wants = requirements_of(found.requirements)
    this_month = month_of(call.now_ms)
    data = {
        **dataclasses.asdict(found),
        "requirements": wants,
        "balances_minor": {str(kind): amount for (_, kind), amount in sorted(balances.items())},
        "holds": [dataclasses.asdict(hold) for hold in holds],
        "latest_payouts": latest,
    }
    return call.page(
        "partner.html",
        title=found.name,
        data=data,
        partner=found,
        money=money_of(balances),
        wants=wants,
        holds=holds,
        latest=latest,
        wait_in_list=wait_in_list,
        release=lambda hold: release_verb(found, hold),
        verbs=verbs_of(found, holds),
        schedule=schedule_words(found.schedule, found.schedule_day),
        made=_statement(call, call.connection, found, this_month),
        month=this_month,
    )


def statement_page(call: Call) -> Response:
    """What a partner was owed at the beginning and the end of a month, and what changed it, in pages."""
    found = the_partner(call.connection, call.path("key"))
    month = _month(call)
    made = _statement(call, call.connection, found, month)
    behind = _place(call.asked("behind"))
    lines = list(islice(made.lines(call.connection, behind, LINES_READ), ROWS + 1))
    shown, more = lines[:ROWS], len(lines) > ROWS
    before = month_of(month.from_ms - 1)
    return call.page(
        "statement.html",
        title=f"Statement of {found.name}, {month}",
        data=_statement_data(made, shown),
        partner=found,
        month=month,
        made=made,
        lines=shown,
        first=behind is None,
        older=call.here(behind="-".join(map(str, shown[-1].place))) if more else None,
        newest=call.here(behind=None) if behind is not None else None,
        before=call.here(month=str(before), behind=None),
        after=call.here(month=str(month.next), behind=None) if month.until_ms <= call.now_ms else None,
    )


def statement_csv(call: Call) -> Response:
    """The same as a file, whole."""
    found = the_partner(call.connection, call.path("key"))
    month = _month(call)

    def rows(connection: Connection) -> Any:
        return statement_rows(connection, _statement(call, connection, found, month))

    return csv_download(call.parts.engine, f"statement-{found.account}-{month}.csv", STATEMENT_COLUMNS, rows)


def requirements_of(text: str | None) -> dict[str, Any] | None:
    """What Stripe still wants: `disabled_reason`, `past_due`, `currently_due`, `current_deadline_ms`; None
    where it wants nothing, `unreadable` for what is kept in another form."""
    if not text:
        return None
    try:
        kept = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {"unreadable": text}
    deadline_s = kept.get("current_deadline")
    wants = {
        "disabled_reason": kept.get("disabled_reason"),
        "past_due": list(kept.get("past_due") or []),
        "currently_due": list(kept.get("currently_due") or []),
        "current_deadline_ms": deadline_s * 1000 if isinstance(deadline_s, int) else None,
    }
    return wants if any(wants.values()) else None


def _beginning(call: Call, beginning: str) -> Listing:
    after = call.asked("after") or ""
    fetched = partners_beginning(call.connection, beginning, after, ROWS + 1, call.asked("state"))
    older = call.here(after=fetched[ROWS - 1]["reference"]) if len(fetched) > ROWS else None
    return Listing(fetched[:ROWS], older, call.here(after=None) if after else None, is_filtered=True)


def _targets(found: Partner) -> list[Target]:
    return [(HoldScope.PARTNER, str(found.id)), (HoldScope.ACCOUNT, found.account)]


def _month(call: Call) -> Month:
    text = call.asked("month")
    return month_of(call.now_ms) if text is None else parse_month(text)


def _statement(call: Call, connection: Connection, found: Partner, month: Month) -> Statement:
    return statement(connection, found, month.from_ms, month.until_ms, call.now_ms)


def _place(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    at_ms, _, row_id = text.partition("-")
    if not (at_ms.isascii() and at_ms.isdigit() and row_id.isascii() and row_id.isdigit() and len(text) < 40):
        raise RefusedError("bad_number", f"behind takes a place in the statement, not {text[:40]!r}")
    return int(at_ms), int(row_id)


def _statement_data(made: Statement, lines: list[StatementLine]) -> dict[str, Any]:
    names = ("from_ms", "until_ms", "opening_minor", "closing_minor", "owed_minor", "in_transit_minor")
    sums = {name: getattr(made, name) for name in (*names, "returned_minor", "unsettled_minor")}
    rows = [dataclasses.asdict(line) for line in lines]
    return {"partner": made.partner.reference, "currency": made.partner.currency, **sums, "lines": rows}


ROUTES = (
    ("GET", "/partners", partners, Scope.READ),
    ("GET", "/partners/new", new, Scope.OPERATE),
    ("GET", "/partners/{key}", partner, Scope.READ),
    ("GET", "/partners/{key}/statement", statement_page, Scope.READ),
    ("GET", "/partners/{key}/statement.csv", statement_csv, Scope.READ),
    *PARTNER_VERBS,
)
