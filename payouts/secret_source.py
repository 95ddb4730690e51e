"""Secrets from files, as Docker and Kubernetes hand them to a process, and read again once they change.

A rotation is then: write the new value beside the old one, wait, take the old one out. No process restarts.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from payouts.errors import SettingsError
from payouts.logs import get_logger

LOOK_EVERY_S = 2.0
"""A file is looked at no more often; a new secret is in use that long after it was written, at the latest."""
MAX_BYTES = 64 * 1024

T = TypeVar("T")
Refuse = Callable[[str], str | None]
"""Why a new value cannot be taken, in words that do not show it; None: it can."""


def read_secret(path: Path) -> str:
    """What the file holds, without the line's end. OSError or SettingsError where it cannot be read."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise SettingsError(f"{path} has more than {MAX_BYTES} bytes: it is no secret")
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{path} does not read as text") from None


class SecretSource:
    """A secret as it is now. Safe to share between threads.

    Without a file it stays as it is. A file that is away, empty or wrong for a moment changes nothing: the
    value before stays in use, and a log line says so once.
    """

    def __init__(
        self,
        name: str,
        value: str,
        path: Path | None = None,
        refuse: Refuse = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name`: the setting's. `value`: what was read at the start."""
        self.name = name
        self._value = value
        self._had: tuple[str, ...] = (value,)
        self._path = path
        self._refuse = refuse
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._look_at_s = monotonic() if path else float("inf")

    def __repr__(self) -> str:
        return f"SecretSource({self.name}, hidden)"

    @property
    def may_change(self) -> bool:
        """Whether it comes from a file."""
        return self._path is not None

    @property
    def had(self) -> tuple[str, ...]:
        """Every value that was in use until now. Does not look at the file."""
        return self._had

    def read(self) -> str:
        """The secret. As a rule one comparison; every LOOK_EVERY_S one look at the file."""
        if self._monotonic() >= self._look_at_s and self._lock.acquire(blocking=False):
            try:
                self._look()
                self._look_at_s = self._monotonic() + LOOK_EVERY_S
            finally:
                self._lock.release()
        return self._value

    def _look(self) -> None:
        path = self._path
        if path is None:
            return
        try:
            found = path.stat()  # follows links: Kubernetes swaps one to change a secret
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError as error:
            self._keep((), f"{path}: {error.strerror}")
            return
        if seen == self._seen:
            return
        try:
            value = read_secret(path)
        except OSError as error:
            self._keep(seen, f"{path}: {error.strerror}")
            return
        except SettingsError as error:
            self._keep(seen, str(error))
            return
        if value == self._value:
            self._seen = seen
            return
        why = f"{path} is empty" if not value.strip() else self._refuse(value)
        if why is not None:
            self._keep(seen, why)
            return
        self._had = (*self._had, value)  # before it is in use
        self._value, self._seen = value, seen
        get_logger().info("secret.changed", setting=self.name)

    def _keep(self, seen: tuple[int, ...], why: str) -> None:
        if seen != self._seen:
            get_logger().warning("secret.not_read", setting=self.name, reason=f"{why}: the one before stays")
        self._seen = seen


class Derived(Generic[T]):
    """What is made of a secret, made anew when it changes. Safe to share between threads."""

    def __init__(self, sources: tuple[SecretSource, ...], make: Callable[..., T]) -> None:
        """`make` takes the values of `sources`."""
        self._sources, self._make = sources, make
        self._lock = threading.Lock()
        self._fixed = not any(source.may_change for source in sources)
        self._made = self._anew()

    def get(self) -> T:
        """It, as of the secrets now."""
        if self._fixed:
            return self._made[1]
        values = tuple(source.read() for source in self._sources)
        if values != self._made[0]:
            with self._lock:
                self._made = self._anew()
        return self._made[1]

    def _anew(self) -> tuple[tuple[str, ...], T]:
        values = tuple(source.read() for source in self._sources)
        return values, self._make(*values)
