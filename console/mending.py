"""`payouts payout …`, what came back or is unclear: send again, take back, look, or say it was never made."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, settings_of
from console.doing import doing
from console.output import out, write_json
from console.request_commands import PayoutArgument, ReasonOption, request_row
from payouts.errors import SettingsError
from payouts.ids import IdMaker
from payouts.money import format_money
from payouts.people import Scope
from payouts.request import PayoutRequest, no_request, row_id_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.people import Actor

    Verb = Callable[[Connection, int, Actor, str, IdMaker, int], PayoutRequest]

HINT_TIMEOUT_S = 2.0

app = typer.Typer()


@app.command("retry")
def retry(
    payout: PayoutArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Pay out again what came back and lies in the partner's Stripe account, without a second transfer."""
    from payouts.mending import retry

    _mend(retry, Scope.OPERATE, payout, reason, "is paid out again", as_json, as_name, data)


@app.command("reverse")
def reverse(
    payout: PayoutArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Take back the transfer of a payout that came back; its amount is then owed again."""
    from payouts.mending import reverse

    _mend(reverse, Scope.OPERATE, payout, reason, "is taken back", as_json, as_name, data)


@app.command("look")
def look(
    payout: PayoutArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Have Stripe asked once more what became of an unclear payout. Nothing is sent."""
    from payouts.mending import look

    _mend(look, Scope.OPERATE, payout, reason, "is looked for at Stripe", as_json, as_name, data)


@app.command("never-made")
def never_made(
    payout: PayoutArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Say of an unclear payout that Stripe never made it: it is sent anew, with a new key.

    Find out at Stripe first: whoever is wrong here pays twice. Takes a person other than the one who asked
    for it.
    """
    from payouts.mending import release

    _mend(release, Scope.APPROVE, payout, reason, "is sent anew, with a new key", as_json, as_name, data)


def _mend(
    verb: "Verb",
    scope: Scope,
    payout: str,
    reason: str,
    said: str,
    as_json: bool,
    as_name: str | None,
    data: Path | None,
) -> None:
    request_id = row_id_of(payout)
    if request_id is None:
        raise no_request(payout)

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> PayoutRequest:
        return verb(connection, request_id, actor, reason, make_id, at_ms)

    with doing(data, scope, as_name) as doer:
        request = doer.do(work)
    _hint(data, request.id)
    if as_json:
        write_json(request_row(request))
        return
    money = format_money(request.amount_minor, request.currency)
    out().print(f"{request.public_id}: {money} {said}", markup=False, soft_wrap=True)


def _hint(data: Path | None, request_id: int) -> None:
    """Wake a worker. It is due on its row already, so a sweeper finds it where this is lost."""
    from dramatiq.errors import BrokerError
    from redis import RedisError

    from payouts.stores import open_redis
    from workers.messages import open_messages

    settings = settings_of(data)
    try:
        with open_redis(settings, HINT_TIMEOUT_S) as client:
            open_messages(settings, client, HINT_TIMEOUT_S).send_payout(request_id)
    except (RedisError, BrokerError, SettingsError):
        return
