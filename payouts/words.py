"""Words that callers choose: references, names, addresses. Checked before they reach a column."""

import re

from payouts.errors import RefusedError

NAME_CHARS = 255
EMAIL_CHARS = 320
DESCRIPTION_CHARS = 255
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def check_reference(text: str, longest: int) -> str:
    """A reference as it is kept. RefusedError `bad_reference` where it is empty, too long or not printable.

    Without spaces around it: MySQL takes `a` and `a ` for the same key, SQLite does not.
    """
    said = text.strip()
    if not 0 < len(said) <= longest or not said.isprintable():
        raise RefusedError(
            "bad_reference", f"a reference has 1 to {longest} printable characters, not {shortened(text)}"
        )
    return said


def check_name(text: str) -> str:
    """The name of somebody who is paid. RefusedError `bad_name`."""
    said = " ".join(text.split())
    if not 0 < len(said) <= NAME_CHARS or not said.isprintable():
        raise RefusedError("bad_name", f"a name has 1 to {NAME_CHARS} characters, not {shortened(text)}")
    return said


def check_email(text: str) -> str:
    """An e-mail address. RefusedError `bad_email` where it cannot be one."""
    said = text.strip()
    if len(said) > EMAIL_CHARS or not said.isprintable() or not _EMAIL.fullmatch(said):
        raise RefusedError("bad_email", f"{shortened(text)} is no e-mail address")
    return said


def check_description(text: str | None) -> str | None:
    """What a posting is for, None where nothing is said. RefusedError `bad_description`."""
    said = " ".join((text or "").split())
    if len(said) > DESCRIPTION_CHARS or not said.isprintable():
        raise RefusedError(
            "bad_description", f"a description has at most {DESCRIPTION_CHARS} printable characters"
        )
    return said or None


def shortened(text: str) -> str:
    """`text` as a message quotes it."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


_SHOWN = 60
