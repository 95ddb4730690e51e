"""Serves the API with uvicorn, with every limit named."""

import signal
import sys

import uvicorn
from starlette.applications import Starlette

from payouts.settings import Settings

MOST_CONNECTIONS = 1024
KEEP_ALIVE_S = 75
DRAIN_WITHIN_S = 25
"""Longer than any answer takes, so that none is broken off."""


def serve(app: Starlette, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was begun, for at most 25 s."""
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_WITHIN_S,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal that stopped it once more when all is done: the end, not a failure.
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.Server(config).run()
