"""`payouts db …`: the database's schema."""

from typing import Annotated

import typer

from console.context import DataOption, engine_of
from console.output import out
from payouts.errors import PayoutsError

DIALECTS = ("mysql", "mariadb")

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


@app.command("upgrade")
def upgrade(
    dialect: Annotated[
        str | None, typer.Argument(metavar="[DIALECT]", help="With --sql: mysql or mariadb.")
    ] = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Only print the statements, for DIALECT or the database set.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Bring the schema up to date. Safe when several containers start at once."""
    from payouts.storage import migrate

    if dialect is not None and (not sql or dialect not in DIALECTS):
        raise PayoutsError(f"{dialect!r} is not used here: `--sql` takes one of {', '.join(DIALECTS)}")
    if sql:
        if dialect is None:
            with engine_of(data) as engine:
                dialect = engine.dialect.name
        out().print(migrate.upgrade_sql(dialect), markup=False, soft_wrap=True)
        return
    with engine_of(data, migrating=True) as engine:
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


@app.command("lint")
def lint() -> None:
    """Fail where a migration blocks a table in use or breaks the version before. Asks no database."""
    from payouts.storage.migration_lint import lint as look

    objections = look()
    for each in objections:
        out().print(str(each), markup=False, soft_wrap=True)
    if objections:
        raise typer.Exit(1)
    out().print("no migration blocks a table in use")
