"""Who a command acts as: the token in PAYOUTS_TOKEN, or a person of a `payouts up` folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.context import data_dir_of, engine_of
from payouts.clock import now_ms
from payouts.errors import RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from payouts.people import Actor

VARIABLE = "PAYOUTS_TOKEN"

AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        help="Act as this person of a `payouts up` folder, as operator-2; elsewhere PAYOUTS_TOKEN says who.",
    ),
]


@contextmanager
def acting(data: Path | None, scope: str, as_name: str | None = None) -> Iterator[tuple["Engine", "Actor"]]:
    """An engine for a command that changes something, and who does it, checked for `scope`.

    Raises RefusedError, with what to do, where nobody is named, the token lets nobody in, or the scope is
    missing.
    """
    from payouts.storage.people_rows import authenticate

    with engine_of(data) as engine:
        actor = authenticate(engine, token_of(data, as_name), now_ms())
        actor.require(scope)
        yield engine, actor


def token_of(data: Path | None, as_name: str | None = None) -> str:
    """The token to act by, as `find_token`. RefusedError, with what to do, where there is none."""
    token = find_token(data, as_name)
    if token is None:
        raise RefusedError(
            "not_signed_in",
            f"set {VARIABLE} to your token; where no admin has one, "
            "`payouts people add NAME --role admin` makes the first",
        )
    return token


def find_token(data: Path | None, as_name: str | None = None) -> str | None:
    """The token to act by: that of `as_name` in the folder, else PAYOUTS_TOKEN, else the folder's first."""
    given = os.environ.get(VARIABLE, "").strip()
    if given and as_name is None:
        return given
    folder = data_dir_of(data)
    kept = folder.people() if folder is not None and folder.is_made else {}
    if as_name is None:
        return next(iter(kept.values()), None)
    if as_name not in kept:
        there = f"it has {' and '.join(kept)}" if kept else f"elsewhere, set {VARIABLE}"
        raise RefusedError(
            "not_signed_in", f"--as takes a person of a `payouts up` folder, not {as_name!r}: {there}"
        )
    return kept[as_name]
