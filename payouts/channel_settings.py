"""What speaks against the settings of the channels: said at the start, not at the first notice. Pure."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from payouts.safe_url import is_safe

if TYPE_CHECKING:
    from payouts.settings import Settings

_SENDER = re.compile(r"(?:[^<>@]*<[^@\s<>]+@[^@\s<>]+>|[^@\s<>]+@[^@\s<>]+)")
SECRET_BYTES_LEAST = 16


def channel_faults(settings: "Settings") -> Iterator[str]:
    """What is wrong, each as a line that says what to set. No line holds a secret, nor an address that is
    one."""
    yield from _mail_faults(settings)
    addresses = {
        "PAGERDUTY_API_BASE": settings.pagerduty_api_base,
        "PORTAL_WEBHOOK_URL": settings.portal_webhook_url,
        "RESEND_API_BASE": settings.resend_api_base,
        "PORTAL_URL": settings.portal_url,
    }
    for name, url in addresses.items():
        if url and not is_safe(url):
            yield _unsafe(name)
    secrets = {
        "SLACK_WARNING_URL": settings.slack_warning_url,
        "SLACK_CRITICAL_URL": settings.slack_critical_url,
        "PORTAL_WEBHOOK_SECRET": settings.portal_webhook_secret,
        "RESEND_WEBHOOK_SECRET": settings.resend_webhook_secret,
    }
    for name, secret in secrets.items():
        fault = secret_fault(name, secret.get_secret_value())
        if fault is not None:
            yield fault
    if settings.slack_critical_url.get_secret_value() and not settings.slack_warning_url.get_secret_value():
        yield "SLACK_WARNING_URL must be set with SLACK_CRITICAL_URL: it may be the same address"
    if bool(settings.portal_webhook_url) != bool(settings.portal_secrets):
        yield "PORTAL_WEBHOOK_URL and PORTAL_WEBHOOK_SECRET must be set together, or neither of them"


def secret_fault(name: str, value: str) -> str | None:
    """What is wrong with the value of this setting, a secret; None: nothing, or it is empty. Asked at the
    start, and whenever its file changes."""
    if not value:
        return None
    if name in ("SLACK_WARNING_URL", "SLACK_CRITICAL_URL") and not is_safe(value):
        return _unsafe(name)
    if name in ("PORTAL_WEBHOOK_SECRET", "RESEND_WEBHOOK_SECRET"):
        entries = [part.strip() for part in value.split(",") if part.strip()]
        if not entries or not all(map(_is_secret, entries)):
            return (
                f"{name} has an entry that is no whsec_… with at least {SECRET_BYTES_LEAST} bytes in base64"
            )
    return None


def _unsafe(name: str) -> str:
    return f"{name} must be an https:// address without a password; http:// is for this very machine"


def _mail_faults(settings: "Settings") -> Iterator[str]:
    if settings.resend_api_key.get_secret_value() and not settings.email_from:
        yield "EMAIL_FROM must be set with RESEND_API_KEY, as Payouts <payouts@example.com>"
    for name, text in (("EMAIL_FROM", settings.email_from), ("EMAIL_REPLY_TO", settings.email_reply_to)):
        if text and not (text.isprintable() and _SENDER.fullmatch(text)):
            yield f"{name} reads as no e-mail address: write it as Payouts <payouts@example.com>"


def _is_secret(text: str) -> bool:
    try:
        key = base64.b64decode(text.removeprefix("whsec_") + "==", validate=False)
    except (binascii.Error, ValueError):
        return False
    return text.startswith("whsec_") and len(key) >= SECRET_BYTES_LEAST
