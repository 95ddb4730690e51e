"""Processes and queues: does a worker run, does a scheduler, and do they keep up?"""

from collections.abc import Mapping, Sequence

from payouts.doctor.finding import Check, Finding, bad, for_people, ok, warning
from payouts.storage.presence import SEEN_WITHIN_MS, Seen

_CHECKS = {Check.PROCESS_WORKER: "worker", Check.PROCESS_SCHEDULER: "scheduler"}
_WITHOUT = {
    Check.PROCESS_WORKER: "nothing is applied, paid or told",
    Check.PROCESS_SCHEDULER: "what was lost is not sent again, nothing scheduled runs",
}


def judge_processes(seen: Sequence[Seen], now_ms: int) -> list[Finding]:
    """Findings on workers and schedulers. `seen`: the latest first."""
    return [_role(check, role, seen, now_ms) for check, role in _CHECKS.items()]


def judge_queues(waiting: Mapping[str, int], most: int) -> list[Finding]:
    """One finding on the messages that no worker has fetched, by queue. `most`: SWEEP_MAX_QUEUED."""
    check = Check.QUEUES
    text = ", ".join(f"{queue} {count:,}" for queue, count in waiting.items())
    full = [queue for queue, count in waiting.items() if count > most]
    if full:
        remedy = "start more workers; while they are behind the sweeper sends nothing again"
        return [warning(check, f"messages pile up in {' and '.join(full)} ({text})", remedy)]
    return [ok(check, f"messages waiting: {text}")]


def _role(check: Check, role: str, seen: Sequence[Seen], now_ms: int) -> Finding:
    mine = [each for each in seen if each.role == role]
    there = [each for each in mine if now_ms - each.at_ms <= SEEN_WITHIN_MS]
    if there:
        return ok(check, f"{len(there)} there: {', '.join(each.name for each in there)}")
    last = f"; the last was seen {for_people(now_ms - mine[0].at_ms)} ago, {mine[0].name}" if mine else ""
    remedy = f"start one: `payouts {role}`; if one runs, see that its REDIS_URL and QUEUE_NAMESPACE are these"
    return bad(check, f"no {role} runs{last}: {_WITHOUT[check]}", remedy)
