"""A recovery: after the database was restored to an earlier time, nothing is sent until the gap is closed."""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from payouts.storage.columns import PLATFORM

RECOVERY = "recovery"
"""What a request says that it waits for, while a recovery is open."""
STOPPED = (
    "the database was restored: nothing is sent until what Stripe did meanwhile is found "
    "(`payouts recovery status`)"
)
MARGIN_S = 3_600
"""So much before the gap everything is looked at again: clocks differ, and rows are committed late."""


class RecoveryStep(StrEnum):
    """What is done to close the gap, in this order."""

    TRANSFERS = "transfers"
    """The platform's transfers: legs that were lost are made again."""
    PAYOUTS = "payouts"
    """The payouts on each partner's account, in the same way."""
    REVERSALS = "reversals"
    """What came back of the transfers."""
    ATTEMPTS = "attempts"
    """Attempts that are open are only looked for from now on, never repeated."""
    EVENTS = "events"
    """Each account's events, into the inbox."""
    COMPARE = "compare"
    """Each account is compared with Stripe, once."""
    DONE = "done"
    """A second person looks at what was found, and ends it."""


PLATFORM_ONLY = (RecoveryStep.TRANSFERS, RecoveryStep.REVERSALS, RecoveryStep.ATTEMPTS)


@dataclass(frozen=True, slots=True)
class Recovery:
    """A row of `recoveries`; the fields are its columns."""

    id: int
    account: str
    open_key: str | None
    began_at_ms: int
    began_by: str
    reason: str
    gap_from_ms: int
    """Rows from then on may be lost; what came before is there."""
    covers_id: int
    """The largest row id that this recovery is about: what is missing up to it begins no other one."""
    run_by: str | None
    step: RecoveryStep
    step_began_at_ms: int
    next_account: str
    partner_id: int
    position: str | None
    steps: str
    attached: int
    unknown: int
    ended_at_ms: int | None
    ended_by: str | None
    end_reason: str | None

    @property
    def since_s(self) -> int:
        """From when on Stripe's objects and events are looked at, by Stripe's clock."""
        return max(self.gap_from_ms // 1000 - MARGIN_S, 0)

    @property
    def over(self) -> list["StepOver"]:
        """The steps that are over, in their order."""
        return msgspec.json.decode(self.steps, type=list[StepOver])

    def at(self, position: str) -> "Recovery":
        """Further in the same account."""
        return dataclasses.replace(self, position=position)

    def through(self, following: tuple[int, str] | None, now_ms: int) -> "Recovery":
        """Through with the account; `following`: the partner that comes next, by row id and account."""
        if following is not None and self.step not in PLATFORM_ONLY:
            partner_id, account = following
            return dataclasses.replace(self, position=None, next_account=account, partner_id=partner_id)
        over = [*self.over, StepOver(self.step, self.step_began_at_ms, now_ms)]
        steps = list(RecoveryStep)
        return dataclasses.replace(
            self,
            step=steps[steps.index(self.step) + 1],
            step_began_at_ms=now_ms,
            next_account=PLATFORM,
            partner_id=0,
            position=None,
            steps=msgspec.json.encode(over).decode(),
        )


class StepOver(msgspec.Struct, frozen=True):
    """A step of a recovery that is over."""

    step: str
    began_at_ms: int
    ended_at_ms: int
