"""The `payouts` command: parses, runs, and turns every error into one clear line."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from console import (
    archive,
    audit,
    brakes,
    catch_up,
    crediting,
    database,
    dead,
    deliver,
    demo,
    doctor,
    events,
    importing,
    ledger,
    limits,
    maintenance,
    modes,
    notices,
    partners,
    payload,
    payout_commands,
    people,
    pools,
    proofs,
    reconcile,
    recovery,
    replays,
    request_commands,
    schedules,
    settings,
    status,
    up,
)
from console.context import DataOption, environment_of
from console.output import be_lenient, err
from console.usage_words import usage_words
from payouts.errors import PayoutsError
from payouts.logs import redact
from payouts.version import VERSION

UsageError: Any = typer.BadParameter.__base__
"""What typer raises for words it cannot use; it names only this kind of them in public."""

app = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Payouts through Stripe Connect: run the service, look at what it did.",
)
app.command("up")(up.up)
app.add_typer(events.app, name="event")
app.add_typer(dead.app, name="dead")
app.add_typer(replays.app, name="replay")
app.add_typer(notices.app, name="notice")
app.add_typer(payout_commands.app, name="payout")
payout_commands.app.add_typer(request_commands.app)
app.add_typer(partners.app, name="partner")
app.add_typer(ledger.app, name="ledger")
app.command("credit")(crediting.credit)
app.command("debit")(crediting.debit)
app.add_typer(importing.app, name="import")
app.add_typer(schedules.app, name="schedule")
app.add_typer(brakes.holds, name="hold")
app.add_typer(brakes.limits, name="limit")
app.add_typer(brakes.banks, name="bank")
app.add_typer(limits.app, name="limits")
app.command("block")(limits.block)
app.command("unblock")(limits.unblock)
app.command("mode")(modes.mode)
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(modes.app, name="emergency")
app.command("stop")(brakes.stop)
app.command("resume")(brakes.resume)
app.add_typer(people.people, name="people")
app.add_typer(people.tokens, name="token")
app.add_typer(audit.app, name="audit")
app.add_typer(reconcile.app, name="reconcile")
app.command("status")(status.status)
app.command("settings")(settings.settings)
app.command("pools")(pools.pools)
app.command("doctor")(doctor.doctor)
app.add_typer(archive.app, name="archive")
app.add_typer(payload.app, name="payload")
app.add_typer(catch_up.app, name="catch-up")
app.add_typer(proofs.app, name="proof")
app.add_typer(recovery.app, name="recovery")
app.add_typer(database.app, name="db")
app.command("deliver")(deliver.deliver)
app.command("demo")(demo.demo)


@app.command()
def receiver(data: DataOption = None) -> None:
    """Run the receiver of webhooks."""
    _become(["webhooks"], environment_of(data))


@app.command()
def api(data: DataOption = None) -> None:
    """Run the portal's API."""
    _become(["api"], environment_of(data))


@app.command("console")
def web_console(data: DataOption = None) -> None:
    """Run the operators' console, in a browser."""
    _become(["console.web"], environment_of(data))


@app.command()
def worker(data: DataOption = None) -> None:
    """Run a worker."""
    _become(["workers", "worker"], environment_of(data))


@app.command()
def scheduler(data: DataOption = None) -> None:
    """Run the scheduler."""
    _become(["workers", "scheduler"], environment_of(data))


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: any free one.")] = 0,
    file: Annotated[Path | None, typer.Option(help="Keeps its state here, and continues from it.")] = None,
    seed: Annotated[int, typer.Option(help="Of ids and faults: the same seed, the same story.")] = 1,
    pace: Annotated[float, typer.Option(min=0, help="How many of its seconds pass in one.")] = 1.0,
    faults: Annotated[Path | None, typer.Option(help="What goes wrong, as JSON.")] = None,
) -> None:
    """Run a Stripe to try the service on. A line of JSON says where it listens."""
    flags = {"--port": port, "--file": file, "--seed": seed, "--pace": pace, "--faults": faults}
    given = [str(part) for flag, value in flags.items() if value is not None for part in (flag, value)]
    _become(["sandbox", *given], dict(os.environ))


@app.command()
def version() -> None:
    """Show the version."""
    typer.echo(f"payouts {VERSION}")


@app.callback()
def _options(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", is_eager=True, help="Show the version.")] = False,
) -> None:
    if show_version:
        version()
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; never a traceback for what a person can mend."""
    be_lenient()
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except UsageError as error:
        _fail_usage(error)
    except typer.Abort:
        sys.exit(130)
    except PayoutsError as error:
        _fail(str(error))
    except BrokenPipeError:
        # The reader has enough (`| head`). Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        _fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        said = _store_error(error)
        if said is None:
            raise
        _fail(said)


def _store_error(error: Exception) -> str | None:
    from dramatiq.errors import BrokerError
    from redis import RedisError
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    from payouts.storage.database_fault import FaultKind, fault_of

    if isinstance(error, DBAPIError):
        fault = fault_of(error)
        if fault is None:
            return f"the database does not answer as it should: {error.orig}"
        if fault.kind == FaultKind.NO_TABLE:
            return "the database has no tables yet: run `payouts db upgrade`"
        return f"{fault.what} ({error.orig}): {fault.remedy}"
    if isinstance(error, SQLAlchemyError):
        return f"the database does not answer: {error}"
    if isinstance(error, RedisError):
        return f"Redis does not answer: {error}"
    if isinstance(error, BrokerError):
        return f"the queue does not answer: {error}"
    return None


def _fail_usage(error: Any) -> None:
    if not error.format_message():  # a group without a command: its help says what there is
        error.show()
        sys.exit(2)
    where = error.ctx.command_path if error.ctx else "payouts"
    _fail(f"{usage_words(error.format_message())} (see {where} --help)", code=2)


def _fail(said: str, code: int = 1) -> None:
    err().print(f"payouts: {redact(said)}", style="red", markup=False, soft_wrap=True)
    sys.exit(code)


def _become(module: list[str], environment: dict[str, str]) -> None:
    # In place of this process, so that signals and the process id are those of the role.
    os.execve(sys.executable, [sys.executable, "-m", *module], environment)  # noqa: S606 - our own modules


if __name__ == "__main__":
    main()
