"""`payouts demo`: a partner is registered, credited and paid, by the commands that an operator would type.

Then one event dies on purpose, for whoever looks on to find it and replay it.
"""

import io
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from console.context import data_dir_of
from console.data_dir import DEFAULT, DataDir
from console.output import out
from console.typed import typed
from payouts.errors import PayoutsError
from payouts.money import parse_money
from payouts.states import EventStatus, PayoutStatus

AMOUNT = "120.50"
PRACTICE_AMOUNT = "79.90"
WITHIN_S = 60.0
FUNDED = "10000.00"
COLUMNS = "150"

Rows = list[dict[str, Any]]
"""What a command says with --json."""


def demo_command(folder: DataDir) -> list[str]:
    """How to start the demonstration as a process."""
    return [sys.executable, "-m", "console.main", "demo", "--data", str(folder.path)]


def demo(
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="The folder of a running `payouts up`.")
    ] = DEFAULT,
) -> None:
    """Pay a made-up partner through the sandbox, step by step. Only on a running `payouts up`."""
    folder = data_dir_of(data)
    kept = folder.read().get("stripe") if folder else None
    if folder is None or not kept:
        raise PayoutsError(f"{data} has no sandbox: start `payouts up --data {data}` without STRIPE_API_KEY")
    practises = folder.practises()
    os.environ["COLUMNS"] = COLUMNS
    story = Story(folder, f"http://127.0.0.1:{kept['port']}")
    partner = story.tell()
    if practises:
        story.leave_one_dead(partner)


