"""`payouts partner …`: whom the platform pays."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from
from console.doing import doing
from console.exporting import statement
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import out, print_table, short_time, table, write_json
from console.request_commands import PartnerArgument, ReasonOption
from console.schedule_words import schedule_words
from payouts.due_days import Schedule
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.money import format_money, parse_money
from payouts.partner import NO_SCHEDULE, PartnerState
from payouts.people import Scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.partner import Partner
    from payouts.people import Actor

app = typer.Typer(no_args_is_help=True, help="Partners: whom the platform pays.")
app.command("statement")(statement)

_COLUMNS = ("registered", "partner", "account", "currency", "state", "bank account", "schedule", "why")


@app.command("add")
def add(
    reference: Annotated[str, typer.Argument(help="The portal's own name for it, for ever.")],
    account: Annotated[str, typer.Argument(help="Its Stripe account, acct_…")],
    name: Annotated[str, typer.Option(help="As shown to people.")],
    email: Annotated[str, typer.Option(help="Where it is written to.")],
    currency: Annotated[str, typer.Option(help="What it is paid in, as eur; it stays so.")],
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Register a partner. It can be credited at once, and paid once Stripe was asked about its account."""
    from payouts.registering import NewPartner, register

    wanted = NewPartner(reference, account, name, email, currency)

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Partner":
        return register(connection, wanted, actor, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        partner = doer.do(work)
    _say(partner, "is registered", as_json)


@app.command("list")
def list_partners(
    state: Annotated[PartnerState | None, typer.Option()] = None,
    currency: Annotated[str | None, typer.Option(help="As eur.")] = None,
    schedule: Annotated[Schedule | None, typer.Option()] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List partners, newest first."""
    from payouts.storage.partner_rows import partner_list

    equal = {"state": state, "currency": currency.lower() if currency else None, "schedule": schedule}
    show(data, partner_list, make_filters(equal, since, until, after), limit, as_json, _COLUMNS, _cells)


@app.command("show")
def show_partner(partner: PartnerArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show one partner: its account at Stripe, its bank account, and where its money is."""
    from dataclasses import asdict

    from payouts.registering import the_partner
    from payouts.storage.ledger_rows import partner_balances

    with reading_from(data) as connection:
        found = the_partner(connection, partner)
        balances = partner_balances(connection, found.id)
    if as_json:
        rows = {str(kind): amount for (_, kind), amount in sorted(balances.items())}
        write_json({**asdict(found), "balances_minor": rows})
        return
    _print(found)
    cells = [(kind, format_money(amount, code)) for (code, kind), amount in sorted(balances.items())]
    print_table(table(("money", "amount"), cells))


@app.command("update")
def update(
    partner: PartnerArgument,
    name: Annotated[str | None, typer.Option()] = None,
    email: Annotated[str | None, typer.Option()] = None,
    schedule: Annotated[
        str | None, typer.Option(help=f"{NO_SCHEDULE}, {', '.join(Schedule)}; sets day and minimum anew.")
    ] = None,
    day: Annotated[int | None, typer.Option(help="Weekly: 0 is Monday. Monthly: 1 to 31.")] = None,
    minimum: Annotated[
        str | None, typer.Option(help="With a schedule: pay only if at least this much is due, as 50.00.")
    ] = None,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Change name, e-mail address or schedule. Its reference, Stripe account and currency stay."""
    from payouts.registering import the_partner
    from payouts.updating import Changes, update

    if all(value is None for value in (name, email, schedule, day, minimum)):
        raise RefusedError("nothing_to_change", "say what to change, as --email new@example.com")

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Partner":
        found = the_partner(connection, partner)
        minimum_minor = parse_money(minimum, found.currency) if minimum is not None else None
        changes = Changes(name, email, schedule, day, minimum_minor)
        return update(connection, found.id, changes, actor, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        after = doer.do(work)
    _say(after, "is as you said", as_json)


@app.command("block")
def block(
    partner: PartnerArgument, reason: ReasonOption, as_name: AsOption = None, data: DataOption = None
) -> None:
    """Pay a partner nothing more until it is unblocked. What Stripe has already goes on."""
    from payouts.registering import the_partner
    from payouts.updating import block

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Partner":
        found = the_partner(connection, partner)
        return block(connection, found.id, reason, actor, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        after = doer.do(work)
    _say(after, "is blocked: nothing is paid to it", as_json=False)


@app.command("unblock")
def unblock(
    partner: PartnerArgument, reason: ReasonOption, as_name: AsOption = None, data: DataOption = None
) -> None:
    """Let a blocked partner be paid again, once Stripe was asked about its account anew."""
    from payouts.registering import the_partner
    from payouts.updating import unblock

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Partner":
        found = the_partner(connection, partner)
        return unblock(connection, found.id, reason, actor, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        after = doer.do(work)
    _say(after, "is not blocked any more; Stripe is asked about it next", as_json=False)


@app.command("trust-email")
def trust_email(
    partner: PartnerArgument, reason: ReasonOption, as_name: AsOption = None, data: DataOption = None
) -> None:
    """Write to a partner's address again, although mail came back from it."""
    from payouts.registering import the_partner
    from payouts.updating import trust_email

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Partner":
        found = the_partner(connection, partner)
        return trust_email(connection, found.id, reason, actor, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        after = doer.do(work)
    _say(after, "is written to again; what was not sent: `payouts notice retry`", as_json=False)


def _say(partner: "Partner", said: str, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        write_json(asdict(partner))
        return
    out().print(f"{partner.reference} ({partner.account}) {said}", markup=False)


def _print(partner: "Partner") -> None:
    minimum = partner.schedule_minimum_minor
    facts = [
        *(("partner", partner.reference), ("name", partner.name), ("e-mail", partner.email)),
        ("mail came back", _bounce(partner)),
        *(("account", partner.account), ("currency", partner.currency.upper())),
        *(("state", partner.state), ("why", partner.state_reason)),
        *(("payouts at Stripe", _yes(partner.payouts_enabled)), ("transfers", partner.transfers_capability)),
        ("Stripe wants", wanted(partner.requirements)),
        *(("bank account", partner.bank_label), ("its id", partner.bank_account)),
        *(("its status", partner.bank_status), ("known since", short_time(partner.bank_since_ms))),
        (
            "approved",
            _yes(partner.bank_account is not None and partner.bank_approved == partner.bank_account),
        ),
        ("schedule", schedule_words(partner.schedule, partner.schedule_day)),
        ("from", format_money(minimum, partner.currency) if minimum is not None else None),
        *(("asked Stripe", short_time(partner.refreshed_at_ms)), ("row id", partner.id)),
    ]
    print_table(table(("", ""), facts))


def wanted(kept: str | None) -> str | None:
    """What Stripe wants of a partner, in words, or as it kept where that does not read; None: not asked."""
    if not kept:
        return None
    import msgspec

    try:
        asked = msgspec.json.decode(kept, type=dict[str, Any])
    except msgspec.MsgspecError:
        return kept
    parts = [
        f"{words}: {', '.join(asked[name])}"
        for name, words in (("past_due", "past due"), ("currently_due", "due now"))
        if asked.get(name)
    ]
    if asked.get("current_deadline"):
        parts.append(f"until {short_time(asked['current_deadline'] * 1000)}")
    if asked.get("disabled_reason"):
        parts.append(f"switched off at Stripe: {asked['disabled_reason']}")
    return "; ".join(parts) or "nothing"


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(short_time(row["created_at_ms"]), row["reference"], row["account"], row["currency"].upper()),
        *(row["state"], row["bank_label"], schedule_words(row["schedule"], row["schedule_day"])),
        row["state_reason"],
    )


def _bounce(partner: "Partner") -> str | None:
    if partner.email_bounced_at_ms is None:
        return None
    since = short_time(partner.email_bounced_at_ms)
    return f"{partner.email_bounce}; nothing is sent since {since} (`payouts partner trust-email`)"


def _yes(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"
