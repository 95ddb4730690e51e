"""Partners and maintenance: who is paid often is written to a day before, and then hears of what changes.

What a partner was written last about a window is read from the outbox. It says what he believes, and so what
he has to hear.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import msgspec
from sqlalchemy import Connection, Engine

from payouts.clock import Clock, iso
from payouts.ids import IdMaker
from payouts.partner import Partner, PartnerState
from payouts.storage import activity_queries
from payouts.storage.partner_notices import PartnerNotice, insert_partner_notice
from payouts.storage.unit import in_transaction
from payouts.timetable import DAY_MS, follows_up, stands_ms, takes_it_back, writes_to_partners
from payouts.window import Window

PARTNERS_AT_ONCE = 200
STEP_MS = 1_000
"""How long one look goes on with partners: the scheduler has other things to do in between."""
ACTIVE_DAYS = 30
PLANNED, CALLED_OFF = "partner.maintenance_planned", "partner.maintenance_called_off"


class Written(msgspec.Struct, frozen=True):
    """What a letter about a window said, as it is in the body of its notice."""

    name: str
    window_id: str
    starts_at: str
    ends_at: str
    window_text: str = ""

    @property
    def starts_at_ms(self) -> int:
        return round(datetime.fromisoformat(self.starts_at).timestamp() * 1000)


@dataclass(slots=True)
class Forewarner:
    """Writes to partners. `least_payouts`: whoever had as many in the last 30 days is written to."""

    engine: Engine
    make_id: IdMaker
    clock: Clock
    least_payouts: int
    _done: dict[int, tuple[object, int | None]] = field(default_factory=dict)
    """By window what was to be told, and the partner that was looked at last; None: all were. After a restart
    all are again."""

    def write(self, window: Window) -> None:
        """Write what is due about a window, for a second or so."""
        now_ms = self.clock()
        if not follows_up(window, now_ms):
            return
        to_tell = (window.state, window.starts_at_ms, writes_to_partners(window, now_ms))
        until_ms = now_ms + STEP_MS
        while self.clock() <= until_ms:
            told, after = self._done.get(window.id, (to_tell, 0))
            if told != to_tell:
                after = 0
            if after is None:
                return
            work = partial(self._page, window=window, after=after)
            self._done[window.id] = (to_tell, in_transaction(self.engine, work))

    def _page(self, connection: Connection, *, window: Window, after: int) -> int | None:
        now_ms = self.clock()
        page = activity_queries.partners_after(connection, after, PARTNERS_AT_ONCE)
        written = _written(connection, page, window)
        often = self._often_paid(connection, page, now_ms) if writes_to_partners(window, now_ms) else set()
        for one in page:
            notice = _due(window, one, written[one.id], one.id in often, now_ms)
            if notice is not None:
                insert_partner_notice(connection, notice, self.make_id)
        return page[-1].id if len(page) == PARTNERS_AT_ONCE else None

    def _often_paid(self, connection: Connection, page: list[Partner], now_ms: int) -> set[int]:
        since_ms = now_ms - ACTIVE_DAYS * DAY_MS
        paid = {partner.id for partner in page if partner.state != PartnerState.BLOCKED}
        return activity_queries.often_paid(connection, paid, since_ms, self.least_payouts)


def _due(
    window: Window, partner: Partner, written: list[Written], is_often_paid: bool, now_ms: int
) -> PartnerNotice | None:
    last = written[-1] if written and written[-1].name == PLANNED else None
    believes, holds = None if last is None else last.starts_at, iso(stands_ms(window))
    if believes == holds:
        return None
    if is_often_paid and holds is not None:
        said = Written(PLANNED, str(window.id), holds, str(iso(window.ends_at_ms)), window.text)
        return _notice(partner, said, len(written), now_ms, {"instead_of": believes})
    if last is None or not takes_it_back(window, last.starts_at_ms, now_ms):
        return None
    return _notice(partner, msgspec.structs.replace(last, name=CALLED_OFF), len(written), now_ms)


def _notice(
    partner: Partner, said: Written, before: int, now_ms: int, more: Mapping[str, object] | None = None
) -> PartnerNotice:
    about = {**msgspec.structs.asdict(said), **(more or {})}
    del about["name"]
    # With the number of letters before: a start that is moved, and moved back, is written of again.
    occasion = f"{said.window_id}:{said.starts_at}:{before}"
    text = f"maintenance, {said.starts_at} to {said.ends_at}"
    return PartnerNotice(said.name, partner, now_ms, text, occasion, about)


def _written(
    connection: Connection, page: Iterable[Partner], window: Window
) -> defaultdict[int, list[Written]]:
    """What each of these partners was written about this window, by row id, in order."""
    found: defaultdict[int, list[Written]] = defaultdict(list)
    for partner_id, body in activity_queries.told_of(connection, page, "partner.maintenance_"):
        said = msgspec.json.decode(body, type=Written)
        if said.window_id == str(window.id):
            found[partner_id].append(said)
    return found
