"""Ids and draws that depend on the seed and on what they are for, and on nothing else: neither time nor the
order in which others asked. So the same seed tells the same story, however calls overlap."""

import base64
import hashlib

_LETTERS = bytes.maketrans(b"+/", b"Ab")
_SCALE = 1 << 64


class Names:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._key = seed.to_bytes(16, "big", signed=True)

    def id(self, prefix: str, *parts: object) -> str:
        """Such as `po_` and 24 letters, made of the parts."""
        digest = hashlib.blake2b(_joined(prefix, parts), digest_size=18, key=self._key).digest()
        return f"{prefix}_{base64.b64encode(digest).translate(_LETTERS).decode()}"

    def draw(self, *parts: object) -> float:
        """A number from 0 to below 1."""
        digest = hashlib.blake2b(_joined("draw", parts), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") / _SCALE

    def hits(self, probability: float, *parts: object) -> bool:
        return probability > 0.0 and self.draw(*parts) < probability


def _joined(first: str, parts: tuple[object, ...]) -> bytes:
    return "\x1f".join([first, *map(str, parts)]).encode()
