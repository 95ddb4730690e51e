"""What a comparison found is healed where that is safe, and put on record."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from payouts.clock import Clock
from payouts.comparison import Comparison, Heal
from payouts.difference import DifferenceKind, Finding
from payouts.event import PayoutObject
from payouts.healing import FoundTransfer, settle_payouts, settle_transfers
from payouts.ids import IdMaker
from payouts.storage import difference_rows, progress_rows
from payouts.storage.engine import is_unavailable
from payouts.storage.unit import in_transaction

GONE = "gone"


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes differences, each call in transactions of its own."""

    engine: Engine
    make_id: IdMaker
    clock: Clock

    def record(self, comparison: Comparison, listed: Sequence[str] = ()) -> list[Finding]:
        """Heal what heals and report the rest, with what Stripe `listed`; returns what was reported."""
        findings = [*comparison.findings, *self._heal(comparison.account, comparison.heals)]

        def write(connection: Connection) -> None:
            difference_rows.report(connection, findings, self.make_id, self.clock())
            progress_rows.note_seen(connection, comparison.account, listed, self.make_id)

        if findings or listed:
            in_transaction(self.engine, write)
        return findings

    def report(self, findings: Sequence[Finding]) -> None:
        """Report what was found."""
        if findings:
            in_transaction(
                self.engine,
                lambda connection: difference_rows.report(connection, findings, self.make_id, self.clock()),
            )

    def close(self, account: str, subjects: Collection[str], kinds: Collection[DifferenceKind]) -> None:
        """Close what is open of these subjects: it was looked at and is gone."""
        in_transaction(
            self.engine,
            lambda connection: difference_rows.heal_subjects(
                connection, account, subjects, kinds, GONE, self.clock()
            ),
        )

    def close_unseen(
        self, kinds: Collection[DifferenceKind], before_ms: int, account: str | None = None
    ) -> None:
        """Close what was last seen before `before_ms`."""
        in_transaction(
            self.engine,
            lambda connection: difference_rows.heal_unseen(
                connection, kinds, before_ms, GONE, self.clock(), account
            ),
        )

    def _heal(self, account: str, heals: Sequence[Heal]) -> list[Finding]:
        """Heal together; where that fails, each by itself. Returns what does not heal, with why."""
        if not heals:
            return []
        try:
            in_transaction(self.engine, lambda connection: self._settle(connection, account, heals))
        except Exception as error:
            if is_unavailable(error):
                raise
            if len(heals) > 1:
                return [finding for heal in heals for finding in self._heal(account, [heal])]
            finding = heals[0].finding
            return [dataclasses.replace(finding, text=f"{finding.text}. Not healed: {error}"[:1000])]
        return []

    def _settle(self, connection: Connection, account: str, heals: Sequence[Heal]) -> None:
        now_ms = self.clock()
        payouts = [heal.found for heal in heals if isinstance(heal.found, PayoutObject)]
        transfers = [heal.found for heal in heals if isinstance(heal.found, FoundTransfer)]
        done = settle_payouts(connection, self.make_id, now_ms, account, payouts)
        done |= settle_transfers(connection, self.make_id, now_ms, transfers)
        found = {heal.finding.subject: heal.finding for heal in heals}
        healed = [(found[subject], f"by itself: {how}") for subject, how in done.items()]
        difference_rows.note_healed(connection, healed, self.make_id, now_ms)
        # Where nothing was left to do an event was faster: then what is open of it is over as well.
        kinds = {heal.finding.kind for heal in heals}
        difference_rows.heal_subjects(connection, account, found.keys() - done.keys(), kinds, GONE, now_ms)
