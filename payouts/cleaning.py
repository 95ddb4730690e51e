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
    """The secrets of a process, as they are."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def known(self) -> list[str]:
        """Every secret among the settings, those of a list each, and the passwords inside addresses; the
        longest first."""
        found: set[str] = set()
        for name in type(self._settings).model_fields:
            value = getattr(self._settings, name)
            if isinstance(value, SecretStr):
                found |= _parts(value.get_secret_value())
        return sorted((each for each in found if len(each) >= _SECRET_FROM), key=len, reverse=True)

    def out_of(self, text: str) -> str:
        """`text` without them, without whatever else looks like a secret, and without e-mail addresses."""
        return cleaned(text, self.known())


def cleaned(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without these secrets, without whatever else looks like one, and without e-mail addresses."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return _EMAIL.sub(REDACTED, redact(text))


def _parts(whole: str) -> set[str]:
    in_addresses = re.findall(r"://[^/\s:@]*:([^/\s@]+)@", whole)
    parts = {part.strip() for part in whole.split(",")}
    return {whole, *parts, *(part.removeprefix("whsec_") for part in parts), *in_addresses}
