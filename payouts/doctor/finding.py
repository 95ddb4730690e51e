"""What the doctor finds: one line about one thing, with what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a thing stands."""

    OK = "ok"
    WARNING = "warning"
    """It works now, and something about it is to be mended or known."""
    BAD = "bad"
    """Something is lost, refused or stands still because of it, or will be."""
    UNKNOWN = "unknown"
    """It could not be asked."""


class Check(StrEnum):
    """What is looked at. The name before the dot is that of the examination: where it fails as a whole, it
    is the check of the one finding that says so."""

    SECRETS = "secrets"
    SECRET_FORM = "secrets.form"  # noqa: S105 - a name of a check
    SECRET_REPEATS = "secrets.repeats"  # noqa: S105 - as above
    SECRET_USE = "secrets.use"  # noqa: S105 - as above
    KEY_MODE = "secrets.mode"
    ENDPOINTS = "endpoints"
    ENDPOINT_KINDS = "endpoints.kinds"
    ENDPOINT_STATUS = "endpoints.status"
    ENDPOINT_URL = "endpoints.url"
    ENDPOINT_EVENTS = "endpoints.events"
    ENDPOINT_IGNORED = "endpoints.ignored"
    ENDPOINT_VERSION = "endpoints.version"
    ENDPOINT_DUPLICATES = "endpoints.duplicates"
    ENDPOINT_SECRETS = "endpoints.secrets"
    CLOCK_STRIPE = "clocks.stripe"
    CLOCK_DATABASE = "clocks.database"
    CLOCK_REDIS = "clocks.redis"
    REDIS = "redis"
    REDIS_VERSION = "redis.version"
    REDIS_KEEPS = "redis.keeps"
    REDIS_DISK = "redis.disk"
    REDIS_MEMORY = "redis.memory"
    REDIS_SPILLED = "redis.spilled"
    DATABASE = "database"
    DATABASE_VERSION = "database.version"
    DATABASE_ISOLATION = "database.isolation"
    DATABASE_STRICT = "database.strict"
    DATABASE_DURABLE = "database.durable"
    DATABASE_CHARACTERS = "database.characters"
    DATABASE_CONNECTIONS = "database.connections"
    DATABASE_PACKET = "database.packet"
    MIGRATIONS = "migrations"
    EVENTS = "events"
    EVENTS_WAITING = "events.waiting"
    EVENTS_DEAD = "events.dead"
    REQUESTS = "requests"
    NOTICES = "notices"
    NOTICES_WAITING = "notices.waiting"
    NOTICES_DEAD = "notices.dead"
    RECOVERY = "recovery"
    QUEUES = "queues"
    PROCESSES = "processes"
    PROCESS_WORKER = "processes.worker"
    PROCESS_SCHEDULER = "processes.scheduler"
    WATERMARK = "watermark"
    WATERMARK_RECEIVED = "watermark.received"
    WATERMARK_CAUGHT_UP = "watermark.caught_up"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing as it was found. `remedy`: what to do; empty where nothing is to be done."""

    check: Check
    level: Level
    text: str
    remedy: str = ""


def ok(check: Check, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def warning(check: Check, text: str, remedy: str) -> Finding:
    return Finding(check, Level.WARNING, text, remedy)


def bad(check: Check, text: str, remedy: str) -> Finding:
    return Finding(check, Level.BAD, text, remedy)


def unknown(check: Check, text: str, remedy: str) -> Finding:
    return Finding(check, Level.UNKNOWN, text, remedy)


def exit_code(findings: Iterable[Finding], *, strict: bool = False) -> int:
    """What a script is told: 1 something is bad, 2 something could not be asked, 0 all is well.

    Warnings are well, unless `strict`: then they are bad.
    """
    levels = {finding.level for finding in findings}
    if Level.BAD in levels or (strict and Level.WARNING in levels):
        return 1
    return 2 if Level.UNKNOWN in levels else 0


def for_people(age_ms: float) -> str:
    """A span of time, roughly: `0.4 s`, `40 s`, `12 min`, `5 h`, `3 days`."""
    age_s = age_ms / 1000
    if age_s < 10:
        return f"{age_s:.1f} s"
    if age_s < 120:
        return f"{age_s:.0f} s"
    if age_s < 2 * 3600:
        return f"{age_s / 60:.0f} min"
    return f"{age_s / 3600:.0f} h" if age_s < 48 * 3600 else f"{age_s / 86_400:.0f} days"
