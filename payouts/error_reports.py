"""Error reports: what a process logs as an error, and what it dies of, to Sentry. Off without SENTRY_DSN.

A report says what failed, where in the code, and by which ids to find it here. It never carries a secret, a
payload or what says who somebody is: only fields of a closed list are sent, texts are cleaned, and neither
local variables, nor requests, nor the lines logged before go with it.
"""

import atexit
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from payouts.cleaning import Secrets, cleaned
from payouts.redaction import REDACTED
from payouts.settings import Settings
from payouts.troubles import Troubles
from payouts.version import VERSION

FIELDS = frozenset(
    {
        *("event_id", "inbox_id", "object_id", "payout_id", "request_id", "replay_id", "walk_id"),
        *("type", "status", "job", "store", "role", "crash", "attempt", "error_class", "logger"),
    }
)
"""Fields of a log line that go with a report. All else stays here."""
TEXT_MOST = 500
FLUSH_WITHIN_S = 2.0
_KEPT = (
    *("event_id", "timestamp", "platform", "level", "logger", "release", "environment", "server_name"),
    "tags",
)
_FRAME = ("filename", "function", "module", "lineno", "abs_path", "in_app")
_NUMBER = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b|\b\d(?:[ -]?\d){7,}\b")
"""IBANs, and numbers of eight digits or more: accounts, cards, telephones."""
_DATA = re.compile(r"[\[{(]\s*['\"].*", re.DOTALL)
"""Where an object's text begins: what an error quotes of a payload."""


def open_troubles(settings: Settings, role: str) -> Troubles:
    """What counts the errors of this process, and reports them where SENTRY_DSN is set."""
    dsn = settings.sentry_dsn.get_secret_value()
    if not dsn:
        return Troubles()
    return Troubles(_Sentry(dsn, role, settings.environment, Cleaner(Secrets(settings).known)).report)


class Cleaner:
    """Takes out of an event of Sentry's what must not leave. What it does not know, it drops."""

    def __init__(self, secrets: Callable[[], Iterable[str]]) -> None:
        """`secrets`: those that this process has had until now."""
        self._secrets = secrets

    def text(self, text: str) -> str:
        """`text` without secrets, e-mail addresses, long numbers and quoted objects; cut at TEXT_MOST."""
        text = _DATA.sub(REDACTED, cleaned(text, self._secrets()))
        return _NUMBER.sub(REDACTED, text)[:TEXT_MOST]

    def event(self, event: Mapping[str, Any], _: Any = None) -> dict[str, Any]:
        """What may be sent of `event`."""
        kept = {name: event[name] for name in _KEPT if name in event}
        kept["tags"] = {name: self._field(value) for name, value in (event.get("tags") or {}).items()}
        extra = event.get("extra") or {}
        kept["extra"] = {name: self._field(extra[name]) for name in FIELDS if extra.get(name) is not None}
        if event.get("message"):
            kept["message"] = self.text(str(event["message"]))
        if event.get("fingerprint"):
            kept["fingerprint"] = [self.text(str(each)) for each in event["fingerprint"]]
        raised = (event.get("exception") or {}).get("values")
        if raised:
            kept["exception"] = {"values": [self._raised(each) for each in raised]}
        return kept

    def _raised(self, raised: Mapping[str, Any]) -> dict[str, Any]:
        frames = ((raised.get("stacktrace") or {}).get("frames")) or []
        return {
            "type": raised.get("type"),
            "module": raised.get("module"),
            "value": self.text(str(raised.get("value") or "")),
            "stacktrace": {"frames": [{n: each[n] for n in _FRAME if n in each} for each in frames]},
        }

    def _field(self, value: Any) -> Any:
        return value if isinstance(value, int | float) else self.text(str(value))


class _Sentry:
    def __init__(self, dsn: str, role: str, environment: str, cleaner: Cleaner) -> None:
        import sentry_sdk
        from sentry_sdk.integrations.dedupe import DedupeIntegration
        from sentry_sdk.integrations.excepthook import ExcepthookIntegration
        from sentry_sdk.integrations.threading import ThreadingIntegration

        self._sdk = sentry_sdk
        sentry_sdk.init(
            dsn,
            release=f"payouts@{VERSION}",
            environment=environment,
            send_default_pii=False,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[ExcepthookIntegration(), ThreadingIntegration(), DedupeIntegration()],
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            max_request_body_size="never",
            auto_session_tracking=False,
            before_send=lambda event, hint: cleaner.event(event, hint),  # type: ignore[arg-type, return-value]
        )
        sentry_sdk.set_tag("role", role)
        atexit.register(sentry_sdk.flush, FLUSH_WITHIN_S)  # what it died of is on its way then

    def report(self, event: str, fields: Mapping[str, Any], error: BaseException | None) -> None:
        """Report an error that was logged; sent by a thread of the SDK's own."""
        with self._sdk.new_scope() as scope:
            scope.set_tag("event", event)
            for name in FIELDS & fields.keys():
                scope.set_extra(name, fields[name])
            if error is None:
                # Many lines of one event are one trouble.
                scope.fingerprint = [event]
                scope.capture_message(event, level="error")
            else:
                scope.capture_exception(error)
