"""A line to somebody else's server: one POST, within seconds, following nobody elsewhere.

What an answer means is for the channel to say; what the line itself meets is said here.
"""

from collections.abc import Callable, Mapping

from payouts.channels.answer import DOWN_PAUSE_S, Answer
from payouts.channels.wire import NoAnswerError, Wire
from payouts.notices import NoticeError


class Line:
    """POSTs to one address. `name` is how messages call it: the address may be a secret by itself.

    `url`: the address as it is now.
    """

    def __init__(self, name: str, url: Callable[[], str], timeout_s: float) -> None:
        self.name = name
        self._url = url
        self._wire = Wire(timeout_s)

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send `body`. Raises NoticeError, one that may heal, where there is no answer in time."""
        try:
            return self._wire.send("POST", self._url(), headers, body)
        except NoAnswerError as error:
            raise NoticeError(f"{self.name} {error}", transient=True, pause_s=DOWN_PAUSE_S) from None

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.close()

    def refused(self, answer: Answer, *, for_good: bool) -> NoticeError:
        """What to raise for an answer that is not the one hoped for.

        429 and 503 hold the channel up, for as long as they ask; 429 without counting as an attempt.
        """
        said = f"{self.name} answered {answer.status}"
        if answer.text:
            said += f": {answer.text}"
        if answer.status in (429, 503):
            return NoticeError(said, transient=True, pause_s=answer.pause_s, counts=answer.status != 429)
        return NoticeError(said, transient=not for_good)
