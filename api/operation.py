"""An operation of the API: what it takes, what it answers, and what it needs to be done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from payouts.ids import IdMaker
from payouts.people import Actor, Scope


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in and read. `query` and `body` are of the operation's types."""

    connection: Connection
    actor: Actor
    path: Mapping[str, str]
    query: Any
    body: Any
    make_id: IdMaker
    now_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation came to. `to_send`: the row id of a requested payout that can go out now."""

    content: msgspec.Struct
    status: int = 200
    to_send: int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. The document and the routes are both made from these."""

    name: str
    method: str
    path: str
    scope: Scope
    summary: str
    run: Callable[[Call], Answer]
    answers: Mapping[int, type[msgspec.Struct]]
    """What it answers, by status, where nothing speaks against it."""
    query: type[msgspec.Struct] | None = None
    body: Any = None
    """The type of its JSON; None: it takes no body."""
    changes: bool = False
    """It works in a transaction of its own, not on a connection that writes nothing."""
    is_list: bool = False
    """What it answers may be a little stale."""
    keyed: bool = False
    """It takes an Idempotency-Key, and is done once for each."""
