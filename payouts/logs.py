"""Logging: events with bound ids, JSON in production, readable on a terminal. No secret gets through."""

import contextlib
import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO, cast

import structlog

from payouts.redaction import REDACTED, SENSITIVE, redacted

_SECRET = re.compile(
    r"(whsec_|sk_live_|sk_test_|rk_live_|rk_test_|\bpt_(?=[\w-]{43}))[A-Za-z0-9_+/=-]+"
    r"|(\bre_)[A-Za-z0-9]{6,}_[A-Za-z0-9]{12,}"
    r"|(hooks\.slack\.com/)[A-Za-z0-9_/-]+"
    r"|(?<=://)([^/\s:@]*):[^/\s@]+@"
)


def redact(text: str) -> str:
    """`text` with keys, signing secrets, Slack's addresses and passwords in addresses as `***`."""
    return _SECRET.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    *beginnings, name = found.groups()
    beginning = next(filter(None, beginnings), None)
    return f"{beginning}***" if beginning else f"{name}:***@"


def _redact_line(_: Any, __: str, line: str) -> str:
    # On the finished line: nothing inside of a list, a mapping or an exception escapes it.
    return redact(line)


_HIDDEN = SENSITIVE - {"name"}
"""Of a line's own fields: there `name` is that of a notice or a store."""


def _redact_fields(_: Any, __: str, line: Any) -> Any:
    # What an object of Stripe's says of people, should one come to be logged as a whole.
    for name, value in line.items():
        if name in _HIDDEN and value is not None:
            line[name] = REDACTED
        elif isinstance(value, Mapping | list):
            line[name] = redacted(value)
    return line


class _Unbreakable:
    """A stream that a log line may be lost to, but that never fails who writes it: a pipe may be gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


Told = Callable[[str, Mapping[str, Any], BaseException | None], None]
"""Told of each error that is logged: the event, the fields of its line, and what was raised, if anything."""


def configure_logging(level: str, style: str, told: Told | None = None) -> None:
    """Send this project's and its libraries' log lines to standard output; `style`: json or console.

    `told` hears of each line of level error or above, before it is written.
    """
    renderer: Callable[..., Any]
    if style == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(),
            # The default shows local variables in tracebacks: secrets among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact_fields,
    ]
    if told is not None:
        shared.insert(1, _Telling(told))  # with the ids that are bound
    tail: list[Any] = [structlog.processors.format_exc_info, renderer, _redact_line]
    structlog.configure(
        processors=[*shared, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Unbreakable(sys.stdout))),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *tail,
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING))


class _Telling:
    """A step of every log line, which tells of errors. Whatever goes wrong in it, the line is written."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def __call__(self, _: Any, method: str, line: Any) -> Any:
        if method in _ERRORS:
            with contextlib.suppress(Exception):
                self._told(str(line.get("event", "")), line, _raised(line))
        return line


_ERRORS = ("error", "critical", "exception", "fatal")


def _raised(line: Mapping[str, Any]) -> BaseException | None:
    raised = line.get("exc_info")
    if isinstance(raised, BaseException):
        return raised
    if isinstance(raised, tuple):
        return raised[1] if len(raised) > 1 else None
    return sys.exc_info()[1] if raised else None


def get_logger() -> Any:
    """A logger to bind ids to. Its lines are dictionaries: an event name and what it is about."""
    return structlog.get_logger()
