"""`payouts demo`: a partner is registered, credited and paid, by the commands that an operator would type."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from console.context import data_dir_of
from console.data_dir import DEFAULT, DataDir
from console.output import out
from payouts.errors import PayoutsError
from payouts.money import parse_money

AMOUNT = "120.50"
WITHIN_S = 60.0
FUNDED = "10000.00"


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
    folder.address()
    Story(folder, f"http://127.0.0.1:{kept['port']}").tell()


class Story:
    """The steps, each a command of its own whose output is shown."""

    def __init__(self, folder: DataDir, stripe_url: str) -> None:
        self._folder = folder
        self._stripe = httpx.Client(base_url=f"{stripe_url}/_sandbox", timeout=10)
        self._where = [] if folder.path == DEFAULT else ["--data", str(folder.path)]

    def tell(self) -> None:
        """Run all steps. PayoutsError where one of them does not do what it says."""
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
        asked = self._json("payout", "request", partner, "--all", "--reference", f"payout of {partner}")
        request_id = str(asked[0]["payout"])
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

    def _at_stripe(self) -> str:
        self._say("at Stripe (the sandbox): the platform's balance is filled up, a partner opens an account")
        self._ask("/top_up", {"currency": "eur", "amount_minor": parse_money(FUNDED, "eur")})
        made = self._ask("/accounts", {"country": "DE", "currency": "eur"})
        return str(made["id"])

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._stripe.post(path, json=body).raise_for_status()
        except httpx.HTTPError as error:
            raise PayoutsError(f"the sandbox does not answer: {error}") from None
        made: dict[str, Any] = answer.json()
        return made

    def _run(self, *words: str) -> str:
        out().print(f"\n$ payouts {_typed(words)}", style="bold", markup=False, soft_wrap=True)
        said = self._output(*words)
        out().print(said.rstrip(), markup=False, highlight=False, soft_wrap=True)
        return said

    def _json(self, *words: str) -> list[dict[str, Any]]:
        out().print(f"\n$ payouts {_typed(words)}", style="bold", markup=False, soft_wrap=True)
        return [json.loads(line) for line in self._output(*words, "--json").splitlines()]

    def _output(self, *words: str) -> str:
        command = [sys.executable, "-m", "console.main", *words, "--data", str(self._folder.path)]
        environment = {**os.environ, "COLUMNS": "150"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603 - our own command
        if done.returncode:
            raise PayoutsError(f"`payouts {_typed(words)}` failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def _wait(self, words: list[str], name: str, wanted: str, text: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while (found := self._value(words, name)) != wanted:
            if time.monotonic() > deadline:
                raise PayoutsError(f"`payouts {_typed(words)}` still says {name} {found}, not {wanted}")
            time.sleep(0.3)
        self._say(f"{name}: {wanted} ({text})")

    def _value(self, words: list[str], name: str) -> Any:
        found = json.loads(self._output(*words, "--json").splitlines()[0])
        return found.get("request", found).get(name)

    def _say(self, text: str) -> None:
        out().print(f"\n— {text}", style="dim", markup=False, soft_wrap=True)


def _typed(words: "tuple[str, ...] | list[str]") -> str:
    return " ".join(f"'{word}'" if " " in word else word for word in words)
