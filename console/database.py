"""`payouts db …`: the database's schema."""

from typing import Annotated

import typer

from console.context import DataOption, engine_of
from console.output import out

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


@app.command("upgrade")
def upgrade(
    sql: Annotated[
        str | None,
        typer.Option(metavar="DIALECT", help="Only print the statements, for mysql, mariadb or sqlite."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Bring the schema up to date. Safe when several containers start at once."""
    from payouts.storage import migrate

    if sql is not None:
        out().print(migrate.upgrade_sql(sql), markup=False, soft_wrap=True)
        return
    with engine_of(data) as engine:
        out().print(f"the database is at revision {migrate.upgrade(engine)}")


@app.command("check")
def check(data: DataOption = None) -> None:
    """Fail when the database and the tables in the code differ."""
    from payouts.storage import migrate

    with engine_of(data) as engine:
        differences = migrate.check(engine)
    for line in differences:
        out().print(line, markup=False)
    if differences:
        raise typer.Exit(1)
    out().print("the database is as the code needs it")


@app.command("revision")
def revision(message: Annotated[str, typer.Option("-m", "--message")], data: DataOption = None) -> None:
    """Write a new migration from what the code has and the database lacks."""
    from payouts.storage import migrate

    with engine_of(data) as engine:
        out().print(f"written: {migrate.revision(engine, message)}")
