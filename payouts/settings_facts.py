"""What each setting is: kind, default and meaning, read from the code; and where its value came from."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from payouts.fingerprint import fingerprint
from payouts.logs import redact
from payouts.settings import Settings, listed

ADDRESSES = ("database_url", "redis_url")
"""Secrets that are shown without user, password and options: where they lead is what one wants to know."""
_WORDS = {bool: "`true` or `false`", int: "whole number", float: "number", str: "text"}
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


@dataclass(frozen=True, slots=True)
class SettingFacts:
    """A setting. `default` is empty where there is none, or nothing; `meaning` is one line."""

    name: str
    kind: str
    default: str
    required: bool
    secret: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting as a process has it. `value` shows no secret; `origin`: default, environment or file."""

    name: str
    value: str
    origin: str


def setting_facts() -> Iterator[SettingFacts]:
    """All settings, in the order of the code."""
    meanings = _meanings()
    for name, field in Settings.model_fields.items():
        secret = field.annotation is SecretStr
        default = "" if field.default is PydanticUndefined else field.default
        yield SettingFacts(
            name.upper(),
            _kind(field.annotation, field.metadata),
            _plain(default.get_secret_value() if isinstance(default, SecretStr) else default),
            field.is_required(),
            secret,
            meanings.get(name, ""),
        )


def setting_values(settings: Settings, environment: Mapping[str, str]) -> Iterator[SettingValue]:
    """What each setting is in `settings`, and that it came from `environment`, a file, or nowhere."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        path = settings.file_of(name)
        origin = f"file {path}" if path else "environment" if name.upper() in environment else "default"
        shown = _hidden(name, value.get_secret_value()) if isinstance(value, SecretStr) else _plain(value)
        yield SettingValue(name.upper(), redact(shown), origin)


def _hidden(name: str, secret: str) -> str:
    if not secret:
        return "not set"
    if name in ADDRESSES:
        return _address(secret)
    # Each of a list, so that it can be looked for beside those that doctor and events name.
    return "set, sha256 " + ", ".join(fingerprint(part) for part in listed(secret))


def _address(url: str) -> str:
    # By hand: a password may hold what splits an address elsewhere, and would show.
    scheme, _, rest = url.partition("://")
    before, _, where = rest.rpartition("@")
    return f"{scheme}://{'…' if '?' in before else where.partition('?')[0]}"


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(annotation: Any, metadata: list[Any]) -> str:
    if annotation is SecretStr:
        return "secret"
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{each}`" for each in get_args(annotation))
    if isinstance(annotation, UnionType):
        annotation = next(each for each in get_args(annotation) if each is not type(None))
    bounds = [
        f"{sign} {_plain_bound(getattr(each, name))}"
        for name, sign in _BOUNDS
        for each in metadata
        if getattr(each, name, None) is not None
    ]
    return ", ".join([_WORDS.get(annotation, annotation.__name__), *bounds])


def _plain_bound(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _meanings() -> dict[str, str]:
    """The text under each field. Read from the source only where it is asked for: no start pays for it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(Settings)))
    lines = next(each.body for each in tree.body if isinstance(each, ast.ClassDef))
    found: dict[str, str] = {}
    for field, after in pairwise(lines):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[field.target.id] = " ".join(str(after.value.value).split())
    return found