class Story:
    """The steps, each a command whose output is shown."""

    def __init__(self, folder: DataDir, stripe_url: str) -> None:
        import httpx

        self._folder = folder
        self._stripe = httpx.Client(base_url=f"{stripe_url}/_sandbox", timeout=10)

    def tell(self) -> str:
        """Pay a new partner; its reference. PayoutsError where a step does not do what it says."""
        account = self._at_stripe()
        partner = f"demo-{account[-6:].lower()}"
        self._run("ledger", "fund", FUNDED, "eur", "--reference", f"top-up before {partner}")
        named = ["--name", "A Made-up Partner", "--email", f"{partner}@example.com", "--currency", "eur"]
        self._run("partner", "add", partner, account, *named)
        self._run("credit", partner, AMOUNT, "--reference", f"sales of {partner}")
        self._wait(["partner", "show", partner], "state", "ready", "Stripe was asked about the account")
        self._run("partner", "show", partner)
        self._say("a second person approves the new bank account")
        self._run("bank", "approve", partner, "--reason", "checked by phone", "--as", "operator-2")
        request_id = self._request(partner, f"payout of {partner}")
        self._wait(
            ["payout", "show", request_id],
            "status",
            "paid",
            "transferred, paid out, and its events came back",
        )
        self._run("payout", "show", request_id)
        self._run("ledger", "balance", partner)
        self._run("ledger", "check")
        self._say("paid, and the books balance")
        return partner

    def leave_one_dead(self, partner: str) -> None:
        """Have an event of another payout die on purpose, and say what to do about it."""
        from payouts.practice import DESCRIPTOR, TYPE

        self._say(
            "the same once more, but the event that says `paid` dies in the worker: on purpose, for you"
        )
        self._run("credit", partner, PRACTICE_AMOUNT, "--reference", f"later sales of {partner}")
        request_id = self._request(partner, f"second payout of {partner}", "--descriptor", DESCRIPTOR)
        show = ["payout", "show", request_id]
        at_stripe: str = self._until(show, _stripe_id)
        dead = ["dead", "list", "--status", EventStatus.DEAD, "--object", at_stripe]
        group: str = self._until(dead, lambda rows: rows and rows[0]["fingerprint"])
        self._until(show, lambda rows: rows[0]["payouts"][0]["status"] == PayoutStatus.IN_TRANSIT)
        self._run(*show)
        self._say(
            f"Stripe has paid it, but here it stays {PayoutStatus.IN_TRANSIT}, for its {TYPE} is dead. Your "
            "turn: what died, and why, what would a replay change? Then replay it, in the console "
            "(how to sign in stands at the top):"
        )
        out().print(f"  {self._folder.console()}/dead", markup=False, soft_wrap=True)
        self._say("or in a second terminal:")
        turn: list[list[str]] = [
            ["dead", "groups"],
            ["dead", "show", group, "--traceback"],
            ["replay", "start", "--group", group, "--dry-run"],
            ["replay", "start", "--group", group, "--reason", "the bug is mended", "--wait"],
            show,
            ["ledger", "check"],
        ]
        for words in turn:
            out().print(f"  {typed(words, self._folder)}", markup=False, soft_wrap=True)

    def _request(self, partner: str, reference: str, *more: str) -> str:
        asked = self._json("payout", "request", partner, "--all", "--reference", reference, *more)
        return str(asked[0]["payout"])

    def _at_stripe(self) -> str:
        self._say("at Stripe (the sandbox): the platform's balance is filled up, a partner opens an account")
        self._ask("/top_up", {"currency": "eur", "amount_minor": parse_money(FUNDED, "eur")})
        made = self._ask("/accounts", {"country": "DE", "currency": "eur"})
        return str(made["id"])

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        import httpx

        try:
            answer = self._stripe.post(path, json=body).raise_for_status()
        except httpx.HTTPError as error:
            raise PayoutsError(
                f"the sandbox does not answer: {error}; does `payouts up` still run on this folder?"
            ) from None
        made: dict[str, Any] = answer.json()
        return made

    def _run(self, *words: str) -> None:
        self._show(words)
        out().print(self._output(words).rstrip(), markup=False, highlight=False, soft_wrap=True)

    def _json(self, *words: str) -> Rows:
        self._show(words)
        return self._rows(words)

    def _show(self, words: Sequence[str]) -> None:
        out().print(f"\n$ payouts {shlex.join(words)}", style="bold", markup=False, soft_wrap=True)

    def _rows(self, words: Sequence[str]) -> Rows:
        return [json.loads(line) for line in self._output([*words, "--json"]).splitlines()]

    def _output(self, words: Sequence[str]) -> str:
        """What a command says. In this process: a start for each would be most of what the story takes."""
        from console.main import app

        # With bytes behind it, as the real one: JSON goes to those.
        said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        failed = f"`payouts {shlex.join(words)}` failed"
        try:
            with redirect_stdout(said):
                code = app([*words, "--data", str(self._folder.path)], standalone_mode=False)
        except PayoutsError as error:
            raise PayoutsError(f"{failed}: {error}") from None
        said.seek(0)
        if code:
            raise PayoutsError(f"{failed}: {said.read().strip()}")
        return said.read()

    def _wait(self, words: list[str], name: str, wanted: str, text: str) -> None:
        def there(rows: Rows) -> bool:
            return bool(rows[0].get("request", rows[0]).get(name) == wanted)

        self._until(words, there)
        self._say(f"{name}: {wanted} ({text})")

    def _until(self, words: Sequence[str], find: Callable[[Rows], Any]) -> Any:
        """What `find` finds in what the command says, once it does."""
        deadline = time.monotonic() + WITHIN_S
        while not (found := find(rows := self._rows(words))):
            if time.monotonic() > deadline:
                said = json.dumps(rows)[:1000]
                raise PayoutsError(
                    f"`payouts {shlex.join(words)}` still says, after {WITHIN_S:.0f} s: {said}"
                )
            time.sleep(0.3)
        return found

    def _say(self, text: str) -> None:
        out().print(f"\n— {text}", style="dim", markup=False, soft_wrap=True)


def _stripe_id(rows: Rows) -> Any:
    return rows[0]["payouts"] and rows[0]["payouts"][0]["stripe_id"]
