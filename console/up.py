"""`payouts up`: receiver, worker and scheduler on one machine with nothing else set up."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from console.data_dir import DEFAULT, DataDir, free_port, is_free
from console.feed import Feed
from console.local_people import admit_operators
from console.local_redis import redis_child, wait_for_redis
from console.output import out
from console.supervisor import Child, Supervisor
from payouts.errors import PayoutsError
from payouts.stopping import StopSignal

WEBHOOK_PATH = "/api/webhooks/stripe"
SERVING_WITHIN_S = 20.0


def up(
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Keeps everything in this folder.")
    ] = DEFAULT,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: any free one.")] = 8080,
) -> None:
    """Start everything here, and show live what comes in and what came of it. Ctrl-C stops it."""
    os.umask(0o077)  # what is kept here is for its owner alone
    folder = DataDir(data)
    with folder.lock(), folder.lock_for_children() as children:
        folder.make()
        if port and not is_free(port):
            raise PayoutsError(f"port {port} is taken: choose another with --port (0 takes any free one)")
        port = port or free_port()
        stop = StopSignal((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        feed = Feed(out())
        supervisor = Supervisor(feed.line, [children.fileno()])
        try:
            _start(supervisor, folder, port)
            url = f"http://127.0.0.1:{port}{WEBHOOK_PATH}"
            folder.set_address(url)
            _welcome(folder, url)
            while not stop.wait(0.5):
                supervisor.watch()
                feed.tick()
            out().print("stopping; what was accepted is kept …", style="dim")
        finally:
            supervisor.stop()
            folder.set_address(None)
    out().print("stopped")


def _start(supervisor: Supervisor, folder: DataDir, port: int) -> None:
    from payouts.bootstrap import open_engine
    from payouts.settings import load_settings
    from payouts.storage import migrate

    redis = redis_child(folder)
    supervisor.start(redis)
    environment = folder.environment()
    wait_for_redis(redis, environment["REDIS_URL"])
    engine = open_engine(load_settings(**{name.lower(): value for name, value in environment.items()}))
    migrate.upgrade(engine)
    admit_operators(folder, engine)
    engine.dispose()
    environment = {
        **redis.environment,
        **environment,
        "RECEIVER_HOST": "127.0.0.1",
        "RECEIVER_PORT": str(port),
        "NOTICE_FOLDER": str(folder.path.resolve() / "notices"),
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
        "LOG_EVENTS": "true",
        "PYTHONUNBUFFERED": "1",
    }
    for name, module in (
        ("scheduler", ["workers", "scheduler"]),
        ("worker", ["workers", "worker"]),
        ("receiver", ["webhooks"]),
    ):
        supervisor.start(Child(name, [sys.executable, "-m", *module], environment))
    _wait_until_serving(supervisor, port)


def _wait_until_serving(supervisor: Supervisor, port: int) -> None:
    deadline = time.monotonic() + SERVING_WITHIN_S
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        supervisor.watch()
        if time.monotonic() > deadline:
            raise PayoutsError(f"the receiver did not listen on port {port} within {SERVING_WITHIN_S:.0f} s")
        time.sleep(0.05)


def _welcome(folder: DataDir, url: str) -> None:
    command = "payouts" if shutil.which("payouts") else os.path.relpath(sys.argv[0])
    where = "" if folder.path == DEFAULT else f" --data {folder.path}"
    screen = out()
    screen.print(f"\nlistening at [bold]{url}[/bold]  (kept in {folder.path}/)", soft_wrap=True)
    for line in (
        "in a second terminal:",
        f"  {command} deliver FILE{where}   (signs the events in FILE and sends them)",
        f"  {command} payout list{where}    (shows what came of them)",
    ):
        screen.print(line, style="dim", soft_wrap=True)
    screen.print("Ctrl-C stops everything; the next start goes on where it was.\n", style="dim")
