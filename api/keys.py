"""The Idempotency-Key of a request, and those that are being worked on in this process."""

from starlette.requests import Request

from api.problems import ApiError
from payouts.storage.idempotency_rows import in_use

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY_CHARS = 255


def key_of(request: Request) -> str:
    """The key that was sent. ApiError 400 where there is none, or one that cannot be kept."""
    said = request.headers.getlist(HEADER)
    if len(said) != 1:
        detail = f"this needs one {HEADER} header: a name of your own for this one request, as a UUID"
        raise ApiError(400, "idempotency_key_missing", detail, where=HEADER)
    key = said[0].strip()
    if not 0 < len(key) <= KEY_CHARS or not key.isascii() or not key.isprintable():
        detail = f"an {HEADER} has 1 to {KEY_CHARS} printable ASCII characters"
        raise ApiError(400, "idempotency_key_bad", detail, where=HEADER)
    return key


class KeysInUse:
    """So that a client that repeats itself too early is told at once, and keeps no thread waiting.

    Other processes learn it from the database, a second later.
    """

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()

    def take(self, token_digest: str, key: str) -> tuple[str, str]:
        """Hold the key until `give_back`. RefusedError `idempotency_key_in_use`."""
        held = (token_digest, key)
        if held in self._held:
            raise in_use()
        self._held.add(held)
        return held

    def give_back(self, held: tuple[str, str]) -> None:
        """The request with this key is through."""
        self._held.discard(held)
