"""Whether e-mail goes out, by what became of it lately: nobody is called for it."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from payouts.channels.email import CHANNEL
from payouts.settings import Settings
from payouts.storage.notice_queries import lately

FAILING_ATTEMPTS = 2
"""One attempt that fails is a hiccup; a second one, with nothing that went out lately, is not."""
LATELY_MS = 10 * 60_000


@dataclass(frozen=True, slots=True)
class EmailHealth:
    """`note` says why it fails; empty where it does not. Times are None where there was none yet."""

    status: Literal["pass", "fail"]
    configured: bool
    delivered_at_ms: int | None
    gave_up_at_ms: int | None
    note: str = ""


def email_health(connection: Connection, settings: Settings, now_ms: int) -> EmailHealth:
    """How e-mail stands. Without a way to send any it passes: nothing is expected of it.

    Mail that one address refuses is no failure of e-mail; mail that nobody takes is one.
    """
    configured = bool(settings.resend_api_key.get_secret_value() or settings.email_folder)
    if not configured:
        return EmailHealth("pass", False, None, None)
    found = lately(connection, CHANNEL)
    goes_out = found.delivered_at_ms is not None and found.delivered_at_ms > now_ms - LATELY_MS
    fails = found.attempts >= FAILING_ATTEMPTS and not goes_out
    note = (found.error or "") if fails else ""
    return EmailHealth("fail" if fails else "pass", True, found.delivered_at_ms, found.dead_at_ms, note)
