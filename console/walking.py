"""What the commands that walk Stripe's lists share: the walker, the progress, who began it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.asking import asking
from console.output import err, out
from payouts.clock import now_ms

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from payouts.ids import IdMaker
    from payouts.people import Actor
    from payouts.settings import Settings
    from payouts.walk import Walk
    from payouts.walking import Walker
    from payouts.walks import Wish


@dataclass(frozen=True, slots=True)
class Walking:
    """Somebody who walks by command."""

    engine: "Engine"
    actor: "Actor"
    walker: "Walker"
    make_id: "IdMaker"
    settings: "Settings"

    def note(self, action: str, subject: str, details: Mapping[str, Any]) -> None:
        """Append to the audit log what is about to be done."""
        from payouts.storage import audit_rows
        from payouts.storage.unit import in_transaction

        said: dict[str, Any] = {"actor": self.actor.name, "action": action, "subject": subject}
        in_transaction(
            self.engine, lambda c: audit_rows.append(c, self.make_id, now_ms(), **said, details=details)
        )

    def begin(self, wish: "Wish") -> "Walk":
        """The walk for `wish`: one that was cut short where there is one."""
        from payouts.storage.unit import in_transaction
        from payouts.walks import begin

        return in_transaction(self.engine, lambda c: begin(c, wish, self.make_id, now_ms()))

    def to_the_end(self, walk: "Walk", advance: "Callable[[Walk], None]") -> "Walk":
        """Walk until it is over. Raises GatewayError where Stripe gives no answer for the moment."""
        from payouts.errors import NotFoundError
        from payouts.storage.catch_up_rows import find_walk
        from payouts.storage.queries import reading

        while walk.is_open:
            advance(walk)
            moved = self.walker.step(walk.id)
            if moved is None:  # somebody else moved it
                with reading(self.engine) as connection:
                    moved = find_walk(connection, walk.id)
            if moved is None:
                raise NotFoundError(f"the walk {walk.id} is gone")
            walk = moved
        advance(walk)
        return walk


@contextmanager
def walking(data: Path | None, as_name: str | None) -> Iterator[Walking]:
    """Somebody who may operate, with a walker."""
    from payouts.bootstrap import open_walker
    from payouts.ids import IdMaker

    with asking(data, as_name) as asks:
        walker = open_walker(asks.settings, asks.engine, asks.gateway, asks.hint)
        yield Walking(asks.engine, asks.actor, walker, IdMaker(), asks.settings)


@contextmanager
def progress() -> "Iterator[Callable[[Walk], None]]":
    """A bar that follows walks back through their time; nothing where nobody watches."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}"),
    )
    screen = err()
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("walking", total=1.0, said="")

        def follow(walk: "Walk") -> None:
            span = max(walk.until_s - walk.since_s, 1)
            done = 1.0 if not walk.is_open else (walk.until_s - walk.reached_s) / span
            said = f"{walk.listed} listed, {walk.added} added"
            bar.update(task, description=walk.account, completed=done, said=said)

        yield follow


def print_line(text: str, *, bad: bool = False) -> None:
    """One line of what came of it."""
    out().print(text, markup=False, soft_wrap=True, style="red" if bad else None)
