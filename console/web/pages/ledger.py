"""The ledger: what each kind of account holds, every transaction, what must be true, and closed months."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from console.web.call import Call
from console.web.ledger_words import WORDS, Pot
from console.web.listing import time_typed
from console.web.verb import Field, Verb
from console.web.window import windowed
from payouts.checking import Total, ask_for_check, totals
from payouts.closing import AFTER_MS, close_month
from payouts.crediting import Change, Posted, fund
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.ledger import PLATFORM_KINDS, LedgerKind
from payouts.money import check_currency, format_money, parse_money
from payouts.people import Actor, Scope
from payouts.period import month_of
from payouts.registering import the_partner
from payouts.storage.check_rows import Checked, checks
from payouts.storage.closing_rows import START, Close, closes
from payouts.storage.invariants import Invariant, all_invariants
from payouts.storage.ledger_queries import journal, journal_floor
from payouts.storage.queries import Filters, payout_list

OF_PARTNER_LOOKED_AT = 5_000
"""Transactions of a partner that are looked at for one page: they lie apart from each other."""
CHECK = Verb(
    "Check now",
    "A worker checks all invariants and counts the sums anew; for large books that takes minutes.",
    "/ledger/check",
    needs_reason=False,
)
FUND = Verb(
    "Note a top-up",
    "Note that the platform's balance at Stripe was filled up or drawn from. This moves no money by itself.",
    "/ledger/fund",
    scope=Scope.CREDIT,
    needs_reason=False,
    fields=(
        Field("amount", "Amount", hint="as 120.50, with a point"),
        Field("currency", "Currency", hint="as eur"),
        Field(
            "direction",
            "It was",
            "select",
            "filled",
            choices=(("filled", "filled up"), ("drawn", "drawn from")),
        ),
        Field("reference", "Reference", hint="your own name for it: given again, it counts once"),
        Field("description", "Description", required=False),
        Field("on", "Counts on", required=False, hint="as 2026-10-31; now, unless given"),
    ),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """An invariant, and what its last check found; None: no worker has checked it yet."""

    name: str
    invariant: Invariant
    last: Checked | None

    @property
    def state(self) -> str:
        if self.last is None:
            return "not checked"
        return "broken" if self.last.violations else "holds"


def ledger(call: Call) -> Response:
    """What each kind of ledger account holds in all, and whether the books are in order."""
    found = totals(call.connection)
    standings = _standings(call.connection)
    months = closes(call.connection)
    data = {
        "sums": [asdict(total) for total in found],
        "invariants": {each.name: each.state for each in standings},
        "closed_until_ms": months[-1].until_ms if months else None,
    }
    return call.page(
        "ledger.html",
        title="Ledger",
        data=data,
        currencies=_by_currency(found),
        counted_at_ms=min((t.counted_at_ms for t in found if t.counted_at_ms is not None), default=None),
        broken=[each for each in standings if each.state == "broken"],
        unchecked=sum(each.last is None for each in standings),
        checked_at_ms=min((each.last.checked_at_ms for each in standings if each.last), default=None),
        invariants=len(standings),
        last_close=months[-1] if months else None,
        verbs=[FUND, CHECK],
    )


def transactions(call: Call) -> Response:
    """Every transaction with its postings, newest first."""
    key = call.asked("partner")
    whose = None if key is None else the_partner(call.connection, key)

    def own(filters: Filters) -> Filters:
        return filters if whose is None else replace(filters, equal={**filters.equal, "partner_id": whose.id})

    made = windowed(
        call,
        lambda connection, filters, limit: journal(connection, own(filters), limit),
        lambda connection, filters, most: journal_floor(connection, own(filters), most),
        {"kind": "kind", "reference": "reference"},
        narrow=(call.asked("kind") or call.asked("reference")) is not None,
        also=("partner",),
        most=None if whose is None else OF_PARTNER_LOOKED_AT,
    )
    return call.page(
        "transactions.html",
        title="Transactions",
        data=list(made.page.rows),
        window=made,
        page=made.page,
    )


def transaction(call: Call) -> Response:
    """One transaction: what it moved, what caused it, and who."""
    key = call.path("id")
    rows = journal(call.connection, Filters({"id": int(key)}), 1) if _is_id(key) else []
    if not rows:
        raise NotFoundError(f"there is no transaction {key[:40]}")
    row = rows[0]
    payout = None
    if row["payout_id"] is not None:
        payout = next(iter(payout_list(call.connection, Filters({"id": row["payout_id"]}), 1)), None)
    postings = [
        Pot(LedgerKind(each["kind"]), each["currency"], each["amount_minor"]) for each in row["postings"]
    ]
    return call.page(
        "transaction.html",
        title=f"Transaction {row['reference']}",
        data={**row, "payout": payout["stripe_id"] if payout else None},
        row=row,
        payout=payout,
        postings=postings,
    )


def invariants(call: Call) -> Response:
    """What must be true of the books: each promise, and when it last held."""
    order = ("broken", "not checked", "holds")
    standings = sorted(_standings(call.connection), key=lambda each: order.index(each.state))
    data = [
        {
            "name": each.name,
            "state": each.state,
            "promise": each.invariant.promise,
            "remedy": each.invariant.remedy,
            "checked_at_ms": each.last.checked_at_ms if each.last else None,
            "held_at_ms": each.last.held_at_ms if each.last else None,
            "violations": each.last.violations if each.last else None,
            "first": each.last.first_text if each.last else None,
        }
        for each in standings
    ]
    every_s = call.parts.settings.ledger_check_interval_s
    context: dict[str, Any] = {"standings": standings, "every_ms": every_s * 1000, "verbs": [CHECK]}
    return call.page("invariants.html", title="Invariants", data=data, **context)


def check(call: Call) -> Response:
    """Have a worker check the books."""
    call.do(ask_for_check)
    call.order(
        lambda messages: messages.check_ledger(),
        "you asked, which is on the audit log, but the books are not checked",
    )
    return call.back("/ledger/invariants", "a worker checks the books; what it finds shows here")


def closed_months(call: Call) -> Response:
    """Closed months, the newest first, with what moved in each and its digest."""
    months = closes(call.connection)
    rows = [{**asdict(close), "whole": whole} for close, whole in _sealed(months)]
    return call.page(
        "closes.html",
        title="Closed months",
        data=rows[::-1],
        months=_sealed(months)[::-1],
        verbs=[_close_verb(months, call.now_ms)],
    )


def close(call: Call) -> Response:
    """Close a month."""
    period = call.form.get("month", "")
    done = close_month(call.parts.engine, period, call.actor, call.parts.make_id, call.parts.clock)
    said = f"{done.period} is closed with {done.transactions} transactions, digest {done.digest}"
    return call.back("/ledger/closes", said)


def top_up(call: Call) -> Response:
    """Note that the platform's balance was filled up, or drawn from."""
    form = call.form
    code = check_currency(form.get("currency", "").strip())
    amount_minor = parse_money(form.get("amount", "").strip(), code)
    if amount_minor <= 0:
        raise RefusedError("bad_amount", f"{form['amount']} is not more than nothing")
    sign = -1 if form.get("direction") == "drawn" else 1
    on = form.get("on", "").strip()
    wanted = Change(
        *(sign * amount_minor, code, form.get("reference", ""), form.get("description")),
        time_typed(on) if on else None,
    )

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Posted:
        return fund(connection, wanted, actor, make_id, at_ms)

    posted = call.do(work)
    came = "posted" if posted.is_new else "was posted before; nothing changed"
    money = format_money(wanted.amount_minor, code)
    return call.back("/ledger", f"{posted.transaction.reference} over {money}: {came}")


