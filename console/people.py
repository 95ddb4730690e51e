"""`payouts people …` and `payouts token …`: who may act, and by which tokens."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption, acting, find_token
from console.context import DataOption, JsonOption, engine_of
from console.listing import AfterOption, LimitOption, SinceOption, UntilOption, make_filters, show
from console.output import err, out, short_time, write_json
from payouts.clock import now_ms
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.people import Role, Scope
from payouts.tokens import DEFAULT_DAYS, MAX_DAYS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from payouts.access import Given, Step

people = typer.Typer(no_args_is_help=True, help="People who operate this.")
tokens = typer.Typer(no_args_is_help=True, help="Tokens of people and programs.")

MAX_ROW_ID = 2**63 - 1

DaysOption = Annotated[
    int, typer.Option("--days", min=1, max=MAX_DAYS, help="How long the token is good for.")
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; for the audit log.")]


@people.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Stays theirs for ever: a-z, 0-9 and . _ @ + -")],
    role: Annotated[Role, typer.Option(help="What they are here for.")],
    days: DaysOption = DEFAULT_DAYS,
    reason: ReasonOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Add somebody and print their first token, this once. Needs no token while no admin has one."""
    from payouts.access import add_person, bootstrap, give_person_token

    if role == Role.ADMIN and find_token(data, as_name) is None:
        with engine_of(data) as engine, engine.begin() as connection:
            given = bootstrap(_step(connection, "", reason), name, days)
    else:
        with acting(data, Scope.ADMIN, as_name) as (engine, actor), engine.begin() as connection:
            step = _step(connection, actor.name, reason)
            given = give_person_token(step, add_person(step, name, role), "first", None, days)
    _hand_over(given, f"{name} ({role})", as_json)


@people.command("list")
def list_people(
    role: Annotated[Role | None, typer.Option()] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List people, newest first."""
    from payouts.storage.people_rows import people_list

    columns = ("added", "name", "role", "active")
    filters = make_filters({"role": role}, since, until, after)
    show(data, people_list, filters, limit, as_json, columns, _person_cells)


@people.command("deactivate")
def deactivate(
    name: str, reason: ReasonOption = None, as_name: AsOption = None, data: DataOption = None
) -> None:
    """Let somebody in no more, and revoke their tokens. What they did stays on record."""
    from payouts.access import deactivate

    with acting(data, Scope.ADMIN, as_name) as (engine, actor), engine.begin() as connection:
        deactivate(_step(connection, actor.name, reason), name)
    out().print(f"{name} is let in no more", markup=False)


@tokens.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for, as laptop or portal.")],
    person: Annotated[str | None, typer.Option(metavar="NAME", help="Whose it is.")] = None,
    program: Annotated[bool, typer.Option("--program", help="It is a program's own.")] = False,
    scopes: Annotated[
        str | None,
        typer.Option(help=f"Of {', '.join(Scope)}; for a person all that the role allows, unless given."),
    ] = None,
    days: DaysOption = DEFAULT_DAYS,
    reason: ReasonOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Make a token and print it, this once: nobody can look it up later."""
    from payouts.access import give_person_token, give_program_token
    from payouts.storage.people_rows import lock_person

    if program == (person is not None):
        raise RefusedError("bad_token", "say whose it is: either --person NAME or --program")
    if program and scopes is None:
        raise RefusedError("bad_scope", "say what the program may do, as --scopes 'read credit request'")
    with acting(data, Scope.ADMIN, as_name) as (engine, actor), engine.begin() as connection:
        step = _step(connection, actor.name, reason)
        if person is not None:
            given = give_person_token(step, lock_person(connection, person), name, scopes, days)
        else:
            given = give_program_token(step, name, scopes or "", days)
    _hand_over(given, person or f"the program {name}", as_json)


@tokens.command("list")
def list_tokens(
    since: SinceOption = None,
    until: UntilOption = None,
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List tokens, newest first: whose, for what and until when, never the token itself."""
    from payouts.storage.people_rows import token_list

    columns = ("made", "id", "name", "of", "scopes", "made by", "last used", "state")
    filters = make_filters({}, since, until, after)
    show(data, token_list, filters, limit, as_json, columns, _token_cells)


@tokens.command("revoke")
def revoke(
    token_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=MAX_ROW_ID, help="As `payouts token list` shows it.")
    ],
    reason: ReasonOption = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """End a token now."""
    from payouts.access import revoke_token

    with acting(data, Scope.ADMIN, as_name) as (engine, actor), engine.begin() as connection:
        token = revoke_token(_step(connection, actor.name, reason), token_id)
    out().print(f"the token {token.name} ({token.id}) lets nobody in any more", markup=False)


def _step(connection: "Connection", actor: str, reason: str | None) -> "Step":
    from payouts.access import Step

    return Step(connection, IdMaker(), now_ms(), actor, reason)


def _hand_over(given: "Given", whose: str, as_json: bool) -> None:
    token = given.token
    if as_json:
        row = {"id": token.id, "name": token.name, "scopes": token.scopes, "token": given.secret}
        write_json({**row, "expires_at_ms": token.expires_at_ms})
        return
    said = f"a token for {whose}, good until {short_time(token.expires_at_ms)}; it is shown only now:"
    err().print(said, markup=False, soft_wrap=True)
    typer.echo(given.secret)


def _person_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return short_time(row["created_at_ms"]), row["name"], row["role"], "yes" if row["active"] else "no"


def _token_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    if row["revoked_at_ms"] is not None:
        state = f"revoked {short_time(row['revoked_at_ms'])}"
    else:
        ended = row["expires_at_ms"] <= now_ms()
        state = f"{'expired' if ended else 'good until'} {short_time(row['expires_at_ms'])}"
    return (
        *(short_time(row["created_at_ms"]), row["id"], row["name"], row["person"] or "a program"),
        *(row["scopes"], row["created_by"], short_time(row["last_used_at_ms"]), state),
    )
