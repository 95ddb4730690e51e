"""Bringing in what another system knew: partners, credits, opening balances, payouts in flight.

A file is read line by line and written some hundred lines at a time, each part in one transaction with its
audit entry. A line that cannot be taken is reported and holds up no other. Every line has a name of its own,
so running the same file again changes nothing, and a run that was broken off is finished by the next.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from sqlalchemy import Connection, Engine

from payouts.clock import Clock
from payouts.csv_lines import Line, Rejected, read_lines
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.people import Actor, Scope
from payouts.storage import audit_rows
from payouts.storage.unit import in_transaction

LINES_AT_ONCE = 300
_COLUMNS = {
    "bad_amount": "amount",
    "wrong_currency": "currency",
    "bad_currency": "currency",
    "bad_reference": "reference",
    "reference_taken": "reference",
    "bad_description": "description",
    "bad_date": "effective_date",
    "period_closed": "effective_date",
    "bad_account": "account",
    "bad_name": "name",
    "bad_email": "email",
    "bad_status": "status",
    "bad_payout": "payout",
    "bad_transfer": "transfer",
    "unknown_partner": "partner",
}
"""Which column a refusal is about, by its code."""


@dataclass(slots=True)
class Done:
    """What came of some lines: how many were `new`, and how many `known` before with the same content."""

    new: int = 0
    known: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """What the lines of one transaction are written with."""

    connection: Connection
    actor: Actor
    make_id: IdMaker
    now_ms: int
    reject: Callable[[Line, str, str], None]
    """Takes a line, the code of a refusal and its reason. Of a refused line nothing may be written."""


class Kind(Protocol):
    """One kind of file: what it takes to import it, and its columns."""

    @property
    def name(self) -> str: ...

    @property
    def scope(self) -> Scope: ...

    @property
    def required(self) -> Sequence[str]: ...

    @property
    def optional(self) -> Sequence[str]: ...

    def write(self, part: Part, lines: Sequence[Line]) -> Done:
        """Write these lines, but for those it rejects. A RefusedError: one of them does not fit, and nobody
        knows which; it is called again with fewer."""


@dataclass(frozen=True, slots=True)
class Importer:
    """Imports files as one person or token. `dry_run`: everything is tried, and nothing stays."""

    engine: Engine
    actor: Actor
    make_id: IdMaker
    clock: Clock
    dry_run: bool = False

    def run(
        self,
        kind: Kind,
        file: BinaryIO,
        file_name: str,
        on_rejected: Callable[[Rejected], None],
        on_bytes: Callable[[int], None] = lambda count: None,
    ) -> Done:
        """Import a file. Raises RefusedError `bad_file` or `not_allowed`; nothing more is read then.

        In a dry run each part is undone before the next one: two lines far apart that contradict each other
        show only in a real run.
        """
        self.actor.require(kind.scope)
        total, waiting = Done(), list[Line]()
        for line in read_lines(file, kind.required, kind.optional, on_bytes):
            if isinstance(line, Rejected):
                total.rejected += 1
                on_rejected(line)
                continue
            waiting.append(line)
            if len(waiting) == LINES_AT_ONCE:
                self._take(kind, waiting, file_name, total, on_rejected)
                waiting = []
        if waiting:
            self._take(kind, waiting, file_name, total, on_rejected)
        return total

    def _take(
        self,
        kind: Kind,
        lines: Sequence[Line],
        file_name: str,
        total: Done,
        on_rejected: Callable[[Rejected], None],
    ) -> None:
        try:
            done, rejected = self._write(kind, lines, file_name)
        except RefusedError as error:
            if len(lines) > 1:
                middle = len(lines) // 2
                for part in (lines[:middle], lines[middle:]):
                    self._take(kind, part, file_name, total, on_rejected)
                return
            done, rejected = Done(), [_rejection(lines[0], error.code, str(error))]
        total.new += done.new
        total.known += done.known
        total.rejected += len(rejected)
        for each in rejected:
            on_rejected(each)

    def _write(self, kind: Kind, lines: Sequence[Line], file_name: str) -> tuple[Done, list[Rejected]]:
        def work(connection: Connection) -> tuple[Done, list[Rejected]]:
            rejected: list[Rejected] = []
            part = Part(
                *(connection, self.actor, self.make_id, self.clock()),
                reject=lambda line, code, reason: rejected.append(_rejection(line, code, reason)),
            )
            done = kind.write(part, lines)
            if self.dry_run:
                raise _Tried(done, rejected)
            if done.new:
                self._audit(part, kind, lines, file_name, done)
            return done, rejected

        try:
            return in_transaction(self.engine, work)
        except _Tried as tried:
            return tried.done, tried.rejected

    def _audit(self, part: Part, kind: Kind, lines: Sequence[Line], file_name: str, done: Done) -> None:
        audit_rows.append(
            *(part.connection, part.make_id, part.now_ms),
            actor=self.actor.name,
            action=f"import.{kind.name}",
            subject=file_name[-200:],
            details={"lines": [lines[0].number, lines[-1].number], "new": done.new, "known": done.known},
        )


class _Tried(Exception):  # noqa: N818 - no error: how a dry run leaves its transaction
    def __init__(self, done: Done, rejected: list[Rejected]) -> None:
        super().__init__()
        self.done = done
        self.rejected = rejected


def each_line(lines: Iterable[Line], part: Part, take: Callable[[Line], bool]) -> Done:
    """Take line by line: True from `take` means new. What it refuses is rejected, and the next follows."""
    done = Done()
    for line in lines:
        try:
            is_new = take(line)
        except RefusedError as error:
            part.reject(line, error.code, str(error))
        except NotFoundError as error:
            part.reject(line, "unknown_partner", str(error))
        else:
            done.new += is_new
            done.known += not is_new
    return done


def _rejection(line: Line, code: str, reason: str) -> Rejected:
    column = _COLUMNS.get(code)
    return Rejected(line.number, column if column in line.values else None, reason)
