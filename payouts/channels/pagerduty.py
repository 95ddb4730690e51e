"""PagerDuty as a channel, by its Events API v2: what is critical calls somebody, and its end calls it off.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from collections.abc import Callable
from typing import Any

import msgspec

from payouts.alerts import CRITICAL, ENDS, OperatorNotice, operator_notice
from payouts.channels.line import Line
from payouts.clock import iso
from payouts.notices import Notice

NAMES = tuple(sorted({*CRITICAL, *ENDS}))
"""The notices that this channel takes."""
PATH = "/v2/enqueue"
_SUMMARY_CHARS = 1_024


class PagerDutyChannel:
    """Sends events. Those about one trouble have one key, and so has an event that is sent twice: PagerDuty
    joins them. `routing_key`: as it is now."""

    def __init__(self, line: Line, routing_key: Callable[[], str], source: str) -> None:
        self._line = line
        self._routing_key = routing_key
        self._source = source

    def deliver(self, notice: Notice) -> None:
        """Send the event. Raises NoticeError."""
        told = operator_notice(notice)
        body = msgspec.json.encode(self._event(told, notice.id))
        answer = self._line.post(body, {"Content-Type": "application/json"})
        if answer.status != 202:
            # 400: the event or the routing key is wrong, and stays so.
            raise self._line.refused(answer, for_good=answer.status in (400, 403, 404, 410))

    def close(self) -> None:
        """Let go of the connections."""
        self._line.close()

    def _event(self, told: OperatorNotice, notice_id: int) -> dict[str, Any]:
        event: dict[str, Any] = {
            "routing_key": self._routing_key(),
            "event_action": "resolve" if told.ends else "trigger",
            "dedup_key": told.key,
        }
        if not told.ends:
            event["payload"] = {
                "summary": f"{told.name}: {told.text}"[:_SUMMARY_CHARS],
                "source": self._source,
                "severity": str(told.gravity),
                "timestamp": iso(told.at_ms),
                "class": told.name,
                "custom_details": {**told.about, "notice": str(notice_id)},
            }
        return event
