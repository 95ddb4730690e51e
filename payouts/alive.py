"""`python -m payouts.alive [URL]`: whether the process of this container is alive, for its health check.

With an address it is asked; without one the file that ALIVE_FILE names must have been touched lately, which
every process does from the loop that does its work. Asked every few seconds in every container, so it starts
in a few milliseconds: nothing of the service is imported here.
"""

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SILENT_AFTER_S = 60.0
"""Many beats, and longer than any single step of the scheduler's."""
ANSWER_WITHIN_S = 3.0


def why_not(address: str | None, file: str, now_s: float) -> str | None:
    """What is wrong, in a line; None where the process is alive."""
    if address:
        return _ask(address)
    if not file:
        return "ALIVE_FILE is not set, and no address to ask was given"
    try:
        age_s = now_s - Path(file).stat().st_mtime
    except OSError as error:
        return f"{file}: {error.strerror}: the process has not begun to work"
    if age_s > SILENT_AFTER_S:
        return f"the process has said nothing for {age_s:.0f} s, more than {SILENT_AFTER_S:.0f}"
    return None


def _ask(address: str) -> str | None:
    try:
        with urllib.request.urlopen(address, timeout=ANSWER_WITHIN_S):  # noqa: S310 - given by the deployer
            return None
    except urllib.error.HTTPError as error:
        return f"{address} answers {error.code}"
    except OSError as error:
        return f"{address} does not answer: {error}"


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else None
    why = why_not(address, os.environ.get("ALIVE_FILE", ""), time.time())
    if why:
        sys.exit(why)


if __name__ == "__main__":
    main()
