"""Slack as a channel, by incoming webhooks: an address for warnings, and one for what is critical.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

import msgspec

from payouts.alerts import Gravity, OperatorNotice, operator_notice
from payouts.channels.line import Line
from payouts.clock import iso
from payouts.notices import Notice

_FOR_GOOD = frozenset({400, 403, 404, 410})
"""The message is refused, or the address is: it was revoked, or its channel is gone."""
_TEXT_CHARS = 2_900
"""Of the 3,000 that a block takes; escaping is done before."""
_SIGNS = {
    Gravity.INFO: ":information_source:",
    Gravity.WARNING: ":warning:",
    Gravity.CRITICAL: ":rotating_light:",
}


class SlackChannel:
    """Posts what operators are told. Slack does not know a message again: one that is sent twice is there
    twice, with the same id at its end."""

    def __init__(self, warnings: Line, critical: Line, environment: str) -> None:
        self._lines = {Gravity.INFO: warnings, Gravity.WARNING: warnings, Gravity.CRITICAL: critical}
        self._environment = environment

    def deliver(self, notice: Notice) -> None:
        """Post it. Raises NoticeError."""
        told = operator_notice(notice)
        line = self._lines[told.gravity]
        answer = line.post(
            self._message(told, notice.id), {"Content-Type": "application/json; charset=utf-8"}
        )
        if not 200 <= answer.status < 300:
            raise line.refused(answer, for_good=answer.status in _FOR_GOOD)

    def close(self) -> None:
        """Let go of the connections."""
        for line in self._lines.values():
            line.close()

    def _message(self, told: OperatorNotice, notice_id: int) -> bytes:
        head = f"{_SIGNS[told.gravity]} *{escaped(told.name)}* ({escaped(self._environment)})"
        facts = " · ".join(f"{escaped(name)}: {escaped(value)}" for name, value in told.about.items())
        foot = f"{iso(told.at_ms)} · {facts} · notice {notice_id}"
        message = {
            "text": _cut(f"{told.gravity}: {escaped(told.name)}: {escaped(told.text)}"),
            "blocks": [
                {
                    "type": "section",
                    "text": {"type": "mrkdwn", "text": _cut(f"{head}\n{escaped(told.text)}")},
                },
                {"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(foot)}]},
            ],
            "unfurl_links": False,
            "unfurl_media": False,
        }
        return msgspec.json.encode(message)


def escaped(text: str) -> str:
    """`text` as Slack shows it: nothing in it mentions anybody or becomes a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    if len(text) <= _TEXT_CHARS:
        return text
    cut = text[:_TEXT_CHARS]
    # Not in the middle of &amp;: what is left of it would be shown as it is.
    start = cut.rfind("&")
    return (cut[:start] if start > _TEXT_CHARS - 5 and ";" not in cut[start:] else cut) + "…"
