"""What waits in Redis for the database: spilled events, and switchings for the audit log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from payouts.clock import Clock
from payouts.emergency import write_notes
from payouts.emergency_watch import EmergencyWatch
from payouts.ids import IdMaker
from payouts.storage.emergency_switch import EmergencySwitch
from payouts.storage.spill import Spill


@dataclass(frozen=True, slots=True)
class Drainer:
    """Brings both into the database. Any number may run at once."""

    engine: Engine
    spill: Spill
    switch: EmergencySwitch
    watch: EmergencyWatch
    make_id: IdMaker
    clock: Clock
    hint: Callable[[Sequence[int]], object]

    def drain(self) -> int:
        """Move what was spilled into the inbox; returns how many. Nothing while emergency mode is on."""
        if self.watch.is_on():
            return 0
        return self.spill.drain(self.engine, self.make_id, self.hint)

    def write_notes(self) -> int:
        """Put into the audit log who switched emergency mode; returns how many entries."""
        return write_notes(self.engine, self.switch, self.make_id, self.clock)
