"""Where archive files lie: a folder, or anything that fsspec knows, as S3. A file is whole or not there."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from payouts.errors import PayoutsError, SettingsError
from payouts.logs import redact

S3_PACKAGE = "s3fs"


class ShelfError(PayoutsError):
    """A file could not be written, read or listed; the message says which and why."""

    transient = True


class Shelf(Protocol):
    """Keeps files by name. Every call raises ShelfError where it cannot do its work."""

    where: str
    """For people; without passwords."""

    def put(self, name: str, content: bytes) -> None:
        """Keep `content`. Returns once it is as durable as the place makes it."""
        ...

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """All of a file, or `length` bytes from `offset` on."""
        ...

    def remove(self, name: str) -> None:
        """Let go of a file; it may be gone already."""
        ...

    def names(self) -> Iterator[str]:
        """All files of an archive that are there."""
        ...


def open_shelf(url: str) -> Shelf:
    """The shelf at `url`: a path, file://… or an address of fsspec's. Nothing is opened yet."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme != "file":
        return ObjectShelf(url)
    folder = Path(rest if separator else url)
    if not folder.is_absolute():
        # Each process has a folder of its own that a relative path begins at.
        raise SettingsError(f"ARCHIVE_URL is the relative path {str(folder)!r}: begin it with /")
    return FolderShelf(folder)


class FolderShelf:
    """Files in a folder, on the disk before `put` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)

    def put(self, name: str, content: bytes) -> None:
        path = self._folder / name
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with self._saying("write", name):
            is_new = not self._folder.exists()
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            except OSError:
                part.unlink(missing_ok=True)
                raise
            # A name is on the disk only once the folder that it stands in is.
            for folder in {path.parent, self._folder, *([self._folder.parent] if is_new else [])}:
                _sync(folder)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        with self._saying("read", name), (self._folder / name).open("rb") as file:
            file.seek(offset)
            return file.read(-1 if length is None else length)

    def remove(self, name: str) -> None:
        with self._saying("remove", name):
            (self._folder / name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        with self._saying("list", ""):
            found = sorted(path for path in self._folder.rglob("*") if path.is_file())
        yield from (path.relative_to(self._folder).as_posix() for path in found)

    @contextlib.contextmanager
    def _saying(self, verb: str, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ShelfError(f"cannot {verb} {self._folder / name}: {error.strerror or error}") from error


class ObjectShelf:
    """Objects of a store that fsspec speaks to. One put is one whole object: that is the store's promise."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.where = redact(url)
        self._opened: tuple[Any, str] | None = None

    def put(self, name: str, content: bytes) -> None:
        with self._saying("write", name):
            files, root = self._open()
            path = f"{root}/{name}"
            try:
                files.pipe_file(path, content)
            except FileNotFoundError:
                # Some places have real folders. The place itself is never made: a bucket that is not there
                # is a wrong setting, and making folders in it would make the bucket.
                if not files.exists(root):
                    raise
                files.makedirs(path.rpartition("/")[0], exist_ok=True)
                files.pipe_file(path, content)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        with self._saying("read", name):
            files, root = self._open()
            end = None if length is None else offset + length
            return bytes(files.cat_file(f"{root}/{name}", start=offset, end=end))

    def remove(self, name: str) -> None:
        with self._saying("remove", name):
            files, root = self._open()
            with contextlib.suppress(FileNotFoundError):
                files.rm_file(f"{root}/{name}")

    def names(self) -> Iterator[str]:
        with self._saying("list", ""):
            files, root = self._open()
            files.invalidate_cache()
            try:
                found = sorted(files.find(root))
            except FileNotFoundError:
                found = []
        yield from (path.removeprefix(f"{root}/") for path in found)

    def _open(self) -> tuple[Any, str]:
        # At the first use: fsspec and what it brings stay out of processes that never archive.
        if self._opened is None:
            try:
                from fsspec.core import url_to_fs

                files, root = url_to_fs(self._url)
            except ImportError as error:
                scheme = self._url.partition("://")[0]
                package = S3_PACKAGE if scheme in ("s3", "s3a") else "the package that fsspec names"
                raise SettingsError(
                    f"ARCHIVE_URL begins with {scheme}://, which needs {package}: install it beside this "
                    f"service, as `pip install {S3_PACKAGE}` for S3 ({redact(str(error))})"
                ) from None
            except ValueError as error:
                raise SettingsError(
                    f"ARCHIVE_URL does not read as an address: {redact(str(error))}"
                ) from None
            self._opened = files, root.rstrip("/")
        return self._opened

    @contextlib.contextmanager
    def _saying(self, verb: str, name: str) -> Iterator[None]:
        try:
            yield
        except PayoutsError:
            raise
        except Exception as error:
            # Each store has errors of its own; all of them mean that it did not do what it was asked.
            said = redact(str(error) or type(error).__name__)[:300]
            raise ShelfError(f"cannot {verb} {self.where}/{name}: {said}") from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
