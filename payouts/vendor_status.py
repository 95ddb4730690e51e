"""What vendors say of themselves on their status pages: asked side by side, and done without where not told.

Most pages answer `…/api/v2/status.json` in one form (Atlassian Statuspage and those who copy it).
"""

import json
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from payouts.safe_url import is_safe
from payouts.version import VERSION

WITHIN_S = 3.0
"""Of each, and as all are asked at once, of all together."""
MAX_BYTES = 256 * 1024
TEXT_CHARS = 120
WELL = "none"
"""A page's word for: no incident. Others are minor, major, critical, maintenance."""


@dataclass(frozen=True, slots=True)
class VendorStatus:
    """`well`: None where the page could not be read. `text` is the vendor's own, or why there is none."""

    name: str
    well: bool | None
    text: str


def read_pages(listed: str) -> list[tuple[str, str]]:
    """Name and address of each page in `Name=https://…, …`. ValueError, in words, where it does not read."""
    found = []
    for part in filter(None, (each.strip() for each in listed.split(","))):
        name, _, url = (each.strip() for each in part.partition("="))
        if not name or not is_safe(url):
            raise ValueError(f"{name or part!r} has no https address: it is Name=https://…, comma-separated")
        found.append((name, url))
    return found


class Vendors:
    """The pages, asked from when this is made; `wait` gives what they said."""

    def __init__(self, pages: Sequence[tuple[str, str]], within_s: float = WITHIN_S) -> None:
        self._until_s = time.monotonic() + within_s
        self._asked = [(name, _start(_asking(name, url, within_s), name)) for name, url in pages]

    def wait(self) -> list[VendorStatus]:
        """What each said, in their order; those that said nothing in time are unknown."""
        found = []
        for name, answers in self._asked:
            try:
                found.append(answers.get(timeout=max(0.0, self._until_s - time.monotonic())))
            except queue.Empty:
                found.append(_unknown(name))
        return found


def _asking(name: str, url: str, within_s: float) -> Callable[[], VendorStatus]:
    return lambda: _ask(name, url, within_s)


def _start(ask: Callable[[], VendorStatus], name: str) -> "queue.SimpleQueue[VendorStatus]":
    answers: queue.SimpleQueue[VendorStatus] = queue.SimpleQueue()
    # A daemon: one that hangs on past its time does not hold up the end of the command.
    threading.Thread(target=lambda: answers.put(ask()), name=f"vendor: {name}", daemon=True).start()
    return answers


def _ask(name: str, url: str, within_s: float) -> VendorStatus:
    import urllib.request  # here: settings read the list, and no start is to pay for this
    from http.client import HTTPException

    request = urllib.request.Request(url, headers={"User-Agent": f"payouts/{VERSION}"})  # noqa: S310 - checked
    try:
        with urllib.request.urlopen(request, timeout=within_s) as answer:  # noqa: S310 - as above
            said: Any = json.loads(answer.read(MAX_BYTES))
    except (OSError, HTTPException):
        return _unknown(name)
    except ValueError:
        return VendorStatus(name, None, "its answer does not read")
    status = said.get("status") if isinstance(said, dict) else None
    if not isinstance(status, dict) or not isinstance(status.get("indicator"), str):
        return VendorStatus(name, None, "its answer does not read")
    text = str(status.get("description") or status["indicator"])[:TEXT_CHARS]
    return VendorStatus(name, status["indicator"] == WELL, text)


def _unknown(name: str) -> VendorStatus:
    return VendorStatus(name, None, "could not be reached")
