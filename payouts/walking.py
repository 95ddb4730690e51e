"""Walking: what Stripe lists of an account's events, page by page, and what of it the inbox lacks.

Each page is recorded in one transaction: the events that were missing, the counts and the place to go on
from. It is recorded only where the walk still stands at the place that the page was asked from, so a walk
needs no lease: two that walk it at once ask twice, and add once. What is cut short goes on after its last
page.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, Engine

from payouts.clock import Clock, iso
from payouts.comparison import stripe_account
from payouts.crash import crash_point
from payouts.errors import GatewayError, PayloadError
from payouts.event import read_envelope
from payouts.gateway import EventsQuery, ListedEvent, Page, StripeGateway, Window
from payouts.handled import HANDLED_TYPES
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.proving import prove
from payouts.sealing import Sealer
from payouts.storage import catch_up_rows
from payouts.storage.catch_up_rows import WALKS
from payouts.storage.columns import PLATFORM
from payouts.storage.inbox import CATCH_UP, NewEvent, add_events
from payouts.storage.mark_rows import lock_mark, save_mark, take_read
from payouts.storage.partner_notices import PlatformNotice, insert_platform_notice
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction
from payouts.tally import Listed, Stored, Tally
from payouts.walk import Cause, Recipe, Walk, WalkStatus

INSERT_MOST_BYTES = 4 * 1024 * 1024
"""Of one INSERT: well under what a database takes at once, even where every byte is escaped."""
NOT_PROVEN = "alert.proof_failed"
AGAIN_MS = 180_000
"""A walk that has not moved for so long lost its message, or got no answer."""
LONGEST_MS = 3_600_000

Hint = Callable[[Sequence[int]], None]


@dataclass(frozen=True, slots=True)
class Walker:
    """Walks. Any number may, also the same walk; safe to use from threads.

    `hint` is told the inbox ids of what was added; a hint that is lost is the sweeper's. `reads_most`: pages
    that all walkers together may ask for in an hour; None: as many as it takes.
    """

    engine: Engine
    gateway: StripeGateway
    make_id: IdMaker
    clock: Clock
    livemode: bool
    hint: Hint
    reads_most: int | None = None
    sealer: Sealer = field(default_factory=Sealer)

    def step(self, walk_id: int) -> Walk | None:
        """Walk a page further and return the walk as it is then.

        None where this call did not move it: it is over, somebody else moved it, or no more may be asked for
        in this hour. Raises GatewayError where Stripe gives no answer for the moment; where it never will,
        the walk has failed.
        """
        with reading(self.engine) as connection:
            walk = catch_up_rows.find_walk(connection, walk_id)
        if walk is None or not walk.is_open:
            return None
        if not in_transaction(
            self.engine, lambda c: take_read(c, self.make_id, self.clock(), self.reads_most)
        ):
            return None
        try:
            page = self._ask(walk)
            events = [self._read(each, walk.account) for each in page.objects]
        except GatewayError as error:
            failed = self._failed(walk, error)
            if error.transient or error.blocked:
                raise
            return failed
        recording = _Recording(self, walk, page, events)
        recorded, ids = in_transaction(self.engine, recording.record)
        crash_point("catch_up.after_commit")
        self._send(ids)
        return recorded

    def _ask(self, walk: Walk) -> Page[ListedEvent]:
        types = None if walk.all_types else HANDLED_TYPES
        query = EventsQuery(Window(walk.since_s, walk.until_s), types, walk.recipe == Recipe.FAILED)
        return self.gateway.events_page(stripe_account(walk.account), query, walk.position)

    def _read(self, listed: ListedEvent, account: str) -> NewEvent | None:
        """The event for the inbox; None where it does not read as one."""
        try:
            envelope = read_envelope(listed.body)
        except PayloadError as error:
            get_logger().error("catch_up.unreadable", event_id=listed.id, account=account, error=str(error))
            return None
        if envelope.livemode != self.livemode:
            mode = "live" if envelope.livemode else "test"
            raise GatewayError(
                f"Stripe lists events of {mode} mode, and this environment handles the other: "
                "check STRIPE_API_KEY and STRIPE_LIVEMODE",
                transient=True,
                blocked=True,
            )
        if envelope.account == PLATFORM and account != PLATFORM:
            # Whose event it is follows from whom was asked, where the event itself does not say it.
            envelope = msgspec.structs.replace(envelope, account=account)
        return NewEvent(self.make_id(), envelope, CATCH_UP, None, self.clock(), self.sealer.seal(listed.body))

    def _failed(self, walk: Walk, error: GatewayError) -> Walk | None:
        return in_transaction(self.engine, lambda connection: self._note_error(connection, walk, error))

    def _note_error(self, connection: Connection, walk: Walk, error: GatewayError) -> Walk | None:
        held = catch_up_rows.lock_walk(connection, walk.id)
        if held is None or not held.is_open or held.position != walk.position:
            return None
        now_ms = self.clock()
        wait_ms = min(AGAIN_MS * 2 ** min(held.tries, 10), LONGEST_MS)
        said = str(error)[:1000]
        held = dataclasses.replace(held, tries=held.tries + 1, error=said, due_at_ms=now_ms + wait_ms)
        if not (error.transient or error.blocked):
            held = ended(held, WalkStatus.FAILED, now_ms)
            self._tell_if_unproven(connection, held, now_ms)
        WALKS.save(connection, [held])
        return held

    def _tell_if_unproven(self, connection: Connection, walk: Walk, now_ms: int) -> None:
        """A proof that cannot be made is told of: nothing else would show that it is missing."""
        if walk.cause != Cause.PROOF:
            return
        text = (
            f"no proof of {walk.account} from {iso(walk.since_s * 1000)} to {iso(walk.until_s * 1000)}: "
            f"{walk.error}. Then: payouts proof make --account {walk.account}, with these times"
        )
        notice = PlatformNotice(NOT_PROVEN, now_ms, text, str(walk.id))
        insert_platform_notice(connection, notice, self.make_id)

    def _send(self, ids: Sequence[int]) -> None:
        if not ids:
            return
        try:
            self.hint(ids)
        except Exception as error:  # noqa: BLE001 - the events are stored; the sweeper sends them
            get_logger().warning("hint.lost", error=str(error)[:300], next="the sweeper sends them")


def ended(walk: Walk, status: WalkStatus, now_ms: int) -> Walk:
    """`walk`, over."""
    return dataclasses.replace(walk, status=status, open_key=None, ended_at_ms=now_ms)


@dataclass(frozen=True, slots=True)
class _Recording:
    """One page on its way into the database."""

    walker: Walker
    walk: Walk
    page: Page[ListedEvent]
    events: Sequence[NewEvent | None]

    def record(self, connection: Connection) -> tuple[Walk | None, list[int]]:
        """Add what the inbox lacks and move the walk on; the walk, and the row ids of what was added."""
        held = catch_up_rows.lock_walk(connection, self.walk.id)
        if held is None or not held.is_open or held.position != self.walk.position:
            return None, []  # somebody else recorded this page, or gave the walk up
        ids = [listed.id for listed in self.page.objects]
        known = catch_up_rows.stored_events(connection, ids)
        lacking = [e for e in self.events if e is not None and e.envelope.event_id not in known]
        new_ids = self._add(connection, lacking)
        if len(new_ids) < len(lacking):  # some were delivered meanwhile
            now_there = catch_up_rows.stored_events(connection, [e.envelope.event_id for e in lacking])
            known |= {event_id: row for event_id, row in now_there.items() if row.id not in set(new_ids)}
        moved = self._moved(connection, held, known, len(new_ids))
        WALKS.save(connection, [moved])
        crash_point("catch_up.before_commit")
        return moved, new_ids

    def _add(self, connection: Connection, events: Sequence[NewEvent]) -> list[int]:
        added: list[int] = []
        for some in _in_parts(events):
            added += add_events(connection, some, self.walker.make_id, delivered=False)
        return added

    def _moved(self, connection: Connection, held: Walk, known: dict[str, Stored], added: int) -> Walk:
        now_ms, listed = self.walker.clock(), self.page.objects
        held = dataclasses.replace(
            held,
            position=listed[-1].id if listed else held.position,
            reached_s=listed[-1].created_s if listed else held.reached_s,
            listed=held.listed + len(listed),
            known=held.known + len(known),
            added=held.added + added,
            unreadable=held.unreadable + sum(event is None for event in self.events),
            reads=held.reads + 1,
            tries=0,
            error=None,
            due_at_ms=now_ms + AGAIN_MS,
        )
        if held.cause == Cause.PROOF:
            tally = self._counted(connection, held, known, added)
            if self.page.after is None:
                prove(connection, held, tally, self.walker.make_id, now_ms)
            held = dataclasses.replace(held, tally=None if self.page.after is None else tally.write())
        if self.page.after is not None:
            return held
        self._advance(connection, held, now_ms)
        return dataclasses.replace(ended(held, WalkStatus.DONE, now_ms), reached_s=held.since_s)

    def _counted(self, connection: Connection, held: Walk, known: dict[str, Stored], added: int) -> Tally:
        tally = Tally.read(held.tally)
        page = [Listed(each.id, each.created_s) for each in self.page.objects]
        unread = {each.id for each, event in zip(page, self.events, strict=True) if event is None}
        tally.count(known.values())
        lacking = [each.id for each in page if each.id not in known]
        tally.missing.add(lacking)
        tally.not_healed.add(event_id for event_id in lacking if event_id in unread)
        tally.healed += added
        since_s, until_s = tally.span(page, held.since_s, held.until_s, last=self.page.after is None)
        types = None if held.all_types else HANDLED_TYPES
        tally.compare(page, catch_up_rows.events_between(connection, held.account, since_s, until_s, types))
        tally.move_on(page)
        return tally

    def _advance(self, connection: Connection, held: Walk, now_ms: int) -> None:
        """The watermark moves only here: a whole walk is at its end."""
        mark = lock_mark(connection, held.account)
        if mark is None:
            return
        if held.recipe == Recipe.ALL:
            mark = dataclasses.replace(mark, walked_at_ms=now_ms, failed_at_ms=now_ms)
            if held.advances and held.until_s > mark.walked_until_s:
                mark = dataclasses.replace(mark, walked_until_s=held.until_s)
        else:
            mark = dataclasses.replace(mark, failed_at_ms=now_ms)
        save_mark(connection, mark)


def _in_parts(events: Sequence[NewEvent]) -> Iterator[list[NewEvent]]:
    part: list[NewEvent] = []
    size = 0
    for event in events:
        if part and size + len(event.payload) > INSERT_MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(event)
        size += len(event.payload)
    if part:
        yield part
