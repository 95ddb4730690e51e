"""Reasons that people give: short enough to be kept, and really there."""

from payouts.errors import RefusedError

REASON_CHARS = 255


def check_reason(reason: str) -> str:
    """`reason` as it is kept. RefusedError where it is empty or too long."""
    said = " ".join(reason.split())
    if not said:
        raise RefusedError("reason_missing", "say why, in a few words: others will want to know later")
    if len(said) > REASON_CHARS:
        raise RefusedError(
            "reason_too_long", f"a reason has at most {REASON_CHARS} characters, this one has {len(said)}"
        )
    return said
