"""Ages: how long events, requested payouts and notices have waited, and what is dead."""

from collections.abc import Sequence

from payouts.doctor.finding import Check, Finding, bad, for_people, ok, warning
from payouts.notices import NoticeStatus
from payouts.states import EventStatus
from payouts.storage.age_queries import COUNTED_MOST, Dead, Waiting

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

RECEIVED_WARN_MS, RECEIVED_BAD_MS = MINUTE_MS, 10 * MINUTE_MS
"""An event that no worker has looked at. It takes milliseconds."""
OPEN_WARN_MS = {EventStatus.RETRYING: 24 * HOUR_MS, EventStatus.DEFERRED: HOUR_MS}
OVERDUE_WARN_MS, OVERDUE_BAD_MS = 5 * MINUTE_MS, HOUR_MS
"""Past the time at which something was to be tried: the sweeper sends it within seconds."""

_WORKERS = "see `processes` below; start more workers if all of them are busy"


def judge_events(waiting: Sequence[Waiting], dead: Dead, now_ms: int) -> list[Finding]:
    """Findings on the inbox."""
    findings = [found for each in waiting if (found := _event(each, now_ms)) is not None]
    if not findings:
        oldest = ", ".join(f"{each.status} {for_people(now_ms - each.since_ms)}" for each in waiting)
        text = f"the oldest open events: {oldest}" if oldest else "no event is open"
        findings = [ok(Check.EVENTS_WAITING, text)]
    return [*findings, _dead(Check.EVENTS_DEAD, "events", dead, now_ms, "payouts event list --status dead")]


def judge_requests(waiting: Sequence[Waiting], now_ms: int) -> list[Finding]:
    """One finding on the requested payouts that are queued."""
    check = Check.REQUESTS
    for each in waiting:
        over_ms = now_ms - each.due_at_ms
        text = f"a payout was to be sent {for_people(over_ms)} ago, and is still queued"
        if over_ms > OVERDUE_WARN_MS:
            judge = bad if over_ms > OVERDUE_BAD_MS else warning
            return [judge(check, text, f"{_WORKERS}; `payouts payout requests --status queued` lists them")]
        why = f": {each.reason}" if each.reason else ""
        return [ok(check, f"the oldest queued payout was asked for {_ago(each, now_ms)}{why}")]
    return [ok(check, "no payout is queued")]


def judge_notices(waiting: Sequence[Waiting], dead: Dead, now_ms: int) -> list[Finding]:
    """Findings on the outbox."""
    check, findings = Check.NOTICES_WAITING, []
    for each in waiting:
        if now_ms - each.due_at_ms <= OVERDUE_WARN_MS:
            continue
        if each.status == NoticeStatus.PENDING:
            judge = bad if now_ms - each.due_at_ms > OVERDUE_BAD_MS else warning
            text = f"a notice of {_ago(each, now_ms)} was given to no channel yet"
            findings.append(judge(check, text, _WORKERS))
        elif now_ms - each.since_ms > OVERDUE_BAD_MS:
            text = f"a notice of {_ago(each, now_ms)} was not taken by a channel yet"
            findings.append(warning(check, text, "`payouts notice list --status routed` shows why"))
    if not findings:
        findings = [ok(check, "no notice has waited for long" if waiting else "no notice waits")]
    return [
        *findings,
        _dead(Check.NOTICES_DEAD, "notices", dead, now_ms, "payouts notice list --status dead"),
    ]


def _event(each: Waiting, now_ms: int) -> Finding | None:
    check, age_ms, over_ms = Check.EVENTS_WAITING, now_ms - each.since_ms, now_ms - each.due_at_ms
    if each.status == EventStatus.RECEIVED:
        if age_ms <= RECEIVED_WARN_MS:
            return None
        judge = bad if age_ms > RECEIVED_BAD_MS else warning
        return judge(check, f"an event waits for {for_people(age_ms)}, and no worker took it", _WORKERS)
    if over_ms > OVERDUE_WARN_MS:
        judge = bad if over_ms > OVERDUE_BAD_MS else warning
        text = f"an event that is {each.status} was to be tried {for_people(over_ms)} ago"
        return judge(check, text, _WORKERS)
    if age_ms > OPEN_WARN_MS[EventStatus(each.status)]:
        why = f": {each.reason}" if each.reason else ""
        text = f"an event is {each.status} for {for_people(age_ms)}{why}"
        return warning(check, text, f"`payouts event list --status {each.status}` shows what it waits for")
    return None


def _dead(check: Check, what: str, dead: Dead, now_ms: int, command: str) -> Finding:
    if not dead.count or dead.oldest_ms is None:
        return ok(check, f"no {what} are dead")
    count = f"{dead.count:,}" if dead.count < COUNTED_MOST else f"{dead.count:,} or more"
    text = f"dead {what}: {count}, the oldest for {for_people(now_ms - dead.oldest_ms)}"
    return warning(check, text, f"`{command}` shows them; nothing tries them again by itself")


def _ago(each: Waiting, now_ms: int) -> str:
    return f"{for_people(now_ms - each.since_ms)} ago"
