"""The portal as a channel: an event for each notice, signed as Standard Webhooks says.

https://github.com/standard-webhooks/standard-webhooks: `webhook-id` stays the same over all attempts, so that
the portal knows what it has; several signatures stand beside each other while a secret is being replaced.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from payouts.channels.line import Line
from payouts.clock import Clock
from payouts.notices import Notice, NoticeError
from payouts.portal_event import event_of

GONE = 410


class PortalChannel:
    """Posts events to the portal's address. A 2xx is delivered; 410 is the last attempt.

    `secrets`: what is signed with now, all at once.
    """

    def __init__(self, line: Line, secrets: Callable[[], Sequence[str]], clock: Clock) -> None:
        self._line = line
        self._secrets = secrets
        self._clock = clock

    def deliver(self, notice: Notice) -> None:
        """Post the event. Raises NoticeError."""
        body = event_of(notice)
        answer = self._line.post(body, self._headers(str(notice.id), body))
        if 200 <= answer.status < 300:
            return
        if answer.status == GONE:
            raise NoticeError(
                f"{self._line.name} answered 410, that it wants no events any more: set PORTAL_WEBHOOK_URL "
                "anew, or unset it",
                transient=False,
            )
        # Whatever else it answers, somebody may mend it: it is tried again for days.
        raise self._line.refused(answer, for_good=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._line.close()

    def _headers(self, event_id: str, body: bytes) -> dict[str, str]:
        from standardwebhooks import Webhook

        at = datetime.fromtimestamp(self._clock() // 1000, UTC)
        signatures = [Webhook(secret).sign(event_id, at, body.decode()) for secret in self._secrets()]
        return {
            "Content-Type": "application/json",
            "User-Agent": "payouts-webhooks",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
