"""Where the API listens."""

from starlette.applications import Starlette

from payouts.settings import Settings
from serving import server
from serving.server import Door

MOST_CONNECTIONS = 1024
DRAIN_WITHIN_S = 25
"""Longer than any answer takes, so that none is broken off."""


def serve(app: Starlette, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was begun, for at most 25 s."""
    server.serve(app, Door(settings.api_host, settings.api_port, MOST_CONNECTIONS, DRAIN_WITHIN_S))
