"""What failures have in common: those of one cause have one fingerprint, whatever event they came with.

It is made of the class of the error, the place in the code that it comes from (module and function, no line
numbers: they move with every version) and the message with what differs from event to event left out. Pure.
"""

import hashlib
import re
import traceback
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

KEY_CHARS = 16
CLASS_CHARS = 255
PLACE_CHARS = 255
MESSAGE_CHARS = 500
NOWHERE = "–"
"""The place of an error without a traceback."""

_ROOMS = ("payouts", "workers", "webhooks", "api", "console")
_VARYING = (
    # The order matters: what is longer and more particular comes first.
    (re.compile(r"\b(?:evt|po|tr|trr|pyr|acct|ba|card|txn|req|pay|cus|ch|pi|re)_[A-Za-z0-9_]+"), "<id>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<address>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b", re.IGNORECASE), "<id>"),
    # Not what begins with an apostrophe, as in "the bank's 'x'".
    (re.compile(r"(?<!\w)'[^']*'|\"[^\"]*\""), "<text>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`key` is the same for failures of one cause; the rest says in words what the cause is."""

    key: str
    error_class: str
    place: str
    message: str


def fingerprint_of(error: BaseException) -> Fingerprint:
    """The fingerprint of an error as it was caught."""
    error_class = type(error).__qualname__[:CLASS_CHARS]
    place = _place(error)[:PLACE_CHARS]
    message = normalised(str(error))[:MESSAGE_CHARS]
    digest = hashlib.sha256("\n".join((error_class, place, message)).encode("utf-8", "replace"))
    return Fingerprint(digest.hexdigest()[:KEY_CHARS], error_class, place, message)


def normalised(message: str) -> str:
    """`message` without ids, quoted values, numbers and line breaks."""
    for pattern, name in _VARYING:
        message = pattern.sub(name, message)
    return message.strip()


def _place(error: BaseException) -> str:
    """The innermost frame of this project's own code; else the innermost of all."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [frame for frame, _ in frames if _room(frame.f_code.co_filename)]
    found = own[-1] if own else (frames[-1][0] if frames else None)
    if found is None:
        return NOWHERE
    return f"{_module(found.f_code.co_filename)}:{found.f_code.co_qualname}"


@lru_cache(maxsize=1_000)
def _room(file: str) -> bool:
    return _ours(Path(file).parts) is not None


def _module(file: str) -> str:
    parts = Path(file).parts
    start = _ours(parts)
    named = parts[start:] if start is not None else parts[-2:]
    return ".".join(named).removesuffix(".py")


_ROOT = Path(__file__).parent.parent


def _ours(parts: tuple[str, ...]) -> int | None:
    """Where in a path the project's own package begins."""
    root = len(_ROOT.parts)
    inside = parts[:root] == _ROOT.parts and len(parts) > root and parts[root] in _ROOMS
    return root if inside else None
