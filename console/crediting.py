"""`payouts credit`, `payouts debit`, `payouts ledger fund`: what changes without a payout."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption
from console.doing import doing
from console.output import out, parse_time, write_json
from console.request_commands import PartnerArgument
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.money import check_currency, format_money, parse_money
from payouts.people import Scope

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from payouts.crediting import Change, Posted
    from payouts.people import Actor

AmountArgument = Annotated[str, typer.Argument(metavar="AMOUNT", help="As 120.50, with a point.")]
ReferenceOption = Annotated[
    str, typer.Option("--reference", help="Your own name for it, used once: given again, it counts once.")
]
DescriptionOption = Annotated[str | None, typer.Option("--description", help="Shown in statements.")]
OnOption = Annotated[
    str | None, typer.Option("--on", help="When it counts, as 2026-10-31; now, unless given.")
]


def credit(
    partner: PartnerArgument,
    amount: AmountArgument,
    reference: ReferenceOption,
    description: DescriptionOption = None,
    on: OnOption = None,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Say that a partner earned something, in its own currency. Not for a day of a closed month."""
    _change(partner, amount, 1, reference, description, on, as_json, as_name, data)


def debit(
    partner: PartnerArgument,
    amount: AmountArgument,
    reference: ReferenceOption,
    description: DescriptionOption = None,
    on: OnOption = None,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Take back what was credited. What is owed may become less than nothing."""
    _change(partner, amount, -1, reference, description, on, as_json, as_name, data)


def fund(
    amount: AmountArgument,
    currency: Annotated[str, typer.Argument(help="As eur.")],
    reference: ReferenceOption,
    drawn: Annotated[bool, typer.Option("--drawn", help="It was taken out, not filled up.")] = False,
    description: DescriptionOption = None,
    on: OnOption = None,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Note that the platform's balance at Stripe was filled up. This moves no money by itself."""
    from payouts import crediting

    code = check_currency(currency)
    sign = -1 if drawn else 1
    change = _made(amount, sign, code, reference, description, on)

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Posted":
        return crediting.fund(connection, change, actor, make_id, at_ms)

    with doing(data, Scope.CREDIT, as_name) as doer:
        posted = doer.do(work)
    _say(posted, change, "the platform's balance at Stripe", as_json)


def _change(
    partner: str,
    amount: str,
    sign: int,
    reference: str,
    description: str | None,
    on: str | None,
    as_json: bool,
    as_name: str | None,
    data: "Path | None",
) -> None:
    from payouts.crediting import change_owed
    from payouts.registering import the_partner

    made: list[Change] = []

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Posted":
        found = the_partner(connection, partner)
        change = _made(amount, sign, found.currency, reference, description, on)
        made[:] = [change]
        return change_owed(connection, found, change, actor, make_id, at_ms)

    with doing(data, Scope.CREDIT, as_name) as doer:
        posted = doer.do(work)
    _say(posted, made[0], partner, as_json)


def _made(
    amount: str, sign: int, currency: str, reference: str, description: str | None, on: str | None
) -> "Change":
    from payouts.crediting import Change

    amount_minor = parse_money(amount, currency)
    if amount_minor <= 0:
        raise RefusedError("bad_amount", f"{amount} is not more than nothing")
    on_ms = parse_time(on) if on is not None else None
    return Change(sign * amount_minor, currency, reference, description, on_ms)


def _say(posted: "Posted", change: "Change", whose: str, as_json: bool) -> None:
    transaction = posted.transaction
    if as_json:
        row = {
            "id": transaction.id,
            "reference": transaction.reference,
            "amount_minor": change.amount_minor,
            "currency": change.currency,
            "effective_at_ms": transaction.effective_at_ms,
            "posted_at_ms": transaction.posted_at_ms,
            "is_new": posted.is_new,
        }
        write_json(row)
        return
    amount = format_money(change.amount_minor, change.currency)
    said = "posted" if posted.is_new else "was posted before; nothing changed"
    out().print(f"{transaction.reference} over {amount} for {whose}: {said}", markup=False)