def _standings(connection: Connection) -> list[Standing]:
    last = checks(connection)
    return [Standing(name, invariant, last.get(name)) for name, invariant in all_invariants().items()]


def _by_currency(found: Sequence[Total]) -> dict[str, dict[str, list[tuple[Pot, Total]]]]:
    """Sums by currency, then by whose they are. Nothing of a partner's kind is left out where it is not
    known."""
    order = list(WORDS)
    made: dict[str, dict[str, list[tuple[Pot, Total]]]] = {}
    for total in sorted(found, key=lambda each: (each.currency, order.index(each.kind))):
        whose = "The platform" if total.kind in PLATFORM_KINDS else "All partners"
        pot = Pot(total.kind, total.currency, total.amount_minor or 0)
        made.setdefault(total.currency, {"All partners": [], "The platform": []})[whose].append((pot, total))
    return made


def _sealed(months: Sequence[Close]) -> list[tuple[Close, bool | None]]:
    """Each month with whether its digest is that of its content and follows the month before; None: not
    counted yet."""
    before = START
    found: list[tuple[Close, bool | None]] = []
    for each in months:
        whole = None if each.digest is None else each.seal() == each.digest and each.previous == before
        found.append((each, whole))
        before = each.digest or ""
    return found


def _close_verb(months: Sequence[Close], now_ms: int) -> Verb:
    last = months[-1] if months else None
    if last is not None and last.digest is None:
        period, until_ms = last.period, last.until_ms
    else:
        month = month_of(last.until_ms) if last else month_of(month_of(now_ms).from_ms - 1)
        period, until_ms = str(month), month.until_ms
    return Verb(
        "Close a month",
        "Nothing that counts in that month, or before, is posted any more, and its sums are kept. "
        "There is no way back. A month with much in it takes a while; broken off, "
        "it is finished by closing it again.",
        "/ledger/closes",
        scope=Scope.ADMIN,
        needs_reason=False,
        fields=(Field("month", "Month", value=period, hint="in UTC; the next one that can be closed"),),
        danger=True,
        why_not=f"{period} is not over for an hour yet" if until_ms + AFTER_MS > now_ms else None,
    )


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


ROUTES = (
    ("GET", "/ledger", ledger, Scope.READ),
    ("GET", "/ledger/transactions", transactions, Scope.READ),
    ("GET", "/ledger/transactions/{id}", transaction, Scope.READ),
    ("GET", "/ledger/invariants", invariants, Scope.READ),
    ("GET", "/ledger/closes", closed_months, Scope.READ),
    ("POST", "/ledger/check", check, Scope.OPERATE),
    ("POST", "/ledger/closes", close, Scope.ADMIN),
    ("POST", "/ledger/fund", top_up, Scope.CREDIT),
)
