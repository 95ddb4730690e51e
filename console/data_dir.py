"""The folder of the embedded default: database file, Redis, and the secrets made for it at first."""

import fcntl
import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from payouts.errors import PayoutsError

DEFAULT = Path("data")


@dataclass(frozen=True, slots=True)
class DataDir:
    """A folder with `settings.json`, which only its owner can read."""

    path: Path

    @property
    def is_made(self) -> bool:
        return self._file.exists()

    def make(self) -> None:
        """Make the folder and its secrets, unless they are there."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.is_made:
            kept = {
                "webhook_secret": "whsec_" + secrets.token_urlsafe(24),
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

    def environment(self) -> dict[str, str]:
        """The settings of the embedded default, as environment variables."""
        kept = self.read()
        return {
            "DATABASE_URL": f"sqlite:///{self.path.resolve() / 'payouts.db'}",
            "REDIS_URL": f"redis://:{kept['redis_password']}@127.0.0.1:{kept['redis_port']}/0",
            "STRIPE_WEBHOOK_SECRET": kept["webhook_secret"],
        }

    def lock(self) -> IO[str]:
        """Hold the folder for this process. Raises PayoutsError where another one holds it."""
        held = (self.path / "lock").open("w")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            raise PayoutsError(
                f"another `payouts up` runs on {self.path}: stop it, or choose another --data"
            ) from None
        return held

    def set_address(self, url: str | None) -> None:
        """Remember where the receiver listens while it runs; None when it stops."""
        if url is None:
            self._run_file.unlink(missing_ok=True)
        else:
            self._write(self._run_file, {"url": url})

    def address(self) -> str:
        """Where the receiver of a running `payouts up` listens. Raises PayoutsError where none runs."""
        try:
            return str(json.loads(self._run_file.read_text())["url"])
        except FileNotFoundError:
            raise PayoutsError(
                f"nothing runs on {self.path}: start `payouts up`, or say where with --to"
            ) from None

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
