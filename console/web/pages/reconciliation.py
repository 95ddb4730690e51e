"""Reconciliation: what differs between our books and Stripe's, what was done about it, how far it goes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.responses import Response

from console.web.call import Call
from console.web.listing import listed
from console.web.verb import Field, Verb
from console.web.window import LOOKED_AT, windowed
from payouts.asked_comparing import ask_to_compare
from payouts.difference import DifferenceKind
from payouts.errors import NotFoundError
from payouts.people import Scope
from payouts.storage.columns import PLATFORM
from payouts.storage.difference_rows import count_open, difference_floor, difference_list
from payouts.storage.progress_rows import progress_list
from payouts.storage.queries import Filters
from payouts.storage.round_rows import round_list

COUNTED_MOST = 1_000
ROUNDS_SHOWN, TIMES_SHOWN = 20, 20
EQUAL = {"kind": "kind", "account": "account", "subject": "subject"}


def differences(call: Call) -> Response:
    """What differs now; or, on the other tab, what healed or is gone."""
    healed = call.asked("tab") == "healed"
    narrow = healed and any(call.asked(name) for name in EQUAL)
    fetch = partial(difference_list, only_open=not healed, only_healed=healed)
    made = windowed(call, fetch, difference_floor, EQUAL, narrow=narrow)
    counts = count_open(call.connection, COUNTED_MOST)
    return call.page(
        "reconciliation.html",
        title="Reconciliation",
        data=list(made.page.rows),
        window=made,
        page=made.page,
        healed=healed,
        kinds=list(DifferenceKind),
        counts=sorted(counts.items(), key=lambda item: -item[1]),
        counted_all=sum(counts.values()) < COUNTED_MOST,
        verbs=[compare_verb(call.asked("account") or PLATFORM)],
    )


def difference(call: Call) -> Response:
    """One difference: what each side says, since when, what to do, and whether it was there before."""
    key = call.path("id")
    rows = difference_list(call.connection, Filters({"id": int(key)}), 1) if _is_id(key) else []
    if not rows:
        raise NotFoundError(f"there is no difference {key[:40]}")
    row = rows[0]
    floor = difference_floor(call.connection, Filters({}), LOOKED_AT)
    same = {"account": row["account"], "subject": row["subject"]}
    others = difference_list(call.connection, Filters(same, since_id=floor), TIMES_SHOWN + 1)
    return call.page(
        "difference.html",
        title=f"{row['kind'].replace('_', ' ')} {row['subject']}",
        data=row,
        row=row,
        others=[other for other in others if other["id"] != row["id"]],
        about=about(row["subject"]),
        verbs=[compare_verb(row["account"])] if row["healed_at_ms"] is None else [],
    )


def rounds(call: Call) -> Response:
    """The last rounds, and how far each account is compared."""
    page = listed(call, progress_list, {"account": "account"})
    last = round_list(call.connection, Filters({}), ROUNDS_SHOWN)
    return call.page(
        "rounds.html",
        title="Rounds",
        data={"rounds": last, "accounts": list(page.rows)},
        rounds=last,
        page=page,
        reads_most=call.parts.settings.reconcile_reads_most,
        verbs=[compare_verb(call.asked("account") or PLATFORM)],
    )


def compare(call: Call) -> Response:
    """Have a worker compare an account."""
    account = call.form.get("account", "").strip()
    call.do(lambda connection, *by: ask_to_compare(connection, account, *by))
    call.order(
        lambda messages: messages.compare_account(account),
        f"you asked, which is on the audit log, but {account} is not compared",
    )
    return call.back(
        f"/reconciliation/rounds?account={account}",
        f"a worker compares {account} with Stripe; what differs is listed as it is found",
    )


def compare_verb(account: str) -> Verb:
    """The form that has an account compared."""
    return Verb(
        "Compare an account now",
        "A worker asks Stripe for what it has of the account and compares it with our books. What the state "
        "machine can heal is healed; all else is listed until it is gone.",
        "/reconciliation/compare",
        needs_reason=False,
        fields=(Field("account", "Account", value=account, hint="acct_…, or platform"),),
    )


def about(subject: str) -> Mapping[str, Any] | None:
    """Where the console and Stripe show what a difference is about; None where neither does."""
    prefix = subject.partition("_")[0]
    if prefix in ("pay", "po"):
        return {"href": f"/payouts/{subject}", "at_stripe": prefix == "po"}
    if prefix == "tr":
        return {"href": f"/find?q={subject}", "at_stripe": True}
    if prefix == "acct":
        return {"href": f"/partners/{subject}", "at_stripe": True}
    return None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


ROUTES = (
    ("GET", "/reconciliation", differences, Scope.READ),
    ("GET", "/reconciliation/rounds", rounds, Scope.READ),
    ("GET", "/reconciliation/{id}", difference, Scope.READ),
    ("POST", "/reconciliation/compare", compare, Scope.OPERATE),
)
