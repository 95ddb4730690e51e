"""Where a command finds its settings: the folder given, else the environment, else the default folder."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.data_dir import DEFAULT, DataDir
from payouts.errors import SettingsError
from payouts.settings import Settings, load_settings
from payouts.strange_settings import FILE_SUFFIX

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The folder of a `payouts up`, instead of the environment."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON Lines: every row, unless there is a --limit.")]


def data_dir_of(data: Path | None) -> DataDir | None:
    """The folder that settings come from; None where they come from the environment."""
    if data is not None:
        return DataDir(data)
    if os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE"):
        return None
    return DataDir(DEFAULT)


def environment_of(data: Path | None) -> dict[str, str]:
    """The environment for a process of the service."""
    folder = data_dir_of(data)
    if folder is None:
        return dict(os.environ)
    if data is None and not folder.is_made:
        raise SettingsError(
            f"set DATABASE_URL, name a folder with --data, or start `payouts up` (in {DEFAULT}/)"
        )
    return over(os.environ, folder.environment())


def over(environment: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """`environment` with a folder's `own` settings in it, which a `NAME_FILE` there is not to contradict."""
    from_files = {name + FILE_SUFFIX for name in own}
    return {**{name: value for name, value in environment.items() if name not in from_files}, **own}


def settings_of(data: Path | None) -> Settings:
    """Settings for a command. Only the database is needed by all of them."""
    environment = environment_of(data)
    if not environment.get("REDIS_URL_FILE"):
        environment.setdefault("REDIS_URL", "redis://127.0.0.1:6379/0")
    return load_settings(environment)


@contextmanager
def engine_of(data: Path | None, *, migrating: bool = False) -> Iterator["Engine"]:
    """An engine for a command, closed at its end. `migrating`: its statements may take any time."""
    from payouts.stores import open_engine, open_migration_engine

    settings = settings_of(data)
    engine = open_migration_engine(settings) if migrating else open_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def reading_from(data: Path | None) -> Iterator["Connection"]:
    """A read-only connection for a command."""
    from payouts.storage.queries import reading

    with engine_of(data) as engine, reading(engine) as connection:
        yield connection
