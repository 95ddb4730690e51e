"""dj-stripe beside this receiver: the same events, the same MariaDB, each on the same core.

It needs a Python of its own, for its stripe is older: `python3.11 -m venv peer`, then `peer/bin/pip install
dj-stripe gunicorn pymysql`, then `python -m bench.peers peer/bin`. dj-stripe asks Stripe for the object of
each event while Stripe waits for the answer; here a server on this machine answers that at once, so what is
measured is the best that can be had of it.
"""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import httpx

from bench.bed import SERVICE_CORE, Bed, pause
from bench.events import SECRET
from tests.support.servers import free_port, wait_until

PROJECT = Path(__file__).with_name("djstripe_project.py")
ROUNDS = 3
SECONDS = 4
MOST_PER_S = {"dj-stripe": 1_000, "service": 20_000}
THREADS = 8
ACCOUNT = {"object": "account", "type": "custom", "created": 1_790_000_000, "charges_enabled": True}
PAYOUT = {
    "object": "payout",
    "amount": 1,
    "arrival_date": 1_790_100_000,
    "automatic": False,
    "created": 1_790_000_000,
    "currency": "eur",
    "livemode": False,
    "metadata": {},
    "method": "standard",
    "source_type": "card",
    "status": "paid",
    "type": "bank_account",
    **dict.fromkeys(("balance_transaction", "destination", "failure_balance_transaction", "failure_code")),
    **dict.fromkeys(("failure_message", "original_payout", "reversed_by", "description")),
}


class Stripe(BaseHTTPRequestHandler):
    """Whatever is asked for is there, at once."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        Stripe.asked += 1
        _, _, kind, *rest = urlsplit(self.path).path.split("/")
        account = self.headers.get("Stripe-Account") or (rest[0] if rest else "acct_platform")
        found = {**PAYOUT, "id": rest[0]} if kind == "payouts" else {**ACCOUNT, "id": account}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def prepare(bed: Bed, programs: Path, stripe_base: str) -> dict[str, str]:
    """Make the tables of dj-stripe in a database of its own; the environment that it runs in."""
    database = urlsplit(bed.sql.new_database())
    env = {
        **os.environ,
        "DATABASE_PORT": str(database.port),
        "DATABASE_NAME": database.path[1:],
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_BASE": stripe_base,
    }
    subprocess.run([programs / "python", PROJECT.name], env=env, cwd=PROJECT.parent, check=True)
    return env


def serve_djstripe(bed: Bed, programs: Path, env: dict[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """dj-stripe, and its port once it answers."""
    port = free_port()
    command = [
        *(
            "taskset",
            "-c",
            str(SERVICE_CORE),
            programs / "gunicorn",
            "-k",
            "gthread",
            "--threads",
            str(THREADS),
        ),
        *("-b", f"127.0.0.1:{port}", "djstripe_project:application"),
    ]
    with (bed.folder / "peer.log").open("ab") as log:
        process = subprocess.Popen(command, env=env, cwd=PROJECT.parent, stdout=log, stderr=log)
    bed.processes.append(process)

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/", timeout=2).status_code == 404
        except httpx.HTTPError:
            return False

    wait_until("dj-stripe answers", answers, 60)
    return process, port


def main(programs: Path) -> None:
    stripe = ThreadingHTTPServer(("127.0.0.1", 0), Stripe)
    threading.Thread(target=stripe.serve_forever, daemon=True).start()
    rates: dict[str, list[float]] = {"dj-stripe": [], "service": []}
    with Bed() as bed:
        env = prepare(bed, programs, f"http://127.0.0.1:{stripe.server_port}")
        for _ in range(ROUNDS):
            for name, of in rates.items():
                if name == "service":
                    process, port = bed.serve("webhooks")
                else:
                    process, port = serve_djstripe(bed, programs, env)
                of.append(bed.wrk(port, 16, SECONDS, MOST_PER_S[name]))
                bed.end(process)
                pause()
    for name, of in rates.items():
        print(
            f"{name}: {median(of):,.0f} acknowledged/s, 16 connections ({', '.join(f'{r:,.0f}' for r in of)})"
        )
    ratio = median(rates["service"]) / median(rates["dj-stripe"])
    print(f"ratio {ratio:.1f}; dj-stripe asked Stripe {Stripe.asked} times")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
