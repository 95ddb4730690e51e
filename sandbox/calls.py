"""A call of the API, as its handler sees it, and the table's row that leads to it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.errors import missing
from sandbox.params import Params
from sandbox.shared import Cause, Json
from sandbox.shelf import Shelf
from sandbox.world import World


@dataclass(frozen=True, slots=True)
class Call:
    """`account` is whom the call acts for: the platform, or the account named by Stripe-Account."""

    world: World
    account: str
    path: dict[str, str]
    params: Params
    cause: Cause

    def named(self, shelf: Shelf, what: str, part: str = "id") -> Json:
        """The object that the path names; a 404 where this account has none of that id."""
        id_ = self.path[part]
        return shelf.find(self.account, id_) or _no(what, id_)


def _no(what: str, id_: str) -> Json:
    raise missing(what, id_)


Handler = Callable[[Call], Json]
Subject = Callable[[Call], str]


def acting_account(call: Call) -> str:
    return call.account


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    `subject` names the account that the call is about. Calls about one account are counted together for the
    draws of faults, and exclude each other where that is set: a transfer is about its destination.
    """

    method: str
    path: str
    handler: Handler
    subject: Subject = field(default=acting_account)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"
