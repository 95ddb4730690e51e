"""What an action said: kept with the session, shown on the next page, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TOLD_COOKIE = "payouts_told"
"""Says that there is something to show, so that other pages need not ask."""


@dataclass(frozen=True, slots=True)
class Flash:
    """A line for the person; with what they had typed where it was refused, so that it is not lost."""

    text: str
    refused: bool = False
    action: str = ""
    """Where the form went that was refused."""
    typed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Its fields, each with all its values."""
