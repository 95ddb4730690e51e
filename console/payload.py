"""`payouts payload …`: the keys that seal payloads at rest."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from console.acting import AsOption
from console.context import DataOption, settings_of
from console.output import err, out
from payouts.errors import SettingsError
from payouts.people import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

app = typer.Typer(no_args_is_help=True, help="What Stripe sent, sealed at rest.")
NAMED = 5


@app.command("new-key")
def new_key() -> None:
    """Print a new key for PAYLOAD_KEYS. It is kept nowhere."""
    from payouts.sealing import new_key

    typer.echo(new_key())


@app.command("rotate")
def rotate(
    after: Annotated[int, typer.Option(min=0, metavar="ID", help="Go on behind this row id.")] = 0,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Seal every payload in the inbox with the first key of PAYLOAD_KEYS, those kept plain too.

    The service may run meanwhile. Stopped, it can be run again. Ends with 1 where no key opened some of them.
    """
    from console.doing import doing
    from payouts.rotating import Rotation
    from payouts.storage import audit_rows
    from payouts.stores import open_sealer

    sealer = open_sealer(settings_of(data))
    if not sealer.is_on:
        raise SettingsError("PAYLOAD_KEYS is empty: make a key with `payouts payload new-key`")
    sealed = archived = 0
    closed: list[int] = []
    with doing(data, Scope.ADMIN, as_name) as doer, _progress(doer.engine, after) as advance:
        doer.do(
            lambda connection, actor, make_id, at_ms: audit_rows.append(
                *(connection, make_id, at_ms), actor=actor.name, action="payload.rotate", subject="inbox"
            )
        )
        rotation = Rotation(doer.engine, sealer)
        last_id: int | None = after
        while last_id is not None:
            step = rotation.step(last_id)
            last_id = step.last_id
            sealed, archived = sealed + step.sealed, archived + step.archived
            closed += step.closed
            advance(last_id)
    out().print(f"{sealed} sealed with the first key")
    if archived:
        out().print(f"{archived} lie in the archive: `payouts archive rotate` seals its files")
    if closed:
        some = ", ".join(str(inbox_id) for inbox_id in closed[:NAMED])
        out().print(
            f"{len(closed)} are sealed with a key that PAYLOAD_KEYS does not have ({some}"
            f"{', …' if len(closed) > NAMED else ''}): add it, or they stay closed",
            soft_wrap=True,
        )
        raise typer.Exit(1)


@contextmanager
def _progress(engine: "Engine", after: int) -> Iterator["Callable[[int | None], None]"]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from payouts.storage.payload_rows import first_row, last_row
    from payouts.storage.queries import reading

    with reading(engine) as connection:
        first, last = first_row(connection, after), last_row(connection)
    # By row ids, which grow with time: counting the rows of a large inbox takes longer than a step.
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True) as progress:
        task = progress.add_task("sealing", total=max(1, last - first))

        def advance(last_id: int | None) -> None:
            if last_id is not None:
                said = f"sealed up to row {last_id}"
                progress.update(task, completed=last_id - first, description=said)

        yield advance
