"""Where the receiver listens."""

from starlette.applications import Starlette

from payouts.settings import Settings
from serving import server
from serving.server import Door

DRAIN_WITHIN_S = 10


def serve(app: Starlette, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was begun, for at most 10 s."""
    most = settings.receiver_max_connections
    server.serve(app, Door(settings.receiver_host, settings.receiver_port, most, DRAIN_WITHIN_S))
