"""Where the console listens."""

from starlette.applications import Starlette

from payouts.settings import Settings
from serving import server
from serving.server import Door

MOST_CONNECTIONS = 1024
"""Of which each open page holds one."""
DRAIN_WITHIN_S = 10


def serve(app: Starlette, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was begun, for at most 10 s."""
    server.serve(app, Door(settings.console_host, settings.console_port, MOST_CONNECTIONS, DRAIN_WITHIN_S))


def address_of(settings: Settings) -> str:
    """Where people reach it."""
    return settings.console_url or f"http://{settings.console_host}:{settings.console_port}"
