"""Keeps the processes of `payouts up` running, and ends them in order."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from payouts.errors import PayoutsError

QUICK_DEATH_S = 5.0
QUICK_DEATHS = 5
STOP_WITHIN_S = 25.0

OnLine = Callable[[str, str], None]
"""Called with a process's name and a line that it printed."""


@dataclass(slots=True)
class Child:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(repr=False)
    folder: str | None = None
    process: "subprocess.Popen[str] | None" = None
    started_s: float = 0.0
    quick_deaths: int = 0
    once: bool = False


class Supervisor:
    """Starts children in order, restarts those that die, stops them in reverse order."""

    def __init__(self, on_line: OnLine, keeps_open: Sequence[int] = ()) -> None:
        """`keeps_open`: file descriptors that every child holds for as long as it lives."""
        self._on_line = on_line
        self._keeps_open = tuple(keeps_open)
        self._children: list[Child] = []

    def start(self, child: Child) -> None:
        """Start `child` and pass on what it prints."""
        if child not in self._children:
            self._children.append(child)
        child.started_s = time.monotonic()
        child.process = subprocess.Popen(  # noqa: S603 - our own modules and a server found on PATH
            child.command,
            env=child.environment,
            cwd=child.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=self._keeps_open,
            # Ctrl-C in the terminal is for the parent alone, which stops the children in order.
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        threading.Thread(target=self._read, args=(child.name, child.process), daemon=True).start()

    def start_once(self, child: Child) -> None:
        """Start `child`, which ends by itself and is not started again."""
        child.once = True
        self.start(child)

    def watch(self) -> None:
        """Restart what died. Raises PayoutsError where a child dies again and again."""
        for child in self._children:
            if child.process is None or child.process.poll() is None or child.once:
                continue
            quick = time.monotonic() - child.started_s < QUICK_DEATH_S
            child.quick_deaths = child.quick_deaths + 1 if quick else 1
            if child.quick_deaths >= QUICK_DEATHS:
                raise PayoutsError(f"{child.name} died {QUICK_DEATHS} times in a row; its last lines say why")
            self._say(child.name, f"ended with {child.process.returncode}; starting it again")
            time.sleep(0.2 * child.quick_deaths)
            self.start(child)

    def stop(self) -> None:
        """End every child, the last one started first, so that each still has what it needs."""
        for child in reversed(self._children):
            process = child.process
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._say(child.name, f"did not stop within {STOP_WITHIN_S:.0f} s; killed")
                process.kill()
                process.wait()

    def _read(self, name: str, process: "subprocess.Popen[str]") -> None:
        stdout = process.stdout
        if stdout is None:
            return
        with stdout:
            for line in stdout:
                self._say(name, line.rstrip("\n"))

    def _say(self, name: str, line: str) -> None:
        try:
            self._on_line(name, line)
        except (Exception, SystemExit):  # noqa: BLE001 - SystemExit: rich, when its reader is gone
            # A screen that is gone must not take the service with it: a pipe that nobody reads any more
            # has its writers fail, and the receiver refuse deliveries that it stored.
            return


def _die_with_parent() -> Callable[[], None] | None:
    """What has Linux end a new process when its parent dies, even by kill -9; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG
    # Looked up here: between fork and exec a lock may be held by a thread that is not there any more.
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def in_child() -> None:
        prctl(set_parent_death_signal, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before that took effect

    return in_child
