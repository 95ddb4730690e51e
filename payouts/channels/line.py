"""A line to somebody else's server: one POST, within seconds, following nobody elsewhere.

What an answer means is for the channel to say; what the line itself meets is said here.
"""

import contextlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING

from payouts.notices import NoticeError

if TYPE_CHECKING:
    from httpx import Client, Response

DOWN_PAUSE_S = 10.0
"""After no answer at all the next notice waits for so long: each would wait for a time limit in its turn."""
ANSWER_CHARS = 200
"""Of what the other side says of an error."""
ANSWER_BYTES = 16_384
"""More of an answer is not read."""


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
    def retry_after_s(self) -> float | None:
        """For how long the other side asks to be left alone; None where it does not say."""
        return retry_after_s(self.headers.get("retry-after"))


class Line:
    """POSTs to one address. `name` is how messages call it: the address may be a secret by itself."""

    def __init__(self, name: str, url: str, timeout_s: float) -> None:
        self.name = name
        self._url = url
        self._timeout_s = timeout_s
        self._client: Client | None = None
        self._guard = Lock()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send `body`. Raises NoticeError, one that may heal, where there is no answer in time."""
        import httpx

        with self._guard:
            if self._client is None:
                self._client = httpx.Client(timeout=self._timeout_s, follow_redirects=False)
            client = self._client
        try:
            with client.stream("POST", self._url, content=body, headers=dict(headers)) as response:
                return Answer(response.status_code, dict(response.headers), self._begun(response))
        except httpx.TimeoutException:
            raise self._silent(f"did not answer within {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # Not the error's own words: they may hold the address, which may be a secret.
            raise self._silent(f"could not be reached ({type(error).__name__})") from None

    def _begun(self, response: "Response") -> bytes:
        # The status says what became of it. So nobody is waited for who trickles or hangs in the middle of
        # the body: as a failure it would be sent once more to somebody who has it.
        import httpx

        begun, until_s = b"", time.monotonic() + self._timeout_s
        with contextlib.suppress(httpx.HTTPError, OSError):
            for part in response.iter_raw():  # as it comes: in chunks of a size each would be waited for
                begun += part
                if len(begun) >= ANSWER_BYTES or time.monotonic() > until_s:
                    break
        return begun[:ANSWER_BYTES]

    def close(self) -> None:
        """Let go of the connections."""
        with self._guard:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _silent(self, what: str) -> NoticeError:
        return NoticeError(f"{self.name} {what}", transient=True, pause_s=DOWN_PAUSE_S)

    def refused(self, answer: Answer, *, for_good: bool) -> NoticeError:
        """What to raise for an answer that is not the one hoped for.

        429, and 503 with a `Retry-After`, hold the channel up; 429 without counting as an attempt.
        """
        said = f"{self.name} answered {answer.status}"
        if answer.text:
            said += f": {answer.text}"
        if answer.status == 429:
            pause_s = answer.retry_after_s
            return NoticeError(
                said, transient=True, pause_s=DOWN_PAUSE_S if pause_s is None else pause_s, counts=False
            )
        if answer.status == 503:
            return NoticeError(said, transient=True, pause_s=answer.retry_after_s or DOWN_PAUSE_S)
        return NoticeError(said, transient=not for_good)


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
