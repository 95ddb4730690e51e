"""`payouts audit …`: what people and tokens did, and whether that record is whole."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.context import DataOption, JsonOption, reading_from
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import out, short_time
from payouts.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

app = typer.Typer(no_args_is_help=True, help="What people and tokens did.")


@app.command("list")
def list_entries(
    actor: Annotated[str | None, typer.Option(help="A person's name, or program:NAME.")] = None,
    subject: Annotated[str | None, typer.Option(help="What it was done to, as person:anna.")] = None,
    action: Annotated[str | None, typer.Option(help="As token.create.")] = None,
    account: Annotated[str | None, typer.Option(help="acct_…, or platform.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List what was done, newest first."""
    from payouts.storage.audit_rows import entry_list

    equal = {"actor": actor, "subject": subject, "action": action, "account": account}
    columns = ("at", "actor", "action", "subject", "account", "reason", "chain", "number")
    show(data, entry_list, make_filters(equal, since, until, after), limit, as_json, columns, _cells)


@app.command("verify")
def verify(
    chain: Annotated[str | None, typer.Option(help="Only this one, as platform/2026-11.")] = None,
    data: DataOption = None,
) -> None:
    """Check that no entry was changed, removed or moved; fails, and names the first, where one was.

    Keep the heads it prints elsewhere: they also show where a whole chain was written anew.
    """
    from payouts import audit
    from payouts.storage.audit_rows import head_of, walk

    faults = 0
    with reading_from(data) as connection:
        for name in _chains(connection, chain):
            head = head_of(connection, name) or audit.START
            fault = audit.verify(walk(connection, name, head), head)
            faults += fault is not None
            said = (
                f"whole, {head.number} entries, head {head.digest}" if fault is None else f"broken: {fault}"
            )
            out().print(f"{name}: {said}", markup=False, soft_wrap=True, style="red" if fault else None)
    if faults:
        raise typer.Exit(1)


def _chains(connection: "Connection", only: str | None) -> "Iterator[str]":
    from payouts.storage.audit_rows import chain_exists, next_chain

    if only is not None:
        if not chain_exists(connection, only):
            raise NotFoundError(f"there is no audit chain {only}: `payouts audit list` names them")
        yield only
        return
    name = next_chain(connection)
    if name is None:
        out().print("nothing is on record yet")
    while name is not None:
        yield name
        name = next_chain(connection, name)


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(short_time(row["at_ms"]), row["actor"], row["action"], row["subject"], row["account"]),
        *(row["reason"], row["chain"], row["number"]),
    )
