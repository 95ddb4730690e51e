"""Which events belong together although they are about different objects: those of one requested payout.

Its transfer, its payouts and their reversals change the same books, so what one does shows the next.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine

from payouts.calls import METADATA_REQUEST
from payouts.errors import PayloadUnavailableError
from payouts.event import id_of
from payouts.payloads import Payloads
from payouts.request import public_id, row_id_of
from payouts.storage import inbox
from payouts.storage.replay_rows import Selected
from payouts.storage.what_if_queries import requests_of

AT_ONCE = 200


class _Object(msgspec.Struct):
    metadata: dict[str, Any] | None = None
    original_payout: Any = None


class _Data(msgspec.Struct):
    object: _Object | None = None


class _Event(msgspec.Struct):
    data: _Data | None = None


_events = msgspec.json.Decoder(_Event)


@dataclass(frozen=True, slots=True)
class Kin:
    """Finds out what events are about."""

    engine: Engine
    payloads: Payloads

    def subjects(self, events: Sequence[Selected]) -> Iterator[tuple[Selected, str]]:
        """Each event with the name of what it is about: `pay_…`, else the object, else the event itself."""
        for start in range(0, len(events), AT_ONCE):
            some = events[start : start + AT_ONCE]
            with self.engine.connect().execution_options(read_only=True) as connection:
                known = requests_of(connection, {event.object_id for event in some if event.object_id})
                named = self._named(connection, [event for event in some if event.object_id not in known])
                originals = {original for _, original in named.values() if original}
                known |= requests_of(connection, originals)
            for event in some:
                yield event, _subject(event, known, *named.get(event.id, (None, None)))

    def _named(
        self, connection: Connection, events: Iterable[Selected]
    ) -> dict[int, tuple[int | None, str | None]]:
        """By inbox id: the request that an event's object names, and the payout that it reverses."""
        held = inbox.read_any(connection, [event.id for event in events])
        found: dict[int, tuple[int | None, str | None]] = {}
        for item in self.payloads.fetch(connection, held):
            try:
                event = _events.decode(self.payloads.open(connection, item.id, item.payload))
            except (PayloadUnavailableError, msgspec.MsgspecError, UnicodeDecodeError):
                continue  # it is tried by itself, and says why it fails
            shown = (event.data and event.data.object) or _Object()
            name = (shown.metadata or {}).get(METADATA_REQUEST)
            request_id = row_id_of(name) if isinstance(name, str) else None
            found[item.id] = (request_id, id_of(shown.original_payout))
        return found


def _subject(event: Selected, known: dict[str, int], request_id: int | None, original: str | None) -> str:
    own = known.get(event.object_id or "") or request_id or known.get(original or "")
    return public_id(own) if own else (original or event.object_id or event.event_id)
