"""Completeness: which days are proven, the proofs, and the walks through Stripe's lists of events."""

import dataclasses
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.responses import Response

from console.web.call import Call
from console.web.listing import listed, time_typed
from console.web.month_grid import Grid, grid_of
from console.web.verb import Field, Verb
from payouts import proving
from payouts.asked_walks import ask_for_proof, ask_to_catch_up
from payouts.audit import START, digest_of
from payouts.coverage import Day, DayState, days
from payouts.errors import NotFoundError, RefusedError
from payouts.people import Scope
from payouts.period import Month, month_of, parse_month
from payouts.proof import KEPT_S, Proof, not_known
from payouts.storage.catch_up_rows import find_walk, open_walks, walk_list
from payouts.storage.columns import PLATFORM
from payouts.storage.mark_rows import find_mark, mark_list
from payouts.storage.proof_rows import (
    details_of,
    find_proof,
    head_of,
    proof_list,
    proof_numbered,
    proofs_over,
)
from payouts.walk import Recipe, WalkStatus

COUNTS = ("listed", "applied", "ignored", "open", "dead", "dismissed", "missing", "healed", "unlisted")
PROOFS_MOST = 2_000
"""Of an account in two months: one a day, and what was made by hand."""
WALKS_SHOWN = 20
IDS_SHOWN = 50


def completeness(call: Call) -> Response:
    """Two months of an account, a day a field: proven, not proven, or incomplete."""
    account, month = call.asked("account") or PLATFORM, _month(call)
    before = month_of(month.from_ms - 1)
    now_s = call.now_ms // 1000
    found = proofs_over(
        call.connection, account, before.from_ms // 1000, month.until_ms // 1000 - 1, PROOFS_MOST
    )
    both = [(each, list(days(found, *_first_and_end(each), now_s))) for each in (before, month)]
    mark = find_mark(call.connection, account)
    running = open_walks(call.connection, account, WALKS_SHOWN)
    over = _runs(day for _, of_month in both for day in of_month)
    data = {
        "account": account,
        "walked_until_s": mark.walked_until_s if mark else None,
        "days": [_day_data(day) for _, of_month in both for day in of_month],
    }
    return call.page(
        "completeness.html",
        title="Completeness",
        data=data,
        account=account,
        grids=[_grid(each, of_month) for each, of_month in both],
        over=over,
        state_words=STATE_WORDS,
        mark=mark,
        kept_from_ms=(now_s - KEPT_S) * 1000,
        running=running,
        is_chained=head_of(call.connection, account) is not None,
        older=call.here(month=str(before)),
        newer=call.here(month=str(month.next)) if month.until_ms <= call.now_ms else None,
        verbs=[catch_up_verb(account), prove_verb(account, _yesterday(now_s))],
    )


def proofs(call: Call) -> Response:
    """Proofs, newest first."""
    page = listed(call, proof_list, {"account": "account"})
    return call.page("proofs.html", title="Proofs", data=list(page.rows), page=page, lost=_lost)


def proof(call: Call) -> Response:
    """One proof by its row id: what it counts, what it cannot know, and whether it is as it was made."""
    key = call.path("id")
    found = find_proof(call.connection, int(key)) if _is_number(key) else None
    return _proof_page(call, found, key)


def proof_of_chain(call: Call) -> Response:
    """One proof by its account and number."""
    account, number = call.path("account"), call.path("number")
    found = proof_numbered(call.connection, account, int(number)) if _is_number(number) else None
    return _proof_page(call, found, f"{number} of {account}")


def verify(call: Call) -> Response:
    """Whether a whole chain of proofs is as it was made: each digest, each link, the chain's head."""
    account = call.path("account")
    head, fault = proving.verify(call.connection, account)
    if head == START and fault is None:
        raise NotFoundError(f"nothing is proven of {account} yet")
    data = {
        "account": account,
        "whole": fault is None,
        "proofs": head.number,
        "head": head.digest,
        "fault": str(fault) if fault else None,
    }
    context: dict[str, Any] = {"account": account, "head": head, "fault": fault}
    return call.page("proof_chain.html", title=f"The proofs of {account}", data=data, **context)


