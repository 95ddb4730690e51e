"""Named crash points: tests end the process at a chosen one, as a kill -9 or a power cut would.

`CRASH_AT=apply.before_commit` ends it at the first pass, `CRASH_AT=apply.before_commit:3` at the third.
Without the variable a crash point costs one look-up of a global.
"""

import os
import signal

POINTS = frozenset(
    {
        "intake.before_commit",
        "intake.after_commit",
        "intake.after_hint",
        "spill.after_append",
        "drain.after_commit",
        "apply.before_commit",
        "apply.after_commit",
        "sweep.before_send",
        "request.before_commit",
        "api.after_commit",
        "schedule.between_partners",
        "unit.before_commit",
        "unit.after_commit",
        "send.before_commit",
        "send.after_commit",
        "send.after_call",
        "tell.before_record",
        "archive.after_write",
        "archive.before_commit",
        "archive.after_commit",
        "archive.before_replace",
        "catch_up.before_commit",
        "catch_up.after_commit",
    }
)

_armed, _, _passes = os.environ.get("CRASH_AT", "").partition(":")
_left = int(_passes or 1)


def crash_point(name: str) -> None:
    """End this process with SIGKILL if it is armed for `name`."""
    global _left
    if _armed and name == _armed:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
