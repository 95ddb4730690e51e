"""`payouts payout …`, its requests: ask for a payout, decide on it, hold it, call it off."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, reading_from
from console.doing import doing
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import out, short_time, write_json
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.money import format_money, parse_money
from payouts.people import Scope
from payouts.request import PayoutRequest, no_request, public_id, row_id_of
from payouts.states import RequestStatus
from payouts.waiting import wait_in_list

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from payouts.partner import Partner
    from payouts.people import Actor

    Verb = Callable[[Connection, int, Actor, str, IdMaker, int], PayoutRequest]

app = typer.Typer()

PayoutArgument = Annotated[str, typer.Argument(metavar="ID", help="pay_…, as `requests` shows it.")]
PartnerArgument = Annotated[str, typer.Argument(help="Its reference, its acct_…, or its row id.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stays on record.")]

_COLUMNS = ("requested at", "payout", "partner", "amount", "status", "waits for", "requested by", "reference")


@app.command("request")
def request(
    partner: PartnerArgument,
    amount: Annotated[str | None, typer.Argument(help="As 120.50, in the partner's currency.")] = None,
    all_due: Annotated[bool, typer.Option("--all", help="All that is due, instead of an amount.")] = False,
    reference: Annotated[
        str | None, typer.Option(help="Your name for it: given again, nothing new is requested.")
    ] = None,
    descriptor: Annotated[
        str | None, typer.Option("--descriptor", help="What the bank statement says; 22 characters at most.")
    ] = None,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Request a payout.

    The partner is known and not blocked, is owed that much in its own currency, and no limit is in the way;
    large ones then wait for a second person. Bank account, holds and what Stripe still wants are looked at
    when it is sent.
    """
    from payouts.registering import the_partner
    from payouts.requesting import Source, Wish, request_payout

    if (amount is None) != all_due:
        raise RefusedError("bad_amount", "say how much: an amount as 120.50, or --all for all that is due")

    def work(
        connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int
    ) -> tuple["Partner", PayoutRequest]:
        found = the_partner(connection, partner)
        minor = None if amount is None else parse_money(amount, found.currency)
        wish = Wish(found.id, minor, Source.COMMAND, reference=reference, statement_descriptor=descriptor)
        return found, request_payout(connection, wish, actor, make_id, at_ms)

    with doing(data, Scope.REQUEST, as_name) as doer:
        found, made = doer.do(work)
    _say(made, f"to {found.reference} {_next(made)}", as_json)


@app.command("approve")
def approve(
    payout: PayoutArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Let a payout that waits for approval be sent. Takes a person other than the one who asked for it."""
    from payouts.approving import approve

    _decide(approve, Scope.APPROVE, payout, reason, "is approved and goes out", as_json, as_name, data)


@app.command("reject")
def reject(
    payout: PayoutArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Refuse a payout that waits for approval: its amount is owed again. Takes another person, as approve."""
    from payouts.approving import reject

    _decide(reject, Scope.APPROVE, payout, reason, "is rejected; it is owed again", as_json, as_name, data)


@app.command("cancel")
def cancel(
    payout: PayoutArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Call a payout off: its amount is owed again. Only while it waits, for approval or for its turn."""
    from payouts.canceling import cancel

    _decide(cancel, Scope.OPERATE, payout, reason, "is canceled; it is owed again", as_json, as_name, data)


@app.command("hold")
def hold(
    payout: PayoutArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Hold one payout back until it is released. Only while it has not ended; what is at Stripe goes on."""
    from payouts.holding import hold_request

    _decide(hold_request, Scope.OPERATE, payout, reason, "is held back", as_json, as_name, data)


@app.command("release")
def release(
    payout: PayoutArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Let a payout go that `hold` holds back. Other brakes still count when its turn comes."""
    from payouts.holding import release_request

    _decide(release_request, Scope.OPERATE, payout, reason, "is held back no more", as_json, as_name, data)


@app.command("requests")
def list_requests(
    status: Annotated[RequestStatus | None, typer.Option()] = None,
    partner: Annotated[str | None, typer.Option(help="Its reference, its acct_…, or its row id.")] = None,
    waits_for: Annotated[
        str | None, typer.Option("--waits-for", help="As kill_switch, held, velocity or bank_unapproved.")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List requested payouts, newest first, with what each waits for."""
    from payouts.registering import the_partner
    from payouts.storage.request_queries import request_list

    account = None
    if partner is not None:
        with reading_from(data) as connection:
            account = the_partner(connection, partner).account
    filters = make_filters({"status": status, "account": account, "blocked": waits_for}, since, until, after)
    show(data, request_list, filters, limit, as_json, _COLUMNS, _cells)


def _decide(
    verb: "Verb",
    scope: Scope,
    payout: str,
    reason: str,
    said: str,
    as_json: bool,
    as_name: str | None,
    data: "Path | None",
) -> None:
    request_id = row_id_of(payout)
    if request_id is None:
        raise no_request(payout)

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> PayoutRequest:
        return verb(connection, request_id, actor, reason, make_id, at_ms)

    with doing(data, scope, as_name) as doer:
        done = doer.do(work)
    _say(done, said, as_json)


def _say(request: PayoutRequest, said: str, as_json: bool) -> None:
    if as_json:
        write_json(request_row(request))
        return
    money = format_money(request.amount_minor, request.currency)
    out().print(f"{request.public_id}: {money} {said}", markup=False, soft_wrap=True)


def request_row(request: PayoutRequest) -> dict[str, Any]:
    """A request as programs read it."""
    return {
        "payout": request.public_id,
        "account": request.account,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "status": request.status,
        "needs_approval": request.needs_approval,
        "reference": request.reference,
        "requested_by": request.requested_by,
        "created_at_ms": request.created_at_ms,
    }


def _next(request: PayoutRequest) -> str:
    if request.status == RequestStatus.AWAITING_APPROVAL:
        return "waits for a second person: `payouts payout approve` or `reject`"
    return f"is {request.status}"


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    wait = wait_in_list(row)
    return (
        *(short_time(row["created_at_ms"]), public_id(int(row["id"])), row["partner"]),
        *(format_money(row["amount_minor"], row["currency"]), row["status"], wait and wait.text),
        *(row["requested_by"], row["reference"]),
    )
