"""The live view of `payouts up`: one short line for what comes in and what came of it."""

import json
import threading
import time
from collections import Counter
from typing import Any

from rich.console import Console
from rich.text import Text

from payouts.logs import redact

LINES_PER_S = 25
"""Of deliveries, as many of outcomes, and as many of anything else."""
_MARKS = {
    "event.received": ("←", "cyan"),
    "event.applied": ("✓", "green"),
    "event.ignored": ("·", "dim"),
    "event.deferred": ("…", "yellow"),
    "event.retrying": ("↻", "yellow"),
    "event.dead": ("✗", "red"),
}
_QUIET = {"batch.applied", "receiver.starting", "worker.started", "worker.stopped"}
_QUIET |= {"ledger.checked", "api.starting", "console.starting", "schedule.done", "reconcile.round_over"}
_QUIET |= {"scheduler.started", "scheduler.stopped", "notice.delivered"}


class Feed:
    """Renders the JSON lines of the processes; a flood is summed up second by second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._guard = threading.Lock()
        self._second = 0
        self._shown: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def line(self, name: str, line: str) -> None:
        """Show one line that the process `name` printed."""
        if not line.strip():
            return
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        with self._guard:
            self._next_second()
            if name == "demo":
                self._print(Text(line))  # a story is told whole
            elif not isinstance(said, dict):
                self._show("other", f"lines of {name}", f"{name}: {line}")
            elif said.get("event") in _MARKS:
                self._event(said)
            elif said.get("event") not in _QUIET:
                self._other(name, said)

    def tick(self) -> None:
        """Show what a flood left out; called now and then."""
        with self._guard:
            self._next_second()

    def _event(self, said: dict[str, Any]) -> None:
        kind = said["event"]
        short = kind.removeprefix("event.")
        incoming = kind == "event.received"
        mark, style = _MARKS[kind]
        lead = said.get("account") or "" if incoming else short
        what = f"{lead}  {said.get('outcome') or said.get('detail') or ''}"
        text = f"{mark} {said.get('event_id') or '–':<30} {said.get('type') or '–':<32} {what}"
        group = "dead" if kind == "event.dead" else "incoming" if incoming else "outcome"
        self._show(group, short, text, style)

    def _other(self, name: str, said: dict[str, Any]) -> None:
        rest = {
            key: value for key, value in said.items() if key not in ("event", "level", "timestamp", "logger")
        }
        if "exception" in rest:  # a whole traceback: its last line says what it was
            rest["exception"] = str(rest["exception"]).strip().rpartition("\n")[2]
        details = "  ".join(f"{key}={value}" for key, value in rest.items())
        style = {"error": "red", "critical": "red", "warning": "yellow"}.get(said.get("level", ""), "dim")
        text = f"{name}: {said.get('event', '')}  {details}".strip()
        self._show("other", f"{name}: {said.get('event', '')}", text, style)

    def _show(self, group: str, kind: str, text: str, style: str = "") -> None:
        if self._shown[group] >= LINES_PER_S:
            self._left_out[kind] += 1
            return
        self._shown[group] += 1
        # Whoever signs an event, or sends a request that is refused, must not steer the terminal.
        plain = "".join(char if char.isprintable() else " " for char in redact(text))
        self._print(Text(plain, style=style))

    def _next_second(self) -> None:
        now = int(time.monotonic())
        if now == self._second:
            return
        if self._left_out:
            parts = ", ".join(f"{count} {kind}" for kind, count in sorted(self._left_out.items()))
            self._print(Text(f"… and {self._left_out.total()} more in this second: {parts}", style="dim"))
        self._second = now
        self._shown.clear()
        self._left_out.clear()

    def _print(self, text: Text) -> None:
        self._console.print(
            Text(time.strftime("%H:%M:%S ", time.gmtime()), style="dim") + text, soft_wrap=True
        )
