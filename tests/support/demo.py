"""`make run` as a newcomer sees it: everything on one machine, with its demonstration."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WITHIN_S = 120


@contextmanager
def up_with_demo(folder: Path) -> Iterator[str]:
    """`payouts up --demo` on `folder`, once its story is told, with what it showed."""
    command = [
        *(sys.executable, "-m", "console.main"),
        *("up", "--data", str(folder), "--port", "0", "--demo"),
    ]
    screen = folder.parent / "screen"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent)}
    with screen.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + WITHIN_S
        while "payouts ledger check --data" not in (shown := screen.read_text()):
            assert process.poll() is None, shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.2)
        yield shown
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
