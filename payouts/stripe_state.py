"""How Stripe answers just now, by the calls of all processes in the last minutes. Nothing is asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from payouts.meters import STRIPE_CALLS, STRIPE_MS, Key


@dataclass(frozen=True, slots=True)
class StripeState:
    """`answers`: None where nobody asked it lately. `latency_ms`: of a call, on average."""

    answers: bool | None
    latency_ms: float | None
    text: str


def stripe_state(window: Mapping[Key, int]) -> StripeState:
    """What the counts of the last minutes say: it answers where one call was answered, refused or limited."""
    by_outcome: dict[str, int] = {}
    for key, count in window.items():
        if key[0] == STRIPE_CALLS:
            by_outcome[key[2]] = by_outcome.get(key[2], 0) + count
    calls = sum(by_outcome.values())
    if not calls:
        return StripeState(None, None, "not called lately")
    text = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(by_outcome.items()))
    answers = any(count for outcome, count in by_outcome.items() if outcome != "failed")
    return StripeState(answers, window.get((STRIPE_MS,), 0) / calls, text)
