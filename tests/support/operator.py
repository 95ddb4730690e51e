"""Somebody who types commands on a stack."""

import json
from typing import Any

from tests.support.commands import run_here
from tests.support.stack import Stack


class Operator:
    """A person with a token. The first one makes the second."""

    def __init__(self, stack: Stack, name: str, admin: "Operator | None" = None) -> None:
        not_settings = ("PATH", "HOME")
        self.settings = {key: value for key, value in stack.env.items() if key not in not_settings}
        if admin is not None:
            self.settings["PAYOUTS_TOKEN"] = admin.settings["PAYOUTS_TOKEN"]
        token = self.types("people", "add", name, "--role", "admin").strip()
        self.settings["PAYOUTS_TOKEN"] = token.splitlines()[-1]

    def types(self, *words: str, code: int = 0) -> str:
        """What the command said on its standard output."""
        done = run_here(*words, **self.settings)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def refused(self, *words: str) -> str:
        """What the command said, which failed as it should."""
        done = run_here(*words, **self.settings)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def rows(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.types(*words, "--json").splitlines()]
