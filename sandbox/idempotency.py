"""Idempotency keys: the first answer of a key is its answer, for 24 hours.

Once execution began the answer is kept, whether it was good or a 500. What was refused before that is not.
"""

import hashlib
from collections import deque

import msgspec

from sandbox.errors import bad_parameter, key_in_use, other_parameters
from sandbox.shared import Json
from sandbox.store import Store
from sandbox.world import World

KEPT_FOR_S = 24 * 3600
MAX_KEY = 255
KIND = "idempotency_key"


class Answer(msgspec.Struct):
    """`status` 0: the first call with this key is still being worked on."""

    fingerprint: str
    first_s: float
    request_id: str
    status: int = 0
    body: str = ""


def fingerprint(route: str, parameters: Json) -> str:
    """The same for the same parameters, in whatever order they came."""
    text = route.encode() + msgspec.json.encode(parameters, order="sorted")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


class Keys:
    """A key belongs to the account that the call acts for."""

    def __init__(self, world: World, store: Store | None = None) -> None:
        self._world = world
        self._answers: dict[str, Answer] = {}
        self._by_age: deque[tuple[float, str]] = deque()
        for place, _, kept in store.read(KIND) if store is not None else ():
            self._remember(place, msgspec.convert(kept, Answer))

    def begin(self, account: str, key: str, fingerprint: str, request_id: str) -> Answer | None:
        """The answer to replay; None where the key is new, and is in use from now on."""
        if len(key) > MAX_KEY:
            raise bad_parameter("Idempotency-Key", f"An idempotency key has at most {MAX_KEY} characters.")
        self._prune()
        place = f"{account}|{key}"
        known = self._answers.get(place)
        if known is None:
            self._remember(place, Answer(fingerprint, self._world.clock.now(), request_id))
            return None
        if known.fingerprint != fingerprint:
            raise other_parameters()
        if not known.status:
            raise key_in_use(key)
        return known

    def keep(self, account: str, key: str, status: int, body: bytes) -> None:
        place = f"{account}|{key}"
        answer = self._answers[place]
        answer.status, answer.body = status, body.decode()
        self._world.changes.put(KIND, place, account, answer)

    def drop(self, account: str, key: str) -> None:
        """Nothing was executed: the key is as new."""
        self._answers.pop(f"{account}|{key}", None)

    def __len__(self) -> int:
        return len(self._answers)

    def _remember(self, place: str, answer: Answer) -> None:
        self._answers[place] = answer
        self._by_age.append((answer.first_s, place))

    def _prune(self) -> None:
        oldest_s = self._world.clock.now() - KEPT_FOR_S
        while self._by_age and self._by_age[0][0] <= oldest_s:
            first_s, place = self._by_age[0]
            known = self._answers.get(place)
            if known is not None and not known.status:
                return  # in use: it and what is younger wait for its end
            self._by_age.popleft()
            if known is not None and known.first_s == first_s:  # else dropped, and maybe used again later
                del self._answers[place]
                self._world.changes.remove(KIND, place)
