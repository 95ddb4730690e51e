"""The folder of the embedded default: database file, Redis, and the secrets made for it at first."""

import fcntl
import json
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from payouts.errors import PayoutsError

DEFAULT = Path("data")
CHILDREN_END_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class DataDir:
    """A folder with `settings.json`, which only its owner can read."""

    path: Path

    @property
    def is_made(self) -> bool:
        return self._file.exists()

    def make(self) -> None:
        """Make the folder's secrets, unless they are there. Only under `lock`: they are made once."""
        if not self.is_made:
            kept = {
                "webhook_secret": "whsec_" + secrets.token_hex(24),
                "redis_password": secrets.token_hex(16),
            }
            self._write(self._file, {**kept, "redis_port": free_port()})

    def read(self) -> dict[str, Any]:
        """What `settings.json` holds. Raises PayoutsError where there is none."""
        try:
            kept: dict[str, Any] = json.loads(self._file.read_text())
        except FileNotFoundError:
            raise PayoutsError(
                f"{self.path} has no settings.json: start `payouts up --data {self.path}` first"
            ) from None
        except json.JSONDecodeError as error:
            raise PayoutsError(f"{self._file} does not read as JSON: {error}") from None
        return kept

    def use_redis_port(self, port: int) -> None:
        """Remember where Redis listens."""
        self._write(self._file, {**self.read(), "redis_port": port})

    def people(self) -> dict[str, str]:
        """The tokens of the folder's own people, by name; the first is who commands act as."""
        return dict(self.read().get("people", {}))

    def keep_people(self, tokens: dict[str, str]) -> None:
        """Remember the tokens of the folder's own people."""
        self._write(self._file, {**self.read(), "people": tokens})

    @property
    def console_token_shown(self) -> bool:
        """Whether a token for the console was shown: by the folder's first start."""
        return bool(self.read().get("console_token_shown"))

    def note_console_token(self) -> None:
        """Remember that a token for the console was shown. The token itself is not kept."""
        self._write(self._file, {**self.read(), "console_token_shown": True})

    def keep_stripe(self, kept: dict[str, Any]) -> None:
        """Remember the folder's own Stripe: its port, its key, and its endpoints with their secrets."""
        self._write(self._file, {**self.read(), "stripe": kept})

    def environment(self) -> dict[str, str]:
        """The settings of the embedded default, as environment variables."""
        kept = self.read()
        return {
            **_stripe_settings(kept),
            # Quoted: a folder may be named with what means something in an address.
            "DATABASE_URL": f"sqlite:///{quote(str(self.path.resolve() / 'payouts.db'))}",
            "REDIS_URL": f"redis://:{kept['redis_password']}@127.0.0.1:{kept['redis_port']}/0",
        }

    def lock(self) -> IO[str]:
        """Hold the folder, made if need be, for this process. PayoutsError where another one holds it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            held = _lock_file(self.path / "lock")
        except OSError as error:
            why = "it is no folder" if self.path.is_file() else error.strerror
            raise PayoutsError(
                f"nothing can be kept in {self.path}: {why}; choose another folder with --data "
                "(`make run DATA=elsewhere`)"
            ) from None
        if held is None:
            raise PayoutsError(
                f"another `payouts up` runs on {self.path}: stop it, or choose another folder with --data "
                "(`make run DATA=elsewhere`)"
            )
        return held

    def lock_for_children(self) -> IO[str]:
        """A lock that every child keeps while it lives, so that two runs never share a Redis's files.

        Waits for children that outlive a parent killed by force. PayoutsError where they do not end.
        """
        deadline = time.monotonic() + CHILDREN_END_WITHIN_S
        while (held := _lock_file(self.path / "children.lock")) is None:
            if time.monotonic() > deadline:
                raise PayoutsError(f"processes of an earlier `payouts up` on {self.path} still run: end them")
            time.sleep(0.1)
        return held

    def set_address(
        self, url: str | None, api: str = "", console: str = "", *, practises: bool = False
    ) -> None:
        """Remember where receiver, API and console listen while they run; None when they stop.

        `practises`: the worker runs with PRACTICE_FAILURE.
        """
        if url is None:
            self._run_file.unlink(missing_ok=True)
        else:
            run = {"url": url, "api": api, "console": console, "practises": practises}
            self._write(self._run_file, run)

    def address(self) -> str:
        """Where the receiver of a running `payouts up` listens. Raises PayoutsError where none runs."""
        return str(self._running()["url"])

    def practises(self) -> bool:
        """Whether the worker runs with PRACTICE_FAILURE. PayoutsError where no `payouts up` runs."""
        return bool(self._running().get("practises"))

    def _running(self) -> dict[str, Any]:
        try:
            running: dict[str, Any] = json.loads(self._run_file.read_text())
        except FileNotFoundError:
            raise PayoutsError(
                f"nothing runs on {self.path}: start `payouts up`, or name another folder with --data"
            ) from None
        return running

    def console(self) -> str:
        """Where the console of a running `payouts up` listens. Raises PayoutsError where none runs."""
        self.address()
        return str(json.loads(self._run_file.read_text()).get("console", ""))

    @property
    def _file(self) -> Path:
        return self.path / "settings.json"

    @property
    def _run_file(self) -> Path:
        return self.path / "run.json"

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        # Whole or not at all, and never readable by others, not even for a moment.
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(content, file, indent=1)
        part.replace(path)


def _stripe_settings(kept: dict[str, Any]) -> dict[str, str]:
    # The first secret is the folder's own, for `payouts deliver`.
    own, stripe = kept["webhook_secret"], kept.get("stripe", {})
    if "connect" not in stripe or os.environ.get("STRIPE_API_KEY"):
        return {"STRIPE_WEBHOOK_SECRET": own}
    return {
        "STRIPE_WEBHOOK_SECRET": f"{own},{stripe['platform']['secret']}",
        "STRIPE_CONNECT_WEBHOOK_SECRET": stripe["connect"]["secret"],
        "STRIPE_API_KEY": stripe["key"],
        "STRIPE_API_BASE": f"http://127.0.0.1:{stripe['port']}",
        "VENDOR_STATUS_PAGES": "",  # nothing of theirs is used
    }


def _lock_file(path: Path) -> IO[str] | None:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something could listen on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