def walks(call: Call) -> Response:
    """Walks, newest first: why each began, how far it came, what it added."""
    page = listed(call, walk_list, {"account": "account"})
    running = open_walks(call.connection, None, WALKS_SHOWN)
    return call.page(
        "walks.html",
        title="Walks",
        data=list(page.rows),
        page=page,
        running=running,
        verbs=[catch_up_verb(call.asked("account") or PLATFORM)],
        go_on=lambda walk: go_on_verb(walk["id"]),
    )


def accounts(call: Call) -> Response:
    """How far each account is walked and proven."""
    page = listed(call, mark_list, {"account": "account"})
    return call.page("walked_accounts.html", title="Accounts", data=list(page.rows), page=page)


def catch_up(call: Call) -> Response:
    """Begin a walk that the workers do."""
    form = call.form
    account, since = form.get("account", "").strip(), form.get("since", "").strip()
    since_s = time_typed(since) // 1000 if since else None
    recipe = form.get("recipe", "")
    if recipe not in list(Recipe):
        raise RefusedError("bad_recipe", f"a recipe is {' or '.join(Recipe)}, not {recipe[:20]!r}")
    all_types = form.get("all_types") == "true"
    walk = call.do(
        lambda connection, *by: ask_to_catch_up(
            connection, account, since_s, Recipe(recipe), *by, all_types=all_types
        )
    )
    call.hint(lambda messages: messages.catch_up(walk.id))
    return call.back(f"/completeness/walks?account={account}", f"the workers walk the events of {account}")


def prove(call: Call) -> Response:
    """Begin a walk that proves a day."""
    account = call.form.get("account", "").strip()
    day_s = time_typed(call.form.get("day", "").strip()) // 1000
    walk = call.do(lambda connection, *by: ask_for_proof(connection, account, day_s, *by))
    call.hint(lambda messages: messages.catch_up(walk.id))
    day = datetime.fromtimestamp(day_s, UTC).date()
    return call.back(
        f"/completeness?account={account}&month={day:%Y-%m}",
        f"the workers prove {day} of {account}; the day shows it when that is done",
    )


def go_on(call: Call) -> Response:
    """Send the message of a walk that stands still once more."""
    key = call.path("id")
    walk = find_walk(call.connection, int(key)) if _is_number(key) else None
    if walk is None:
        raise NotFoundError(f"there is no walk {key[:40]}")
    if walk.status != WalkStatus.UNDER_WAY:
        raise RefusedError(
            "not_under_way", f"the walk {key} is {walk.status}: there is nothing to go on with"
        )
    call.hint(lambda messages: messages.catch_up(walk.id))
    return call.back("/completeness/walks", f"a worker goes on with the walk of {walk.account}")


def catch_up_verb(account: str) -> Verb:
    """The form that begins a walk."""
    return Verb(
        "Catch up",
        "The workers walk Stripe's list of the account's events, page by page, and add to the inbox "
        "what never arrived. What is known already is passed over.",
        "/completeness/catch-up",
        needs_reason=False,
        fields=(
            Field("account", "Account", value=account, hint="acct_…, or platform"),
            Field("since", "Since", required=False, hint="as 2026-10-31 or 3d; else from the watermark"),
            Field(
                *("recipe", "Which events", "select", Recipe.ALL),
                choices=((Recipe.ALL, "all"), (Recipe.FAILED, "only what an endpoint did not take: cheap")),
            ),
            Field("all_types", "Also types that nothing is done with", "checkbox", required=False),
        ),
    )


def prove_verb(account: str, day: date) -> Verb:
    """The form that proves a day."""
    return Verb(
        "Prove a day",
        "The workers compare what Stripe lists of that day (in UTC) with the inbox, add what is missing, and "
        "keep the result as a proof. Stripe lists the events of the last 30 days.",
        "/completeness/prove",
        needs_reason=False,
        fields=(
            Field("account", "Account", value=account, hint="acct_…, or platform"),
            Field("day", "Day", "date", day.isoformat()),
        ),
    )


def go_on_verb(walk_id: int) -> Verb:
    """The form that sends the message of a walk once more."""
    return Verb(
        "Go on",
        "A worker walks it further from where it is. Walked twice at once, nothing is added twice.",
        f"/completeness/walks/{walk_id}/go-on",
        needs_reason=False,
    )


