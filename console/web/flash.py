"""What an action said: kept with the session, shown on the next page, once."""

from dataclasses import dataclass

TOLD_COOKIE = "payouts_told"
"""Says that there is something to show, so that other pages need not ask."""


@dataclass(frozen=True, slots=True)
class Flash:
    """A line for the person; `reason` is what they had typed where it was refused, so that it is not lost."""

    text: str
    refused: bool = False
    reason: str = ""
