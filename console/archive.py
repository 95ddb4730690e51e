"""`payouts archive …`: old payloads in files, and whether those are still what was written."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.acting import AsOption
from console.context import DataOption, JsonOption, engine_of, settings_of
from console.listing import AfterOption, LimitOption, make_filters, show
from console.output import err, out, short_time
from payouts.clock import now_ms
from payouts.errors import NotFoundError, PayloadUnavailableError, SettingsError
from payouts.people import Scope
from payouts.shelf import ShelfError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from console.doing import Doer
    from payouts.archive_check import ArchiveCheck
    from payouts.archiving import Archiver
    from payouts.settings import Settings
    from payouts.storage.archive_rows import ArchiveFile

app = typer.Typer(no_args_is_help=True, help="Old payloads, in files outside of the database.")

_COLUMNS = ("made", "id", "file", "events", "bytes", "kept", "first row", "last row")


@app.command("run")
def run(
    most: Annotated[int | None, typer.Option(min=1, help="Stop after so many files.")] = None,
    as_name: AsOption = None,
    data: DataOption = None,
) -> None:
    """Archive what is older than ARCHIVE_AFTER_DAYS now. It can be stopped anywhere, and run again."""
    from console.doing import doing
    from payouts.bootstrap import open_archiver
    from payouts.storage.archive_rows import count_old
    from payouts.storage.queries import reading

    settings = settings_of(data)
    with doing(data, Scope.OPERATE, as_name) as doer:
        archiver = open_archiver(settings, doer.engine)
        _note(doer, "archive.run")
        with reading(doer.engine) as connection:
            total = count_old(connection, archiver.before_ms)
        with _progress("archiving", total) as advance:
            files, events = _archive(archiver, most, advance)
    out().print(f"{events} payloads archived in {files} files at {archiver.shelf.where}", soft_wrap=True)


@app.command("list")
def list_files(
    after: AfterOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List archive files, newest first."""
    from payouts.storage.archive_rows import file_list

    show(data, file_list, make_filters({}, None, None, after), limit, as_json, _COLUMNS, _cells)


@app.command("verify")
def verify(
    file: Annotated[int | None, typer.Option(metavar="ID", help="Only this file.")] = None,
    data: DataOption = None,
) -> None:
    """Read every file back, name what is missing or changed, and files that belong to no row.

    Ends with 1 where a payload cannot be had.
    """
    from payouts.stores import open_sealer

    settings = settings_of(data)
    with engine_of(data) as engine:
        check = _check(settings, engine)
        if file is None:
            for name in check.left_over():
                out().print(f"{name}: belongs to no row, and can be deleted", markup=False, soft_wrap=True)
        bad = count = 0
        with _progress("reading", _count(engine)) as advance:
            for each in [_one(engine, file)] if file is not None else check.files():
                fault = check.fault(each)
                advance(1)
                count += 1
                if fault:
                    bad += 1
                    out().print(f"{each.name} (file {each.id}): {fault}", markup=False, soft_wrap=True)
    if bad:
        out().print(f"{bad} of {count} files are not as they were written")
        raise typer.Exit(1)
    sealed = " and opened by PAYLOAD_KEYS" if open_sealer(settings).is_on else ""
    out().print(f"{count} files are as they were written{sealed}")


@app.command("rotate")
def rotate(as_name: AsOption = None, data: DataOption = None) -> None:
    """Seal every archive file with the first key of PAYLOAD_KEYS, those kept plain too."""
    from console.doing import doing
    from payouts.bootstrap import open_archiver

    settings = settings_of(data)
    sealed = bad = 0
    with doing(data, Scope.ADMIN, as_name) as doer:
        archiver = open_archiver(settings, doer.engine)
        if not archiver.sealer.is_on:
            raise SettingsError("PAYLOAD_KEYS is empty: make a key with `payouts payload new-key`")
        _note(doer, "archive.rotate")
        with _progress("sealing", _count(doer.engine)) as advance:
            for each in _check(settings, doer.engine).files():
                try:
                    sealed += archiver.reseal(each)
                except (PayloadUnavailableError, ShelfError) as error:
                    bad += 1
                    said = f"{each.name} (file {each.id}): left as it is: {error}"
                    out().print(said, markup=False, soft_wrap=True)
                advance(1)
    out().print(f"{sealed} files sealed with the first key")
    if bad:
        raise typer.Exit(1)


def _archive(archiver: "Archiver", most: int | None, advance: "Callable[[int], None]") -> tuple[int, int]:
    files = events = 0
    while most is None or files < most:
        step = archiver.step()
        if not step.taken:
            break
        files += step.file is not None
        events += step.file.events if step.file else 0
        advance(step.taken)
    return files, events


def _check(settings: "Settings", engine: "Engine") -> "ArchiveCheck":
    from payouts.archive_check import ArchiveCheck
    from payouts.bootstrap import open_archiver

    archiver = open_archiver(settings, engine)
    return ArchiveCheck(engine, archiver.shelf, archiver.sealer, now_ms)


def _count(engine: "Engine") -> int:
    from payouts.storage.archive_rows import count_files
    from payouts.storage.queries import reading

    with reading(engine) as connection:
        return count_files(connection)


def _one(engine: "Engine", file_id: int) -> "ArchiveFile":
    from payouts.storage.archive_rows import files_by_id
    from payouts.storage.queries import reading

    with reading(engine) as connection:
        found = files_by_id(connection, [file_id]).get(file_id)
    if found is None:
        raise NotFoundError(f"there is no archive file {file_id}")
    return found


def _note(doer: "Doer", action: str) -> None:
    from payouts.storage import audit_rows

    doer.do(
        lambda connection, actor, make_id, at_ms: audit_rows.append(
            *(connection, make_id, at_ms), actor=actor.name, action=action, subject="archive"
        )
    )


@contextmanager
def _progress(what: str, total: int) -> Iterator["Callable[[int], None]"]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.advance(task, done)


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        *(short_time(row["created_at_ms"]), row["id"], row["name"], row["events"], row["bytes"]),
        *("sealed" if row["sealed"] else "plain", row["first_id"], row["last_id"]),
    )
