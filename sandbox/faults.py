"""What may go wrong, each with its probability, and which of it strikes a call.

Each draw depends on the seed, the fault, the route, the account that the call is about and how many such
calls came before it: the same seed tells the same story, in whatever order accounts take their turns.
"""

from typing import Annotated

import msgspec

from sandbox.errors import StripeError
from sandbox.names import Names
from sandbox.settings import Seconds

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Faults(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """At most one fault strikes a call: the first in this order that its draw hits."""

    refuse_429: Probability = 0.0
    """Refused before anything ran."""
    cut_before: Probability = 0.0
    """The connection is cut, and nothing was done."""
    error_before: Probability = 0.0
    """A 500, and nothing was done. Execution had begun, so the key keeps the 500."""
    timeout_before: Probability = 0.0
    """No answer for `timeout_s`, then a cut connection; nothing was done."""
    slow: Probability = 0.0
    """The work begins after `timeout_s`, and is done; until then the key is in use."""
    error_after: Probability = 0.0
    """A 500 after the work was done; the key keeps the 500."""
    cut_after: Probability = 0.0
    """The connection is cut after the work was done; the key keeps the true answer."""
    timeout_after: Probability = 0.0
    """The work is done at once, its answer comes after `timeout_s`."""

    event_twin: Probability = 0.0
    """A second Event object, with an id of its own, for the same change."""
    event_duplicate: Probability = 0.0
    """The same event is delivered twice."""
    event_reorder: Probability = 0.0
    """Held until a later event of the same object went out, at most for `reorder_s`."""
    event_delay: Probability = 0.0
    """Delivered only after up to `delay_s`."""
    event_lost: Probability = 0.0
    """No attempt arrives; a resend does."""
    event_lost_at_first: Probability = 0.0
    """The first attempt does not arrive, the next one does."""

    payout_failed: Probability = 0.0
    """The bank refuses it: failed instead of paid."""
    payout_returned: Probability = 0.0
    """Failed after it was paid."""
    payout_reversed: Probability = 0.0
    """Brought back by a reversal after it was paid."""

    failure_codes: tuple[str, ...] = ("account_closed", "no_account", "could_not_process", "declined")
    timeout_s: Seconds = 30.0
    """In real time: longer than the client waits."""
    delay_s: Seconds = 30.0
    reorder_s: Seconds = 5.0
    routes: tuple[str, ...] = ("POST /v1/",)
    """Faults of calls strike only what begins with one of these."""


OF_CALLS = (
    *("refuse_429", "cut_before", "error_before", "timeout_before"),
    *("slow", "error_after", "cut_after", "timeout_after"),
)


class Planned(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the next `times` calls of a route meet, for sure: a fault of calls by its name, or a refusal."""

    route: str
    """Such as `POST /v1/payouts`, or the beginning of one."""
    fault: str | None = None
    account: str | None = None
    """Only calls about this account; for transfers, their destination."""
    times: Annotated[int, msgspec.Meta(ge=1)] = 1
    status: int = 400
    code: str | None = None
    message: str = "Refused as planned."
    kind: str = "invalid_request_error"
    kept: bool = True

    def __post_init__(self) -> None:
        if self.fault is not None and self.fault not in OF_CALLS:
            raise ValueError(f"fault: one of {', '.join(OF_CALLS)}")

    def refusal(self) -> StripeError:
        return StripeError(self.status, self.message, self.code, kind=self.kind, kept=self.kept)


class Plan:
    """What was planned for the next calls, in the order in which it was asked for."""

    def __init__(self) -> None:
        self.planned: list[Planned] = []

    def take(self, route: str, subject: str) -> Planned | None:
        for planned in self.planned:
            if route.startswith(planned.route) and planned.account in (None, subject):
                planned.times -= 1
                if not planned.times:
                    self.planned.remove(planned)
                return planned
        return None


def strike(faults: Faults, names: Names, route: str, subject: str, number: int) -> str | None:
    """The fault that the `number`-th call of a route about an account meets, if any."""
    if not route.startswith(faults.routes):
        return None
    for fault in OF_CALLS:
        if names.hits(getattr(faults, fault), fault, route, subject, number):
            return fault
    return None
