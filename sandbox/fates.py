"""What becomes of a payout, drawn when it is made."""

from dataclasses import dataclass

from sandbox.faults import Faults
from sandbox.names import Names


@dataclass(frozen=True, slots=True)
class Fate:
    """`end` is paid or failed; `later` what follows a paid one: returned, reversed or nothing."""

    end: str
    failure_code: str | None = None
    later: str | None = None


def of_payout(faults: Faults, names: Names, account: str, number: int) -> Fate:
    """The fate of an account's `number`-th payout."""
    if names.hits(faults.payout_failed, "payout_failed", account, number):
        return Fate("failed", _failure_code(faults, names, account, number))
    if names.hits(faults.payout_returned, "payout_returned", account, number):
        return Fate("paid", _failure_code(faults, names, account, number), later="returned")
    if names.hits(faults.payout_reversed, "payout_reversed", account, number):
        return Fate("paid", later="reversed")
    return Fate("paid")


def _failure_code(faults: Faults, names: Names, account: str, number: int) -> str:
    codes = faults.failure_codes or ["could_not_process"]
    return codes[int(names.draw("failure_code", account, number) * len(codes))]
