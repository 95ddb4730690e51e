"""A folder as a channel: one JSON file for each notice, to look at and to test by.

A file is whole or not there. It is not forced to the disk: the outbox keeps what was told, a power cut may
cost the newest files.
"""

import contextlib
import os
import threading
from pathlib import Path
from typing import Any

import msgspec

from payouts.notices import Notice, NoticeError

KEEP_FILES = 10_000
"""The newest so many stay; a few more until the next look."""
_ID_DIGITS = 19


class FolderChannel:
    """Writes each notice to a file named by its id, so that a second delivery replaces the first."""

    def __init__(self, folder: Path, keep_files: int = KEEP_FILES) -> None:
        self._folder = folder
        self._keep_files = keep_files
        self._look_every = max(1, keep_files // 10)
        self._since_look = self._look_every  # the first delivery looks: earlier runs left files too
        self._guard = threading.Lock()

    def deliver(self, notice: Notice) -> None:
        """Write the file. Raises NoticeError where the folder takes none: somebody may mend that."""
        name = f"{notice.id:0{_ID_DIGITS}d}.json"
        part = self._folder / f"{name}.{os.getpid()}-{threading.get_ident()}.part"
        try:
            self._make_room()
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(_content(notice))
            part.replace(self._folder / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            self._since_look = self._look_every  # the folder may be gone: make it the next time
            raise NoticeError(f"cannot write to {self._folder}: {error.strerror}", transient=True) from error

    def _make_room(self) -> None:
        with self._guard:
            self._since_look += 1
            if self._since_look <= self._look_every:
                return
            self._look()
            self._since_look = 0

    def _look(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Named by growing ids, so that the oldest come first, and parts of killed processes with them.
        ours = sorted(path for path in self._folder.iterdir() if path.name[:_ID_DIGITS].isdigit())
        for path in ours[: max(0, len(ours) - self._keep_files)]:
            path.unlink(missing_ok=True)


def _content(notice: Notice) -> bytes:
    content: dict[str, Any] = {
        "id": str(notice.id),
        "name": notice.name,
        "account": notice.account,
        "created_at_ms": notice.created_at_ms,
        "body": msgspec.Raw(notice.body.encode()),
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
