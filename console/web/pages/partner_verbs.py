"""What can be done about a partner: the forms, and what they do, by the functions of the commands."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection
from starlette.responses import Response

from console.schedule_words import DAYS
from console.web.call import Call
from console.web.counted import counted
from console.web.flash import Flash
from console.web.listing import time_typed
from console.web.pages.partner_mail import MAIL_VERBS, mail_verbs
from console.web.verb import Field, Verb
from payouts.approving import approve_bank_account
from payouts.crediting import Change, Posted, change_owed
from payouts.due_days import Schedule
from payouts.errors import NotFoundError, RefusedError
from payouts.holding import place, release_by_id, wake_waiting
from payouts.holds import Hold, HoldKind, HoldScope
from payouts.ids import IdMaker
from payouts.money import decimal_text, format_money, parse_money
from payouts.partner import NO_SCHEDULE, Partner, PartnerState
from payouts.people import Actor, Scope
from payouts.registering import NewPartner, register, the_partner
from payouts.storage.hold_rows import lock_hold
from payouts.updating import Changes, block, unblock, update


def new_partner(typed: Mapping[str, str]) -> Verb:
    """The form that registers a partner."""
    return Verb(
        "Register",
        "The partner can be credited at once, and paid once Stripe was asked about its account. "
        "Its reference, Stripe account and currency stay for ever.",
        "/partners",
        needs_reason=False,
        fields=(
            Field(
                "reference",
                "Reference",
                value=typed.get("reference", ""),
                hint="the portal's own name for it",
            ),
            Field("account", "Stripe account", value=typed.get("account", ""), hint="acct_…"),
            Field("name", "Name", value=typed.get("name", "")),
            Field("email", "E-mail", "email", typed.get("email", "")),
            Field("currency", "Currency", value=typed.get("currency", ""), hint="as eur"),
        ),
        open=True,
    )


def verbs_of(found: Partner, holds: Sequence[Hold]) -> list[Verb]:
    """What can be done about a partner as it is."""
    base, name, code = f"/partners/{found.account}", found.name, found.currency.upper()
    return [
        _change(
            found, "Credit", f"Say that {name} earned so much more, in {code}. It can be asked for at once."
        ),
        _change(
            found, "Debit", f"Take back from {name} what was credited, in {code}. It may come to owe us."
        ),
        _bank(found),
        _hold(found, holds),
        _schedule(found),
        Verb(
            "Change name or e-mail",
            "Notices go to the new address from now on. The audit log notes that it changed, not to what.",
            f"{base}/update",
            needs_reason=False,
            fields=(Field("name", "Name", value=found.name), Field("email", "E-mail", "email", found.email)),
        ),
        *mail_verbs(found),
        Verb(
            "Unblock",
            f"{name} can be paid again once Stripe was asked about its account, which is done next.",
            f"{base}/unblock",
        )
        if found.state == PartnerState.BLOCKED
        else Verb(
            "Block",
            f"Nothing more is paid to {name} until somebody unblocks it. What Stripe has already goes on.",
            f"{base}/block",
            danger=True,
        ),
    ]


def release_verb(found: Partner, hold: Hold) -> Verb:
    """The form that releases one hold."""
    return Verb(
        "Release",
        "What this hold keeps back is sent, unless something else stops it. "
        f"It was placed by {hold.placed_by}: {hold.reason}",
        f"/partners/{found.account}/holds/{hold.id}/release",
    )


def add(call: Call) -> Response:
    """Register."""
    form = call.form
    wanted = NewPartner(
        *(form.get(name, "").strip() for name in ("reference", "account", "name", "email", "currency"))
    )
    try:
        done = call.do(lambda connection, *by: register(connection, wanted, *by))
    except RefusedError as refused:
        if call.wants_json or call.visitor.session is None:
            raise
        call.flash = Flash(str(refused), refused=True)  # and what was typed stays
        return call.page(
            "partner_new.html", title="Register a partner", status=409, verb=new_partner(call.form)
        )
    return call.back(f"/partners/{done.account}", f"{done.reference} ({done.account}) is registered")


def credit(call: Call) -> Response:
    """Credit."""
    return _post_change(call, 1)


def debit(call: Call) -> Response:
    """Debit."""
    return _post_change(call, -1)


def change(call: Call) -> Response:
    """Name and e-mail."""
    changes = Changes(name=call.form.get("name"), email=call.form.get("email"))
    done = _updated(call, lambda found: changes)
    return call.back(f"/partners/{done.account}", f"{done.reference} is as you said")


def schedule(call: Call) -> Response:
    """The schedule, with day and minimum."""
    wanted = call.form.get("schedule", "")
    day, minimum = call.form.get("day", "").strip(), call.form.get("minimum", "").strip()
    if day and not (day.isascii() and day.isdigit() and len(day) <= 2):
        raise RefusedError("bad_schedule", f"{day[:20]!r} is no day: 0 to 6 from Monday on, or 1 to 31")

    def changes(found: Partner) -> Changes:
        minimum_minor = parse_money(minimum, found.currency) if minimum else None
        return Changes(
            schedule=wanted,
            schedule_day=int(day) if day else None,
            schedule_minimum_minor=minimum_minor,
        )

    done = _updated(call, changes)
    return call.back(f"/partners/{done.account}", f"the schedule of {done.reference} is {done.schedule}")


def block_partner(call: Call) -> Response:
    """Block."""

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Partner:
        found = the_partner(connection, call.path("key"))
        return block(connection, found.id, call.reason, actor, make_id, at_ms)

    done = call.do(work)
    return call.back(f"/partners/{done.account}", f"{done.reference} is blocked: nothing is paid to it")


def unblock_partner(call: Call) -> Response:
    """Unblock; Stripe is asked about the account at once."""

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Partner:
        found = the_partner(connection, call.path("key"))
        return unblock(connection, found.id, call.reason, actor, make_id, at_ms)

    done = call.do(work)
    said = f"{done.reference} is not blocked any more; Stripe is asked about it next"
    return call.back(f"/partners/{done.account}", said)


def approve_bank(call: Call) -> Response:
    """Approve the bank account that was shown."""
    seen = call.form.get("seen", "")

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Partner:
        found = the_partner(connection, call.path("key"))
        return approve_bank_account(connection, found.id, actor, call.reason, make_id, at_ms, seen)

    done = call.do(work)
    said = f"{done.bank_label or done.bank_account} of {done.reference} is approved"
    return call.back(f"/partners/{done.account}", said)


def hold(call: Call) -> Response:
    """Hold back every payout of a partner."""

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Partner:
        found = the_partner(connection, call.path("key"))
        target = (HoldScope.PARTNER, str(found.id))
        place(connection, HoldKind.MANUAL, target, actor, call.reason, make_id, at_ms, found.account)
        return found

    done = call.do(work)
    return call.back(f"/partners/{done.account}", f"{done.reference} is held: no payout of it is sent")


def release(call: Call) -> Response:
    """Release one hold of a partner; what waited for it is looked at again."""
    hold_id = _row_id(call.path("hold_id"))

    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> tuple[Partner, Hold]:
        found = the_partner(connection, call.path("key"))
        held = lock_hold(connection, hold_id)
        if held is None or held.account != found.account:
            raise NotFoundError(f"{found.reference} has no hold {hold_id}")
        return found, release_by_id(connection, hold_id, actor, call.reason, make_id, at_ms)

    found, released = call.do(work)
    woken = wake_waiting(call.parts.engine, released.kind, call.parts.clock)
    said = f"{found.reference} is held no more; {counted(woken, 'payout')} waited"
    return call.back(f"/partners/{found.account}", said)


def _updated(call: Call, changes: Callable[[Partner], Changes]) -> Partner:
    def work(connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int) -> Partner:
        found = the_partner(connection, call.path("key"))
        return update(connection, found.id, changes(found), actor, make_id, at_ms)

    return call.do(work)


def _post_change(call: Call, sign: int) -> Response:
    form = call.form
    amount, on = form.get("amount", "").strip(), form.get("on", "").strip()
    on_ms = time_typed(on) if on else None

    def work(
        connection: Connection, actor: Actor, make_id: IdMaker, at_ms: int
    ) -> tuple[Partner, int, Posted]:
        found = the_partner(connection, call.path("key"))
        amount_minor = parse_money(amount, found.currency)
        if amount_minor <= 0:
            raise RefusedError("bad_amount", f"{amount} is not more than nothing")
        wanted = Change(
            sign * amount_minor, found.currency, form.get("reference", ""), form.get("description"), on_ms
        )
        return found, wanted.amount_minor, change_owed(connection, found, wanted, actor, make_id, at_ms)

    found, amount_minor, posted = call.do(work)
    came = "posted" if posted.is_new else "was posted before; nothing changed"
    money = format_money(amount_minor, found.currency)
    said = f"{posted.transaction.reference} over {money} for {found.reference}: {came}"
    return call.back(f"/partners/{found.account}", said, {"transaction_id": posted.transaction.id})


def _change(found: Partner, label: str, says: str) -> Verb:
    example = decimal_text(12_050, found.currency)
    return Verb(
        label,
        says,
        f"/partners/{found.account}/{label.lower()}",
        scope=Scope.CREDIT,
        needs_reason=False,
        fields=(
            Field("amount", f"Amount in {found.currency.upper()}", hint=f"as {example}, with a point"),
            Field("reference", "Reference", hint="your own name for it: given again, it counts once"),
            Field("description", "Description", required=False, hint="shown in statements"),
            Field("on", "Counts on", required=False, hint="as 2026-10-31; now, unless given"),
        ),
        danger=label == "Debit",
    )


def _bank(found: Partner) -> Verb:
    bank, why_not = found.bank_account, None
    if not bank:
        why_not = "there is none at Stripe yet"
    elif found.bank_approved == bank:
        why_not = "it is approved"
    return Verb(
        "Approve bank account",
        f"{found.bank_label or bank} of {found.name} may be paid to, once it is old enough. "
        "Look at it first: a person answers for it.",
        f"/partners/{found.account}/bank/approve",
        scope=Scope.APPROVE,
        hidden=(("seen", bank or ""),),
        why_not=why_not,
    )


def _hold(found: Partner, holds: Sequence[Hold]) -> Verb:
    held = any(
        each.active and each.kind == HoldKind.MANUAL and each.scope == HoldScope.PARTNER for each in holds
    )
    return Verb(
        "Hold",
        f"No payout of {found.name} is sent until the hold is released. Requests are still taken, and wait; "
        "what Stripe has already goes on.",
        f"/partners/{found.account}/hold",
        why_not="it is held already" if held else None,
    )


def _schedule(found: Partner) -> Verb:
    minimum = found.schedule_minimum_minor
    days = ", ".join(f"{number} {name[:3]}" for number, name in enumerate(DAYS))
    return Verb(
        "Change schedule",
        f"All that {found.name} is owed is asked for on these days. Day and minimum are set anew too.",
        f"/partners/{found.account}/schedule",
        needs_reason=False,
        fields=(
            Field("schedule", "Schedule", "select", found.schedule, choices=(NO_SCHEDULE, *Schedule)),
            Field(
                *("day", "Day", "text", "" if found.schedule_day is None else str(found.schedule_day)),
                required=False,
                hint=f"weekly: {days}; monthly: 1 to 31",
            ),
            Field(
                *("minimum", "Only from", "text"),
                "" if minimum is None else decimal_text(minimum, found.currency),
                required=False,
                hint=f"{found.currency.upper()}; pay only if at least so much is due",
            ),
        ),
    )


def _row_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise NotFoundError(f"there is no hold {text[:40]}")
    return int(text)


PARTNER_VERBS = (
    ("POST", "/partners", add, Scope.OPERATE),
    *MAIL_VERBS,
    ("POST", "/partners/{key}/credit", credit, Scope.CREDIT),
    ("POST", "/partners/{key}/debit", debit, Scope.CREDIT),
    ("POST", "/partners/{key}/update", change, Scope.OPERATE),
    ("POST", "/partners/{key}/schedule", schedule, Scope.OPERATE),
    ("POST", "/partners/{key}/block", block_partner, Scope.OPERATE),
    ("POST", "/partners/{key}/unblock", unblock_partner, Scope.OPERATE),
    ("POST", "/partners/{key}/bank/approve", approve_bank, Scope.APPROVE),
    ("POST", "/partners/{key}/hold", hold, Scope.OPERATE),
    ("POST", "/partners/{key}/holds/{hold_id}/release", release, Scope.OPERATE),
)