STATE_WORDS = {
    DayState.PROVEN: "proven",
    DayState.FOUND: "proven, with finds",
    DayState.INCOMPLETE: "incomplete",
    DayState.PARTLY: "partly proven",
    DayState.NOT_PROVEN: "not proven",
    DayState.TOO_OLD: "not proven, too old",
    DayState.GOING_ON: "not over",
    DayState.AHEAD: "",
}
_TO_TELL = frozenset({DayState.FOUND, DayState.INCOMPLETE, DayState.PARTLY, DayState.NOT_PROVEN})
"""Days that are also told one by one below the calendar."""


def _proof_page(call: Call, found: Proof | None, key: str) -> Response:
    if found is None:
        raise NotFoundError(f"there is no proof {key[:80]}")
    details = details_of(found.details)
    unknown = not_known(found, details.get("types"), cut=bool(details.get("cut")))
    fits, before = digest_of(found) == found.digest, None
    follows = found.previous == START.digest
    if found.number > 1:
        before = proof_numbered(call.connection, found.account, found.number - 1)
        follows = before is not None and before.digest == found.previous
    ids = {name: details.get(name, []) for name in ("missing", "not_healed", "unlisted")}
    said = {"verdict": found.verdict, "complete": found.is_complete, "not_known": unknown}
    seal = {"digest_fits": fits, "follows_the_one_before": follows}
    return call.page(
        "proof.html",
        title=f"Proof {found.number} of {found.account}",
        data={**dataclasses.asdict(found), "details": details, **said, **seal},
        proof=found,
        counts=[(name, getattr(found, name)) for name in COUNTS],
        reasons=sorted(details.get("reasons", {}).items(), key=lambda item: -item[1]),
        ids={name: [str(each) for each in listed_ids][:IDS_SHOWN] for name, listed_ids in ids.items()},
        id_counts={name: len(listed_ids) for name, listed_ids in ids.items()},
        unknown=unknown,
        fits=fits,
        follows=follows,
    )


def _runs(of_both: Iterable[Day]) -> list[tuple[Day, Day]]:
    """Days to look at, first and last; those without a proof that follow each other together."""
    runs: list[tuple[Day, Day]] = []
    for day in of_both:
        if day.state not in _TO_TELL:
            continue
        last = runs[-1][1] if runs else None
        if last and last.proof is day.proof is None and day.on - last.on == timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def _month(call: Call) -> Month:
    text = call.asked("month")
    return month_of(call.now_ms) if text is None else parse_month(text)


def _first_and_end(month: Month) -> tuple[date, date]:
    return date(month.year, month.month, 1), date(month.next.year, month.next.month, 1)


def _grid(month: Month, of_month: list[Day]) -> Grid:
    return grid_of(date(month.year, month.month, 1), of_month)


def _yesterday(now_s: int) -> date:
    return datetime.fromtimestamp(now_s - 86_400, UTC).date()


def _day_data(day: Day) -> dict[str, Any]:
    return {
        "day": day.on.isoformat(),
        "state": day.state,
        "proof": str(day.proof.id) if day.proof else None,
        "found": day.found,
        "lost": day.lost,
    }


def _lost(row: dict[str, Any]) -> int:
    return int(row["missing"] - row["healed"])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


ROUTES = (
    ("GET", "/completeness", completeness, Scope.READ),
    ("GET", "/completeness/proofs", proofs, Scope.READ),
    ("GET", "/completeness/proofs/{id}", proof, Scope.READ),
    ("GET", "/completeness/proofs/{account}/{number}", proof_of_chain, Scope.READ),
    ("GET", "/completeness/chains/{account}", verify, Scope.READ),
    ("GET", "/completeness/walks", walks, Scope.READ),
    ("GET", "/completeness/accounts", accounts, Scope.READ),
    ("POST", "/completeness/catch-up", catch_up, Scope.OPERATE),
    ("POST", "/completeness/prove", prove, Scope.OPERATE),
    ("POST", "/completeness/walks/{id}/go-on", go_on, Scope.OPERATE),
)
