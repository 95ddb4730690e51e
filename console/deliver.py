"""`payouts deliver`: sign event bodies and post them, as Stripe would."""

import asyncio
import hmac
import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.context import DataOption, data_dir_of
from console.output import err, out, print_table, table
from payouts.errors import PayoutsError
from payouts.secret_source import read_secret

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0


@dataclass(slots=True)
class Answers:
    """What came back: latencies in ms by status, or by the class of error where no answer came."""

    latencies_ms: dict[str, list[float]] = field(default_factory=dict)

    def note(self, answer: str, latency_ms: float) -> None:
        self.latencies_ms.setdefault(answer, []).append(latency_ms)

    @property
    def refused(self) -> int:
        """How many were not acknowledged with a 2xx."""
        return sum(len(times) for answer, times in self.latencies_ms.items() if not answer.startswith("2"))


def deliver(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One event body a line.")],
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="The endpoint; else that of `payouts up`.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            metavar="S", help="Signs with this; else the folder's, else STRIPE_WEBHOOK_SECRET's first."
        ),
    ] = None,
    times: Annotated[int, typer.Option(min=1, metavar="N", help="The whole file so many times.")] = 1,
    shuffle: Annotated[
        int | None, typer.Option(metavar="SEED", help="In an order drawn by this number.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, metavar="N", help="So many at once.")] = 16,
    data: DataOption = None,
) -> None:
    """Sign and post the events in FILE, and show how they were answered."""
    bodies = read_bodies(file) * times
    if shuffle is not None:
        random.Random(shuffle).shuffle(bodies)
    url, key = _where(to, secret, data)
    began = time.perf_counter()
    answers = asyncio.run(_deliver(url, bodies, key, concurrency))
    _report(answers, len(bodies), time.perf_counter() - began)
    if answers.refused:
        raise typer.Exit(1)


def read_bodies(file: Path) -> list[bytes]:
    """The bodies in `file`, one a line, as they are. Raises PayoutsError naming a line that is not JSON."""
    bodies = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            json.loads(line)
        except ValueError as error:
            raise PayoutsError(f"{file}, line {number}: not JSON ({error}); nothing was sent") from None
        bodies.append(line)
    if not bodies:
        raise PayoutsError(f"{file} has no events in it")
    return bodies


def sign(body: bytes, secret: str) -> str:
    """The value of a `Stripe-Signature` header for `body`, made now."""
    stamp = str(int(time.time()))
    return f"t={stamp},v1={hmac.digest(secret.encode(), stamp.encode() + b'.' + body, 'sha256').hex()}"


async def _deliver(url: str, bodies: Sequence[bytes], secret: str, concurrency: int) -> Answers:
    import httpx
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    answers, waiting = Answers(), iter(bodies)
    columns = (TextColumn("delivering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    with Progress(*columns, console=err(), transient=True) as progress:
        task = progress.add_task("", total=len(bodies))
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits) as client,
            asyncio.TaskGroup() as group,
        ):

            async def sender(share: Iterator[bytes]) -> None:
                for body in share:
                    await _send(client, url, body, secret, answers)
                    progress.advance(task)

            for _ in range(min(concurrency, len(bodies))):
                group.create_task(sender(waiting))
    return answers


async def _send(client: "httpx.AsyncClient", url: str, body: bytes, secret: str, answers: Answers) -> None:
    import httpx

    headers = {"Stripe-Signature": sign(body, secret), "Content-Type": "application/json; charset=utf-8"}
    began = time.perf_counter()
    try:
        answer = str((await client.post(url, content=body, headers=headers)).status_code)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        answer = type(error).__name__
    answers.note(answer, (time.perf_counter() - began) * 1000)


def _report(answers: Answers, count: int, took_s: float) -> None:
    rows = []
    for answer, times in sorted(answers.latencies_ms.items()):
        times.sort()
        marks = [times[int((len(times) - 1) * part)] for part in (0.5, 0.95, 0.99, 1)]
        rows.append((answer, len(times), *(f"{mark:.1f}" for mark in marks)))
    print_table(table(("answer", "deliveries", "p50 ms", "p95 ms", "p99 ms", "max ms"), rows))
    out().print(f"{count} deliveries in {took_s:.1f} s, {count / took_s:.0f}/s")
    if answers.refused:
        err().print(f"{answers.refused} were not acknowledged", style="red")


def _where(to: str | None, secret: str | None, data: Path | None) -> tuple[str, str]:
    """The address and the secret: as given, else those of the folder's `payouts up`."""
    folder = data_dir_of(data)
    own = folder is not None and (to is None or data is not None)
    if to is None:
        if folder is None:
            raise PayoutsError(
                "say where with --to, or name the folder of a running `payouts up` with --data"
            )
        to = folder.address()
    if not secret and not own:
        secret = os.environ.get("STRIPE_WEBHOOK_SECRET")
        kept = os.environ.get("STRIPE_WEBHOOK_SECRET_FILE")
        secret = secret or (read_secret(Path(kept)) if kept else None)
    if not secret and folder is not None and (own or folder.is_made):
        # Before the environment's, where the folder is meant: that may be another service's.
        secret = folder.read()["webhook_secret"]
    if not secret:
        raise PayoutsError(
            "no secret to sign with: give --secret, or the folder of a `payouts up` with --data"
        )
    return to, secret.split(",")[0].strip()
