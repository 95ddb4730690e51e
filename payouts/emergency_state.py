"""Emergency mode as it is: since when, by whom and why. Pure."""

from dataclasses import dataclass

import msgspec

EMERGENCY = "emergency"
"""What a request says that it waits for, while emergency mode is on."""
STANDSTILL = "emergency mode is on: nothing is paid until it is switched off (`payouts emergency show`)"
SETTING = "ENABLE_MOCK_DATA"
"""The setting that switches the same on by configuration, under the runbook's name."""
UNCHECKED = "unchecked:"
"""Before the name of whoever switched it while no token could be looked up."""


class Switched(msgspec.Struct, frozen=True):
    """Emergency mode is on. `since_ms` None: since the process was started with the setting."""

    since_ms: int | None
    by: str
    reason: str

    @property
    def by_setting(self) -> bool:
        """Whether the setting holds it on, so that no command switches it off."""
        return self.since_ms is None


HELD_BY_SETTING = Switched(None, f"setting {SETTING}", "switched on by configuration")


class Note(msgspec.Struct, frozen=True):
    """A switching that is not in the audit log yet. `id` tells it from every other one."""

    id: str
    action: str
    at_ms: int
    by: str
    token_digest: str | None
    """Of whoever's token could not be looked up: it is when the entry is written. None: `by` was checked."""
    reason: str


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Somebody whose token nobody could look up, for the database does not answer."""

    login: str
    token_digest: str

    @property
    def name(self) -> str:
        """How they are named until it was."""
        return UNCHECKED + self.login
