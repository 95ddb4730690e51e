"""The `payouts` command as operators run it: as a process, or in this one, which costs a second less."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

import structlog

from console.main import main

COMMAND = [sys.executable, "-m", "console.main"]
Done = subprocess.CompletedProcess[str]


def run(*words: str, **env: str) -> Done:
    """As a process with nothing but `env` around it."""
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, timeout=60, env=_around(env), check=False
    )


def run_here(*words: str, **env: str) -> Done:
    """The same in this process, from its words to its exit code. A traceback is raised."""
    said, errors = _stream(), _stream()
    logging_before = structlog.get_config()
    with (
        patch.dict(os.environ, _around(env), clear=True),
        patch.object(sys, "argv", ["payouts", *words]),
        redirect_stdout(said),
        redirect_stderr(errors),
    ):
        code = _exit_code()
    structlog.configure(**logging_before)  # some commands say how much is logged: that is for them alone
    return subprocess.CompletedProcess(["payouts", *words], code, _text(said), _text(errors))


def _around(env: dict[str, str]) -> dict[str, str]:
    # No test asks pages of the world outside.
    return {"PATH": os.environ["PATH"], "COLUMNS": "80", "VENDOR_STATUS_PAGES": "", **env}


def _stream() -> io.TextIOWrapper:
    # With bytes behind it, as a real one: JSON goes to those.
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def _exit_code() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    raise AssertionError("the command did not end by itself")
