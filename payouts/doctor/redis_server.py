"""Redis: does it keep what is spilled to it, and has it room?"""

from dataclasses import dataclass
from typing import Literal

from payouts.doctor.finding import Check, Finding, bad, for_people, ok, unknown, warning
from payouts.errors import SpillRefusedError, StoreUnavailableError
from payouts.storage.redis_facts import RedisFacts
from payouts.storage.spill import require_kept

OLDEST = (6, 2)
"""The first with BLMOVE, in which idle workers wait."""
NEARLY_FULL = 0.8
DRAINED_WITHIN_MS = 300_000

_MEND = "set appendonly yes, appendfsync always (or use Redis 7.2, Valkey) and maxmemory-policy noeviction"


@dataclass(frozen=True, slots=True)
class SpillFacts:
    """What lies in the spill."""

    waiting: int
    oldest_ms: int | None
    refused: int
    now_ms: int


def judge_redis(facts: RedisFacts, spill: Literal["auto", "trusted", "off"]) -> list[Finding]:
    """Findings on the server. `spill`: the setting REDIS_SPILL."""
    return [_version(facts), _keeps(facts, spill), *_disk(facts), _memory(facts)]


def judge_spill(facts: SpillFacts) -> list[Finding]:
    """Findings on what waits in it."""
    check, findings = Check.REDIS_SPILLED, []
    if facts.refused:
        text = f"{facts.refused} spilled events were refused by the inbox and set aside"
        findings.append(bad(check, text, "look at the stream `…:spill:refused`: each entry holds its error"))
    age_ms = 0 if facts.oldest_ms is None else facts.now_ms - facts.oldest_ms
    text = f"{facts.waiting} spilled events wait to be moved into the inbox"
    if facts.waiting and age_ms > DRAINED_WITHIN_MS:
        text = f"{text}, the oldest for {for_people(age_ms)}"
        findings.append(bad(check, text, "start the scheduler: it moves them once the database is up"))
    elif not findings:
        findings.append(ok(check, text))
    return findings


def _version(facts: RedisFacts) -> Finding:
    check = Check.REDIS_VERSION
    if facts.version is None:
        return warning(
            check, "Redis does not tell its version", "make sure that it is Redis 6.2 or newer, or Valkey"
        )
    numbers = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        return bad(
            check, f"Redis {facts.version} has no BLMOVE: workers cannot wait in it", "use 6.2 or newer"
        )
    return ok(check, f"version {facts.version}")


def _keeps(facts: RedisFacts, spill: str) -> Finding:
    check = Check.REDIS_KEEPS
    if spill == "off":
        return ok(check, "nothing is spilled to it (REDIS_SPILL=off): with the database down Stripe waits")
    if spill == "trusted":
        return ok(check, "it is vouched for (REDIS_SPILL=trusted), and not asked")
    if facts.config is None:
        return unknown(
            check,
            f"Redis hides its configuration ({facts.config_error or 'CONFIG GET tells nothing'}), so nothing "
            "is spilled to it",
            "where you know that it writes each change to disk and evicts nothing, set REDIS_SPILL=trusted; "
            "else REDIS_SPILL=off",
        )
    if facts.config.get("appendfsync") == "no":
        # Asked to wait for what nobody wrote, it says at once that all is on disk.
        text = "appendfsync is no: it never reaches its disk in time, so nothing is spilled to it"
        return bad(check, text, _MEND)
    try:
        require_kept(facts.config, facts.flushed)
    except SpillRefusedError as error:
        return bad(check, f"{error}: with the database down events are refused", _MEND)
    except StoreUnavailableError as error:
        return bad(check, str(error), "look at the disk under its append-only file")
    return ok(check, ", ".join(f"{name} {value}" for name, value in facts.config.items()))


def _disk(facts: RedisFacts) -> list[Finding]:
    if facts.last_write_ok is None:
        return []
    if not facts.last_write_ok:
        text = "its last write to the append-only file failed: it takes no more"
        return [bad(Check.REDIS_DISK, text, "make room on its disk")]
    return [ok(Check.REDIS_DISK, "its last write to disk succeeded")]


def _memory(facts: RedisFacts) -> Finding:
    check = Check.REDIS_MEMORY
    if facts.used_bytes is None:
        return warning(check, "Redis does not tell how full it is", "watch it where it is hosted")
    used = _mib(facts.used_bytes)
    if not facts.maxmemory_bytes:
        return ok(check, f"{used} used; no limit of its own")
    text = f"{used} used of {_mib(facts.maxmemory_bytes)}"
    share = facts.used_bytes / facts.maxmemory_bytes
    if share >= 1:
        return bad(check, f"{text}: it takes no more", "raise maxmemory")
    if share >= NEARLY_FULL:
        return warning(check, text, "raise maxmemory, or start more workers if messages pile up")
    return ok(check, text)


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 1024 / 1024:.1f} MiB"
