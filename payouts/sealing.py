"""Payloads at rest: sealed by a key where there is one, as they came where there is none.

What is stored says by itself how. No event begins with the byte MARK, so whatever does is one of ours:

- sealed: MARK, `S`, a Fernet token (AES-128-CBC with HMAC-SHA256, `cryptography.fernet`);
- archived: MARK, `A`, the id of an archive file in eight bytes: the payload lies there;
- plain, where a payload begins with MARK itself: MARK, `P`, the payload.

So plain and sealed payloads stand beside each other, and keys may come and go at any time.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING

from payouts.errors import PayloadError, PayloadUnavailableError, SettingsError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

MARK = b"\x00"
SEALED, ARCHIVED, PLAIN = MARK + b"S", MARK + b"A", MARK + b"P"
_KEY_BYTES = 32
_FILE_ID_BYTES = 8


class Sealer:
    """Seals with the first of its keys, opens with all of them. Without keys it leaves things as they are."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """`keys`: Fernet keys. SettingsError where one is none."""
        self._keys = [_fernet(key) for key in keys]

    @property
    def is_on(self) -> bool:
        """Whether there is a key to seal with."""
        return bool(self._keys)

    def seal(self, plain: bytes) -> bytes:
        """`plain` as it is stored from now on."""
        if self._keys:
            return SEALED + self._keys[0].encrypt(plain)
        return PLAIN + plain if plain[:1] == MARK else plain

    def open(self, stored: bytes) -> bytes:
        """The payload itself. PayloadUnavailableError where no key fits, or where it lies in the archive."""
        if stored[:1] != MARK:
            return stored
        kind, rest = stored[:2], stored[2:]
        if kind == PLAIN:
            return rest
        if kind == SEALED:
            return self._unsealed(rest)
        if kind == ARCHIVED:
            raise PayloadUnavailableError(f"the payload lies in the archive file {archive_file_of(stored)}")
        raise PayloadError(f"the payload begins with a mark that this version does not know: {kind!r}")

    def is_current(self, stored: bytes) -> bool:
        """Whether `stored` is as `seal` would store it now: rotation leaves it alone."""
        if not self._keys:
            return stored[:2] != SEALED
        return stored[:2] == SEALED and _fits(self._keys[0], stored[2:])

    def _unsealed(self, token: bytes) -> bytes:
        from cryptography.fernet import InvalidToken

        for key in self._keys:
            try:
                return key.decrypt(token)
            except InvalidToken:
                continue
        raise PayloadUnavailableError(
            "the payload is sealed, and PAYLOAD_KEYS is empty: set it to the keys in use"
            if not self._keys
            else f"the payload is sealed, and none of the {len(self._keys)} keys in PAYLOAD_KEYS opens it: "
            "add the key that it was sealed with"
        )


def archived(file_id: int) -> bytes:
    """What stands in place of a payload that lies in this archive file."""
    return ARCHIVED + file_id.to_bytes(_FILE_ID_BYTES)


def archive_file_of(stored: bytes) -> int | None:
    """The archive file in which the payload lies; None where it is here."""
    return int.from_bytes(stored[2:]) if stored[:2] == ARCHIVED else None


def check_key(key: str) -> str:
    """`key`, where it is one. SettingsError, which does not show it, where it is not."""
    try:
        size = len(base64.b64decode(key, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != _KEY_BYTES:
        raise SettingsError(
            "PAYLOAD_KEYS has an entry that is no key: make one with `payouts payload new-key`"
        )
    return key


def new_key() -> str:
    """A key to seal with."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _fernet(key: str) -> "Fernet":
    from cryptography.fernet import Fernet  # takes 50 ms: not loaded where nothing is sealed

    return Fernet(check_key(key))


def _fits(key: "Fernet", token: bytes) -> bool:
    from cryptography.fernet import InvalidToken

    try:
        key.decrypt(token)
    except InvalidToken:
        return False
    return True
