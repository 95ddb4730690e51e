"""Objects of one kind, in the order in which they were made, found by id and by owner."""

from collections.abc import Sequence

from sandbox.shared import Json
from sandbox.store import Changes


class Shelf:
    """Ids are unique among all accounts; an object of another account is not found."""

    def __init__(self, kind: str, changes: Changes) -> None:
        self.kind = kind
        self._changes = changes
        self._by_id: dict[str, Json] = {}
        self._owner: dict[str, str] = {}
        self._of: dict[str, list[Json]] = {}
        self._place: dict[str, int] = {}

    def add(self, owner: str, thing: Json) -> Json:
        self.restore(owner, thing)
        self._changes.put(self.kind, thing["id"], owner, thing)
        return thing

    def restore(self, owner: str, thing: Json) -> None:
        """Take in what was kept."""
        others = self._of.setdefault(owner, [])
        self._by_id[thing["id"]] = thing
        self._owner[thing["id"]] = owner
        self._place[thing["id"]] = len(others)
        others.append(thing)

    def changed(self, thing: Json) -> None:
        """Say that an object was changed in place."""
        self._changes.put(self.kind, thing["id"], self._owner[thing["id"]], thing)

    def remove(self, thing: Json) -> None:
        others = self._of[self._owner.pop(thing["id"])]
        del self._by_id[thing["id"]]
        place = self._place.pop(thing["id"])
        del others[place]
        for later in others[place:]:
            self._place[later["id"]] -= 1
        self._changes.remove(self.kind, thing["id"])

    def find(self, owner: str, id_: str) -> Json | None:
        return self._by_id[id_] if self._owner.get(id_) == owner else None

    def any(self, id_: str) -> Json | None:
        """An object of whichever account."""
        return self._by_id.get(id_)

    def owner(self, id_: str) -> str:
        return self._owner[id_]

    def place(self, id_: str) -> int:
        """Its index among its owner's objects, oldest first."""
        return self._place[id_]

    def of(self, owner: str) -> Sequence[Json]:
        """An account's objects, oldest first."""
        return self._of.get(owner, [])

    def all(self) -> list[Json]:
        return list(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)
