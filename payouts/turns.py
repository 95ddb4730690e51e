"""A worker's turn at a request: what it is given to do, and what it brings back."""

from dataclasses import dataclass

from payouts.calls import Made, Refused, Unknown
from payouts.leg import Attempt, Leg


@dataclass(frozen=True, slots=True)
class Turn:
    """One call to make now. Everything about it is committed already."""

    request_id: int
    leg: Leg
    attempt: Attempt
    look_up: bool
    """Only ask whether the object is there; the call itself is not made."""
    lease: str
    transfer_id: str | None = None
    """Of a reversal: the transfer it takes back."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """A look-up found no such object."""


@dataclass(frozen=True, slots=True)
class LookUpFailed:
    """A look-up got no answer to act on. `passes`: a later one may."""

    text: str
    passes: bool


Result = Made | Refused | Unknown | NotFound | LookUpFailed


@dataclass(frozen=True, slots=True)
class Job:
    """A request to go on with, and what came of the turn before, if there was one."""

    request_id: int
    turn: Turn | None = None
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What follows a job: the next turn at the request, or another request of the partner that waited."""

    turn: Turn | None = None
    then: int | None = None
