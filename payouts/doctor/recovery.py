"""A recovery: is nothing sent because the database was restored?"""

from payouts.doctor.finding import Check, Finding, bad, for_people, ok
from payouts.recovery import Recovery, RecoveryStep


def judge_recovery(held: Recovery | None, now_ms: int) -> Finding:
    """One finding. `held`: the recovery that is open, None: none is."""
    check = Check.RECOVERY
    if held is None:
        return ok(check, "no recovery is open")
    text = f"nothing is sent: a recovery is open for {for_people(now_ms - held.began_at_ms)}, at {held.step}"
    if held.step == RecoveryStep.DONE:
        return bad(check, text, "`payouts recovery status` shows what was found; `payouts recovery finish`")
    return bad(check, text, "`payouts recovery run` closes the gap")
