"""`payouts recovery`: after the database was restored, nothing is sent until the gap is closed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.asking import asking
from console.context import DataOption, JsonOption, reading_from
from console.doing import doing
from console.output import out, parse_time, short_time, write_json
from console.request_commands import ReasonOption
from payouts.clock import iso, now_ms
from payouts.errors import NotFoundError
from payouts.ids import IdMaker
from payouts.money import format_money
from payouts.people import Scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.adopting import Adopter
    from payouts.people import Actor
    from payouts.recovery import Recovery
    from payouts.regaining import Regainer

app = typer.Typer(no_args_is_help=True, help="After a restore: nothing is sent until the gap is closed.")

_DIFFERENCES_MOST = 100


@app.command("begin")
def begin(
    since: Annotated[
        str, typer.Option(help="The time that was restored: what was written from then on is lost.")
    ],
    reason: ReasonOption,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Stop all sending, because the database was restored to an earlier time. Before workers are started.

    The service begins by itself where Redis still knows more than the database; this is for all other cases.
    """
    from payouts.recovering import begin

    since_ms = parse_time(since)

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Recovery":
        return begin(connection, since_ms, actor, reason, make_id, at_ms)

    with doing(data, Scope.OPERATE, as_name) as doer:
        begun = doer.do(work)
    _say(f"nothing is sent any more; what was written from {iso(begun.gap_from_ms)} on counts as lost")
    _say("`payouts recovery run` closes the gap")


@app.command("run")
def run(as_name: AsOption = None, data: DataOption = None) -> None:
    """Close the gap: find at Stripe what was done, and bring the books there. It goes on where it stopped."""
    from payouts.errors import GatewayError
    from payouts.recovery import RecoveryStep

    with _regaining(data, as_name, "recovery.run", "recovery") as regaining:
        try:
            held = regaining.to_the_end()
        except GatewayError as error:
            _say(f"Stripe gives no answer: {error}; run it again to go on", bad=True)
            raise typer.Exit(1) from None
    _say(f"{held.attached} objects put back into the books, {held.unknown} stand for nothing here")
    if held.step == RecoveryStep.DONE:
        _say(
            "the gap is closed: `payouts recovery status` shows what was found, and another person ends it by"
        )
        _say("`payouts recovery finish --reason …`")


