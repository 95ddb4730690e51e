"""How a command does one thing: who acts, and one transaction, again where the database asks for that."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from console.acting import acting
from payouts.clock import now_ms
from payouts.ids import IdMaker

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from payouts.people import Actor

    T = TypeVar("T")
    Work = Callable[[Connection, Actor, IdMaker, int], T]
    """What is done: in a transaction, by somebody, with new row ids, at a time in ms."""


class Doer:
    """Does things as one person or token."""

    def __init__(self, engine: "Engine", actor: "Actor") -> None:
        self.engine = engine
        self.actor = actor
        self.make_id = IdMaker()

    def do(self, work: "Work[T]") -> "T":
        """What `work` returns, once it is committed."""
        from payouts.storage.unit import in_transaction

        return in_transaction(
            self.engine, lambda connection: work(connection, self.actor, self.make_id, now_ms())
        )


@contextmanager
def doing(data: Path | None, scope: str, as_name: str | None) -> Iterator[Doer]:
    """Somebody who may do what `scope` covers. Raises RefusedError as `acting` does."""
    with acting(data, scope, as_name) as (engine, actor):
        yield Doer(engine, actor)
