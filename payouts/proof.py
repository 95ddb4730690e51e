"""A proof of completeness: what Stripe lists of a period, and where each of it stands here. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from payouts.clock import iso

KEPT_S = 30 * 24 * 3_600
"""Stripe lists the events of 30 days (https://docs.stripe.com/api/events)."""
OVERLAP_S = 900
"""An event may be listed minutes after it was created: walks begin so long before the watermark, daily proofs
so long after midnight (our judgement: Stripe names no time)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A row of `proofs`; the fields are its columns.

    `listed` = applied + ignored + open + dead + dismissed + missing. Those `healed` are the missing ones that
    were added to the inbox by the same walk. `details` is canonical JSON: `reasons` of the ignored ones with
    their counts; `missing`, `not_healed` and `unlisted` ids, the first of each; `types` that were walked
    (null: all); `cut`: whether a part of the period is older than Stripe keeps.
    """

    id: int
    account: str
    number: int
    since_s: int
    until_s: int
    made_at_ms: int
    actor: str
    walk_id: int
    listed: int
    applied: int
    ignored: int
    open: int
    dead: int
    dismissed: int
    missing: int
    healed: int
    unlisted: int
    details: str
    previous: str
    digest: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether everything that Stripe lists is in the inbox now."""
        return self.missing == self.healed

    @property
    def verdict(self) -> str:
        """In a few words."""
        if not self.is_complete:
            return f"incomplete: {self.missing - self.healed} events cannot be added"
        if self.missing:
            return f"complete now: {self.missing} were missing and have been added"
        return "complete: everything that Stripe lists was in the inbox"


def not_known(proof: Proof, types: Sequence[str] | None, *, cut: bool) -> list[str]:
    """What `proof` cannot know, in plain words."""
    made_s = proof.made_at_ms // 1000
    lines = []
    if cut:
        since = iso(proof.since_s * 1000)
        lines.append(f"what is older than {since}: Stripe lists the events of the last 30 days only")
    if proof.until_s + OVERLAP_S > made_s:
        minutes = OVERLAP_S // 60
        lines.append(f"the last minutes: Stripe may list an event up to {minutes} minutes late, or later")
    else:
        lines.append("what Stripe listed only after the proof was made")
    if types is not None:
        lines.append(f"events of other types than the {len(types)} that this service handles")
    return [
        *lines,
        "changes for which Stripe never made an event: `payouts catch-up --compare` compares the objects",
        "thin events: Stripe keeps them in another list",
    ]