@app.command("status")
def status(as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show what is done and what is left, what differs from Stripe, and what goes out once it is ended."""
    from payouts.recovery import RecoveryStep
    from payouts.storage.difference_rows import difference_list
    from payouts.storage.queries import Filters
    from payouts.storage.recovery_rows import last_recovery, queued

    with reading_from(data) as connection:
        held = last_recovery(connection)
        waiting = queued(connection)
        differences = difference_list(connection, Filters({}), _DIFFERENCES_MOST, only_open=True)
    if as_json:
        write_json(_row(held, waiting, differences))
        return
    if held is None:
        _say("there was no recovery")
        return
    if held.open_key is None:
        _say(f"no recovery is open; the last one was ended {short_time(held.ended_at_ms)} by {held.ended_by}")
        return
    _say(f"a recovery is open since {short_time(held.began_at_ms)}: {held.reason} ({held.began_by})")
    _say(f"what was written from {iso(held.gap_from_ms)} on may be lost")
    ended = {each.step: each.ended_at_ms for each in held.over}
    for step in RecoveryStep:
        at = f"done {short_time(ended[step])}" if step in ended else ""
        if step == held.step and step != RecoveryStep.DONE:
            at = f"under way, at {held.next_account}"
        if step != RecoveryStep.DONE:
            _say(f"  {step:<10} {at or 'to do'}")
    _say(f"{held.attached} objects put back into the books, {held.unknown} stand for nothing here")
    for each in differences:
        _say(f"  differs: {each['kind']} {each['subject']}: {each['text']}", bad=True)
    for some in waiting:
        money = format_money(some.amount_minor, some.currency)
        _say(f"queued, and sent once nothing stops it: {some.payouts} payouts, {money}")


@app.command("adopt")
def adopt(
    transfer: Annotated[str, typer.Argument(metavar="TR", help="As a difference `missing_here` names it.")],
    reason: ReasonOption,
    reference: Annotated[
        str | None, typer.Option(help="The portal's own name for it: asked for again, this is the answer.")
    ] = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Book a request that was lost and paid, from what Stripe has of it; the partner is owed less by it."""
    with _regaining(data, as_name, "recovery.adopt", transfer) as regaining:
        adopter = regaining.adopter
        request = adopter.adopt(transfer, regaining.actor, reason, reference)
    money = format_money(request.amount_minor, request.currency)
    _say(f"{request.public_id}: {money} is booked, and {request.status}")
    _say("`payouts hold list` shows what is still held")


@app.command("finish")
def finish(reason: ReasonOption, as_name: AsOption = None, data: DataOption = None) -> None:
    """End the recovery: payouts are sent again. Takes a person who neither began it nor closed the gap."""
    from payouts.recovering import finish, wake_stopped

    def work(connection: "Connection", actor: "Actor", make_id: IdMaker, at_ms: int) -> "Recovery":
        return finish(connection, actor, reason, make_id, at_ms)

    with doing(data, Scope.APPROVE, as_name) as doer:
        doer.do(work)
        woken = wake_stopped(doer.engine, now_ms)
    _say(f"payouts are sent again; {woken} waited")


@dataclass(frozen=True, slots=True)
class _Regaining:
    """Somebody who closes the gap by command."""

    regainer: "Regainer"
    actor: "Actor"

    @property
    def adopter(self) -> "Adopter":
        """What books lost requests."""
        from payouts.adopting import Adopter

        of = self.regainer
        return Adopter(of.engine, of.gateway, of.reconciler, of.make_id, of.clock)

    def to_the_end(self) -> "Recovery":
        """Go on until all is done. Raises NotFoundError where no recovery is open."""
        from payouts.recovery import RecoveryStep

        said = None
        while True:
            held = self.regainer.step(self.actor.name)
            if held is None:
                raise NotFoundError("no recovery is open: `payouts recovery begin` begins one")
            if held.step == RecoveryStep.DONE:
                return held
            wait_ms = self.regainer.wait_ms(held)
            if wait_ms:
                _say(f"calls that were under way may take {wait_ms / 1000:.0f} s more: waiting")
                time.sleep(wait_ms / 1000)
            elif held.step != said:
                said = held.step
                _say(f"at {held.step}")


@contextmanager
def _regaining(data: Path | None, as_name: str | None, action: str, subject: str) -> Iterator[_Regaining]:
    from payouts.bootstrap import open_regainer
    from payouts.storage import audit_rows
    from payouts.storage.unit import in_transaction

    with asking(data, as_name) as asks:
        regainer = open_regainer(asks.settings, asks.engine, asks.gateway, asks.hint)
        in_transaction(
            asks.engine,
            lambda c: audit_rows.append(
                *(c, regainer.make_id, now_ms()), actor=asks.actor.name, action=action, subject=subject
            ),
        )
        yield _Regaining(regainer, asks.actor)


def _row(held: "Recovery | None", waiting: list[Any], differences: list[dict[str, Any]]) -> dict[str, Any]:
    from dataclasses import asdict

    recovery = None
    if held is not None:
        over = [
            {"step": each.step, "began_at_ms": each.began_at_ms, "ended_at_ms": each.ended_at_ms}
            for each in held.over
        ]
        recovery = {**asdict(held), "open": held.open_key is not None, "steps": over}
        del recovery["open_key"]
    return {
        "recovery": recovery,
        "queued": [asdict(each) for each in waiting],
        "differences": differences,
    }


def _say(text: str, *, bad: bool = False) -> None:
    out().print(text, markup=False, soft_wrap=True, style="red" if bad else None)
