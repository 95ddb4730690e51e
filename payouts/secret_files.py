"""Where secrets come from besides the environment: files named one by one, or folders of them. And the one
that is put into another: the database's password into its address."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from payouts.errors import SettingsError
from payouts.secret_source import read_secret
from payouts.strange_settings import FILE_SUFFIX

FOLDERS = "SECRETS_DIR"


@dataclass(slots=True)
class Found:
    """Both by field: the file and what it holds, or what is wrong with it."""

    files: dict[str, tuple[Path, str]] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


def find_secrets(given: Mapping[str, str], names: Collection[str], folders: str = "") -> Found:
    """What each `NAME_FILE` of the environment holds, else each file of `folders` that is called as a secret.

    `names`: the fields that are secrets. `folders`: comma-separated; one that is not there holds nothing.
    """
    found = Found()
    lying, strangers = _lying(folders, names)
    for name in names:
        setting, label = name.upper(), name.upper() + FILE_SUFFIX
        named = given.get(label, "")
        path = Path(named) if named else lying.get(name)
        if path is None:
            continue
        if not named:
            label = FOLDERS
        try:
            text = read_secret(path)
        except OSError as error:
            found.wrong[name] = f"{label}: {path} cannot be read: {error.strerror}"
        except SettingsError as error:
            found.wrong[name] = f"{label}: {error}"
        else:
            if given.get(setting):
                other = label if named else path
                found.wrong[name] = f"{setting} and {other} are both set: leave one of them out"
            elif not text.strip():
                found.wrong[name] = f"{label}: {path} is empty"
            else:
                found.files[name] = (path, text)
    for path in strangers:
        found.wrong[str(path)] = (
            f"{FOLDERS}: {path} is called as no secret of this service: name it as its setting in small "
            "letters, or take it away"
        )
    return found


def _lying(folders: str, names: Collection[str]) -> tuple[dict[str, Path], list[Path]]:
    """The files of the folders by the secret that they are called as, and those that are called as none."""
    known: dict[str, Path] = {}
    strangers: list[Path] = []
    for path in _files_of(folders):
        if path.name in names:
            known.setdefault(path.name, path)
        else:
            strangers.append(path)
    return known, strangers


def _files_of(folders: str) -> Iterator[Path]:
    for folder in filter(None, (each.strip() for each in folders.split(","))):
        if Path(folder).is_dir():
            # Not what is hidden: Kubernetes keeps its own there, and a repository its .gitignore.
            files = (each for each in Path(folder).iterdir() if each.is_file() and each.name[0] != ".")
            yield from sorted(files)


def with_password(database_url: str, password: str) -> str:
    """The address with the password in it. SettingsError where it has another one, or nobody whose it is."""
    if not password:
        return database_url
    parts = urlsplit(database_url)
    who, at, where = parts.netloc.rpartition("@")
    user, _, held = who.partition(":")
    if held and unquote(held) != password:
        raise SettingsError(
            "DATABASE_URL has a password, and DATABASE_PASSWORD another: leave one of them out"
        )
    if not at or not user:
        raise SettingsError(
            "DATABASE_PASSWORD is set, and DATABASE_URL names no user: write it as mysql://user@host/name"
        )
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{where}"))
