"""What somebody else's server answered, and for how long it asks to be left alone."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

ANSWER_CHARS = 200
"""Of what the other side says of an error."""
DOWN_PAUSE_S = 10.0
"""Where nobody answers, or does not say for how long: each notice would wait for a time limit in its turn."""
PAUSE_LEAST_S = 1.0
"""`Retry-After: 0` asks for so much all the same: it counts no attempt, so that without a pause the notice
would be sent again and again, as fast as the other side answers."""


class Answer:
    """What came back: the status, its headers in lower case, and the beginning of the body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        """The beginning of the body, for a message."""
        return " ".join(self.body.decode("utf-8", "replace").split())[:ANSWER_CHARS]

    @property
    def pause_s(self) -> float:
        """For how long to send nothing, where the other side asks to be left alone."""
        return pause_s(self.headers.get("retry-after"))


def pause_s(retry_after: str | None) -> float:
    """For how long to send nothing, by a `Retry-After`; DOWN_PAUSE_S where none reads."""
    asked_s = retry_after_s(retry_after)
    return DOWN_PAUSE_S if asked_s is None else max(PAUSE_LEAST_S, asked_s)


def retry_after_s(value: str | None) -> float | None:
    """`Retry-After` in seconds from now; None where there is none that reads."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
