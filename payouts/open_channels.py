"""The channels that the settings name, and which notices go by which; nothing connects yet."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from payouts import portal_event
from payouts.alerts import OPERATORS
from payouts.channels import pagerduty
from payouts.channels.email import CHANNEL as EMAIL
from payouts.channels.email import MAX_ATTEMPTS as EMAIL_ATTEMPTS
from payouts.channels.email import EmailChannel, Postman
from payouts.channels.folder import FolderChannel
from payouts.channels.line import Line
from payouts.channels.log import LogChannel
from payouts.channels.mail_folder import MailFolder
from payouts.channels.pagerduty import PagerDutyChannel
from payouts.channels.portal import PortalChannel
from payouts.channels.resend_postman import ResendPostman
from payouts.channels.slack import SlackChannel
from payouts.clock import Clock, now_ms
from payouts.ids import IdMaker
from payouts.letters import letter
from payouts.letters.rendering import House, Renderer
from payouts.mail_addresses import Addresses
from payouts.notices import Channel, Route
from payouts.secret_source import Derived
from payouts.settings import Settings, listed

MAX_ATTEMPTS = {EMAIL: EMAIL_ATTEMPTS}
"""Of channels that give up before NOTICE_MAX_ATTEMPTS."""
_NAMES = {
    EMAIL: letter.NAMES,
    "slack": OPERATORS,
    "pagerduty": pagerduty.NAMES,
    "portal": portal_event.NAMES,
}
"""What each channel takes; a channel that is not listed takes all."""


def open_channels(settings: Settings, engine: Engine, clock: Clock = now_ms) -> dict[str, Channel]:
    """The channels by name."""
    channels: dict[str, Channel] = {"log": LogChannel()}
    if settings.notice_folder:
        channels["folder"] = FolderChannel(Path(settings.notice_folder))
    postman = _postman(settings)
    if postman is not None:
        house = House(settings.portal_name, settings.portal_url)
        addresses = Addresses(engine, IdMaker(clock), clock)
        channels[EMAIL] = EmailChannel(postman, addresses, Renderer(house))
    timeout_s = settings.channel_timeout_s
    if settings.slack_warning_url.get_secret_value():
        warnings = settings.source("slack_warning_url").read
        has_two = bool(settings.slack_critical_url.get_secret_value())
        critical = settings.source("slack_critical_url").read if has_two else warnings
        lines = (Line("Slack", warnings, timeout_s), Line("Slack", critical, timeout_s))
        channels["slack"] = SlackChannel(*lines, settings.environment)
    if settings.pagerduty_routing_key.get_secret_value():
        address = settings.pagerduty_api_base.rstrip("/") + pagerduty.PATH
        line = Line("PagerDuty", lambda: address, timeout_s)
        key = settings.source("pagerduty_routing_key").read
        channels["pagerduty"] = PagerDutyChannel(line, key, f"payouts {settings.environment}")
    if settings.portal_webhook_url:
        line = Line("the portal", lambda: settings.portal_webhook_url, timeout_s)
        secrets = Derived((settings.source("portal_webhook_secret"),), listed)
        channels["portal"] = PortalChannel(line, secrets.get, clock)
    return channels


def routes_of(channels: Sequence[str]) -> list[Route]:
    """Which notices each of these channels takes."""
    return [Route(channel, names) for channel in channels for names in _NAMES.get(channel, ("*",))]


def _postman(settings: Settings) -> Postman | None:
    if settings.resend_api_key.get_secret_value():
        return ResendPostman(
            *(
                settings.source("resend_api_key").read,
                settings.resend_api_base.rstrip("/"),
                settings.email_from,
                settings.email_reply_to,
            ),
            settings.channel_timeout_s,
        )
    if settings.email_folder:
        return MailFolder(Path(settings.email_folder), settings.email_from or "payouts@localhost")
    return None
