"""`payouts up`: the whole service on one machine with nothing else set up, and a Stripe to try it on."""

import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from console.context import over
from console.data_dir import DEFAULT, DataDir, free_port, is_free
from console.demo import demo_command
from console.feed import Feed
from console.local_people import admit_operators, console_token
from console.local_redis import redis_child, wait_for_redis
from console.local_stripe import prepare_endpoints, stripe_child
from console.output import out
from console.supervisor import Child, Supervisor
from console.typed import typed
from payouts.errors import PayoutsError
from payouts.stopping import StopSignal

WEBHOOK_PATH = "/api/webhooks/stripe"
API_PORT, CONSOLE_PORT = 8081, 8082
SERVING_WITHIN_S = 20.0


def up(
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Keeps everything in this folder.")
    ] = DEFAULT,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: any free one.")] = 8080,
    demo: Annotated[
        bool, typer.Option("--demo", help="Then pay a made-up partner, each step as a command.")
    ] = False,
) -> None:
    """Start everything here, and show live what comes in and what came of it. Ctrl-C stops it."""
    os.umask(0o077)  # what is kept here is for its owner alone
    folder = DataDir(data)
    with folder.lock(), folder.lock_for_children() as children:
        folder.make()
        if port and not is_free(port):
            raise PayoutsError(
                f"port {port} is taken: choose another with --port (`make run PORT=9090`); 0: any free one"
            )
        port = port or free_port()
        stop = StopSignal((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        feed = Feed(out())
        supervisor = Supervisor(feed.line, [children.fileno()])
        try:
            url = f"http://127.0.0.1:{port}{WEBHOOK_PATH}"
            ports = Ports(
                port, *(usual if is_free(usual) else free_port() for usual in (API_PORT, CONSOLE_PORT))
            )
            practises = demo and not os.environ.get("STRIPE_API_KEY")
            token = _start(supervisor, folder, ports, url, practises=practises)
            console = f"http://127.0.0.1:{ports.console}"
            folder.set_address(url, f"http://127.0.0.1:{ports.api}", console, practises=practises)
            _welcome(folder, url, ports, token)
            if demo:
                supervisor.start_once(Child("demo", demo_command(folder), dict(os.environ)))
            while not stop.wait(0.5):
                supervisor.watch()
                feed.tick()
            out().print("stopping; what was accepted is kept …", style="dim")
        finally:
            supervisor.stop()
            folder.set_address(None)
    out().print("stopped")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the servers of one folder listen."""

    receiver: int
    api: int
    console: int


def _start(supervisor: Supervisor, folder: DataDir, ports: Ports, url: str, *, practises: bool) -> str | None:
    """Start all of it. The token for the console, where this is the folder's first start."""
    from payouts.settings import load_settings
    from payouts.storage import migrate
    from payouts.stores import open_engine

    redis = redis_child(folder)
    supervisor.start(redis)
    if not os.environ.get("STRIPE_API_KEY"):
        stripe = stripe_child(folder)
        supervisor.start(stripe)
        prepare_endpoints(folder, stripe, url)
    environment = folder.environment()
    wait_for_redis(redis, environment["REDIS_URL"])
    engine = open_engine(load_settings(**{name.lower(): value for name, value in environment.items()}))
    migrate.upgrade(engine)
    admit_operators(folder, engine)
    token = console_token(folder, engine)
    engine.dispose()
    environment = {
        **over(redis.environment, environment),
        "RECEIVER_HOST": "127.0.0.1",
        "RECEIVER_PORT": str(ports.receiver),
        "API_HOST": "127.0.0.1",
        "API_PORT": str(ports.api),
        "CONSOLE_HOST": "127.0.0.1",
        "CONSOLE_PORT": str(ports.console),
        # For trying: what must cool off for a day in production can be paid to at once here.
        "BANK_COOLING_OFF_HOURS": os.environ.get("BANK_COOLING_OFF_HOURS", "0"),
        "NOTICE_FOLDER": str(folder.path.resolve() / "notices"),
        "EMAIL_FOLDER": str(folder.path.resolve() / "mail"),
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
        "LOG_EVENTS": "true",
        **({"PRACTICE_FAILURE": "true"} if practises else {}),
        "PYTHONUNBUFFERED": "1",
    }
    first = os.environ.get("METRICS_PORT", "0")
    for number, (name, module) in enumerate(
        (
            ("scheduler", ["workers", "scheduler"]),
            ("worker", ["workers", "worker"]),
            ("api", ["api"]),
            ("console", ["console.web"]),
            ("receiver", ["webhooks"]),
        )
    ):
        own = metrics_port(first, number)
        supervisor.start(Child(name, [sys.executable, "-m", *module], {**environment, **own}))
    for name, port in (("receiver", ports.receiver), ("console", ports.console)):
        _wait_until_serving(supervisor, name, port)
    return token


def _wait_until_serving(supervisor: Supervisor, name: str, port: int) -> None:
    deadline = time.monotonic() + SERVING_WITHIN_S
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        supervisor.watch()
        if time.monotonic() > deadline:
            raise PayoutsError(f"the {name} did not listen on port {port} within {SERVING_WITHIN_S:.0f} s")
        time.sleep(0.05)


def metrics_port(first: str, number: int) -> dict[str, str]:
    """Where process `number` serves its metrics: a port of its own each, from METRICS_PORT on."""
    return {"METRICS_PORT": str(int(first) + number)} if first.isdigit() and first != "0" else {}


def _welcome(folder: DataDir, url: str, ports: Ports, token: str | None) -> None:
    screen = out()
    screen.print(f"\nthe console: [bold]http://127.0.0.1:{ports.console}[/bold]", soft_wrap=True)
    if token is not None:
        screen.print(f"  sign in with this token, shown this once: [bold]{token}[/bold]", soft_wrap=True)
        folder.note_console_token()
    else:
        again = typed(["token", "create", "browser", "--person", "operator-1"], folder)
        screen.print(f"  sign in with the token of the first start; another: {again}", soft_wrap=True)
    screen.print(f"listening at [bold]{url}[/bold]  (kept in {folder.path}/)", soft_wrap=True)
    if not os.environ.get("STRIPE_API_KEY"):
        base = f"http://127.0.0.1:{folder.read()['stripe']['port']}"
        screen.print(f"the portal's API at http://127.0.0.1:{ports.api}/api/v1", soft_wrap=True)
        screen.print(f"a sandbox stands for Stripe at {base}", soft_wrap=True)
    for line in (
        "in a second terminal:",
        f"  {typed(['demo'], folder)}   (registers a partner and pays it, step by step)",
        f"  {typed(['deliver', 'FILE'], folder)}   (signs the events in FILE and sends them)",
        f"  {typed(['payout', 'list'], folder)}    (shows what came of them)",
    ):
        screen.print(line, style="dim", soft_wrap=True)
    screen.print("Ctrl-C stops everything; the next start goes on where it was.\n", style="dim")
