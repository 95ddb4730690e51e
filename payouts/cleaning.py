"""Words of others, and of errors, without what must not be kept: secrets, and the addresses of people."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import SecretStr

from payouts.logs import redact
from payouts.redaction import REDACTED

if TYPE_CHECKING:
    from payouts.settings import Settings

_SECRET_FROM = 6
"""Shorter settings are no secrets, and would black out half of every text."""
_EMAIL = re.compile(r"[^\s@*<>()\[\]{}\"'`,;:]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


class Secrets:
    """The secrets that a process has had: those of before a rotation are in answers to come, too."""

    def __init__(self, settings: "Settings") -> None:
        fields = type(settings).model_fields
        names = [name for name in fields if isinstance(getattr(settings, name), SecretStr)]
        self._sources = [settings.source(name) for name in names]
        self._had: tuple[str, ...] = ()
        self._known: list[str] = []

    def known(self) -> list[str]:
        """Every secret among the settings, those of a list each, and the passwords inside addresses; the
        longest first."""
        had = tuple(value for source in self._sources for value in source.had)
        if had != self._had:
            found = set[str]().union(*map(_parts, had))
            self._known = sorted(filter(_is_long, found), key=len, reverse=True)
            self._had = had
        return self._known

    def out_of(self, text: str) -> str:
        """`text` without them, without whatever else looks like a secret, and without e-mail addresses."""
        return cleaned(text, self.known())


def cleaned(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without these secrets, without whatever else looks like one, and without e-mail addresses."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return _EMAIL.sub(REDACTED, redact(text))


def _is_long(text: str) -> bool:
    return len(text) >= _SECRET_FROM


def _parts(whole: str) -> set[str]:
    in_addresses = re.findall(r"://[^/\s:@]*:([^/\s@]+)@", whole)
    parts = {part.strip() for part in whole.split(",")}
    return {whole, *parts, *(part.removeprefix("whsec_") for part in parts), *in_addresses}
