"""One transaction's worth of events: decided in memory on locked rows, then written in sets."""

import dataclasses
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from payouts.backoff import retry_delay_ms
from payouts.books import Books, MadeLeg
from payouts.calls import METADATA_LEG
from payouts.clock import Clock
from payouts.errors import PayloadUnavailableError, PayoutsError
from payouts.event import THIN, PayoutObject, read_payout, read_related
from payouts.ids import IdMaker, time_of
from payouts.leg import Leg
from payouts.linking import link_reversals, lock_with_counterparts
from payouts.machine import Alert, Applied, Decision, Deferred, Ignored, decide
from payouts.outcome import BatchResult, Outcome
from payouts.payloads import Payloads
from payouts.refreshing import is_covered
from payouts.sightings import Cause, Sightings, moves_of
from payouts.states import SETTLED_EVENT_STATUSES, EventStatus, LegKind
from payouts.storage import inbox
from payouts.storage.columns import PLATFORM
from payouts.storage.failure_rows import Failure, forget_failures, record_failures
from payouts.storage.inbox import WorkItem
from payouts.storage.partner_rows import registered_accounts
from payouts.storage.payout_rows import lock_payouts
from payouts.storage.request_rows import legs_by_id, legs_by_stripe_id, wake_for_balance
from payouts.transfer import TransferObject, leg_id_in, read_transfer

PAYOUT_TYPES, TRANSFER_TYPES = "payout.", "transfer."
BALANCE_AVAILABLE = "balance.available"
ACCOUNT_TYPES = ("account.", "capability.")
FOLLOWED_RELATED = frozenset({"payout", "v1.payout"})
"""Types of related objects that a thin event is looked up for."""
LOOKUP_WAIT_MS = 60_000
"""How long a deferred event waits for its look-up before the sweeper sends it again."""
BLOCKED_WAIT_MS = 300_000
"""How long an event waits that a person or a setting holds up (no key that opens it, access lost)."""


def read_as_sent(_: WorkItem, payload: bytes) -> PayoutObject:
    """The payout inside a `payout.*` event. Raises PayloadError."""
    return read_payout(payload)


class DeadEventError(Exception):
    """The machine decided that an event cannot be applied; the message is its reason."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a batch works by, besides the database."""

    make_id: IdMaker
    clock: Clock
    worker: str
    """Who is working, for the record of failed attempts: host and process."""
    max_attempts: int
    decide: Callable[..., Decision] = decide
    payloads: Payloads = field(default_factory=Payloads)
    """Opens what the inbox has."""
    read: Callable[[WorkItem, bytes], PayoutObject] = read_as_sent
    """Reads `payout.*` events."""


@dataclass(slots=True)
class _Work:
    """What a batch decided so far about its events and has yet to write."""

    final: list[tuple[int, EventStatus, str | None]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    deferrals: list[tuple[int, str]] = field(default_factory=list)
    healed: list[int] = field(default_factory=list)
    """Events that had failed before, and do not any longer."""
    blocked: list[tuple[int, str]] = field(default_factory=list)
    result: BatchResult = field(default_factory=BatchResult)

    def fork(self) -> "_Work":
        """A copy to go on with, that can be thrown away."""
        copies = {f.name: copy(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "result"}
        result = BatchResult(*(copy(getattr(self.result, f.name)) for f in dataclasses.fields(BatchResult)))
        return _Work(**copies, result=result)


class Batch:
    """One transaction's worth of events: decided in memory on locked rows, then written in sets."""

    def __init__(self, rules: Rules, connection: Connection) -> None:
        self.rules = rules
        self.connection = connection
        self.now_ms = rules.clock()
        self.work = _Work()
        self.books = Books(connection, rules.make_id, self.now_ms)
        self._linked: dict[str, Leg] = {}
        self._partners: dict[str, int | None] = {}
        """Accounts of partners, with when Stripe was last asked about each."""

    def run(self, items: Sequence[WorkItem]) -> BatchResult:
        """Decide on `items` in order and write what came of them."""
        payouts: list[tuple[WorkItem, PayoutObject]] = []
        transfers: list[tuple[WorkItem, TransferObject]] = []
        about_accounts = {item.account for item in items if item.type.startswith(ACCOUNT_TYPES)}
        if about_accounts:
            self._partners = registered_accounts(self.connection, about_accounts)
        for item in items:
            try:
                seen = self._read(item)
            except PayloadUnavailableError as error:
                self._block(item, error)
                continue
            except Exception as error:  # noqa: BLE001 - whatever one event does, its neighbours go on
                self._fail(item, error)
                continue
            if isinstance(seen, PayoutObject):
                payouts.append((item, seen))
            elif isinstance(seen, TransferObject):
                transfers.append((item, seen))
        return self.settle(payouts, transfers)

    def settle(
        self,
        payouts: Sequence[tuple[WorkItem, PayoutObject]],
        transfers: Sequence[tuple[WorkItem, TransferObject]] = (),
        *,
        confirmed: bool = False,
    ) -> BatchResult:
        """Decide on each pair in order and write what came of it. `confirmed`: fetched from Stripe."""
        sightings = self._see(payouts, confirmed)
        legs = self._legs_of(transfers)
        moves = moves_of(sightings.transitions)
        # Last, and from nothing: what was seen of them before they were linked moved no books.
        moves += [(reversal, None) for reversal in link_reversals(self.connection, sightings)]
        requests = {payout.request_id for payout, _ in moves} | {leg.request_id for leg in legs.values()}
        self.books.load(request_id for request_id in requests if request_id is not None)
        self._note_made(sightings)
        for payout, old in moves:
            self.books.payout_moved(payout, old)
        for item, seen in transfers:
            self._transfer(item, seen, legs.get(seen.id))
        sightings.write(self.connection)
        self.work.result.moves += [row.transition.to_status for row in sightings.transitions]
        self._write()
        self.work.result.notices += len(sightings.notices) + len(self.books.notices)
        return self.work.result

    def _see(self, pairs: Sequence[tuple[WorkItem, PayoutObject]], confirmed: bool) -> Sightings:
        held = lock_with_counterparts(self.connection, (seen for _, seen in pairs))
        legs = self._legs_named([pair for pair in pairs if pair[1].id not in held])
        before = self.work
        while True:
            self.work = before.fork()
            sightings = Sightings(self.rules.make_id, self.now_ms, held, self.rules.decide)
            for item, seen in pairs:
                leg = legs.get(seen.id)
                self._decide_one(sightings, item, seen, leg.request_id if leg else None, confirmed)
            try:
                sightings.insert_born(self.connection)
            except IntegrityError:
                # Somebody else saw a new payout first. Only this statement is undone: read what is there
                # now, and decide again.
                found = lock_payouts(self.connection, sightings.born)
                if not found:
                    raise
                held |= found
            else:
                self._linked = {key: leg for key, leg in legs.items() if key in sightings.born}
                return sightings

    def _legs_named(self, unknown: Sequence[tuple[WorkItem, PayoutObject]]) -> dict[str, Leg]:
        """The legs of ours that new payouts name in their metadata, by Stripe's id."""
        found = {}
        named = {seen.id: leg_id_in(seen.metadata, METADATA_LEG) for _, seen in unknown if seen.metadata}
        legs = legs_by_id(self.connection, {leg_id for leg_id in named.values() if leg_id is not None})
        for item, seen in unknown:
            leg = legs.get(named.get(seen.id) or 0)
            # Whoever holds the account can write any metadata: it counts only where all else fits.
            fits = leg and leg.kind == LegKind.PAYOUT and leg.account == item.account and _same(leg, seen)
            if leg and fits and leg.stripe_id in (None, seen.id):
                found[seen.id] = leg
        return found

    def _note_made(self, sightings: Sightings) -> None:
        self.books.load({leg.request_id for leg in self._linked.values()})
        for stripe_id, leg in self._linked.items():
            payout = sightings.payout(stripe_id)
            if payout is not None and not self.books.leg_made(leg, MadeLeg(stripe_id)):
                text = f"Stripe has a second payout for one leg of {payout.request_id}: {stripe_id}"
                sightings.alert(Cause(payout.account), payout, (Alert("alert.payout_duplicate", text),))

    def _legs_of(self, transfers: Sequence[tuple[WorkItem, TransferObject]]) -> dict[str, Leg]:
        if not transfers:
            return {}
        known = legs_by_stripe_id(self.connection, {seen.id for _, seen in transfers})
        named = {seen.id: leg_id_in(seen.metadata, METADATA_LEG) for _, seen in transfers}
        legs = legs_by_id(self.connection, {leg_id for leg_id in named.values() if leg_id is not None})
        found = {key: legs[leg_id] for key, leg_id in named.items() if leg_id in legs}
        return {**found, **known}

    def _transfer(self, item: WorkItem, seen: TransferObject, leg: Leg | None) -> None:
        if leg is None or leg.kind != LegKind.TRANSFER or not _same(leg, seen):
            self._finish(item, EventStatus.IGNORED, "transfer of no request of this service")
            return
        before = self.books.legs[leg.id]
        made = self.books.leg_made(leg, MadeLeg(seen.id))
        if not made:
            held = f"{before.stripe_id} was made for the same leg"
            self._fail(item, DeadEventError(f"a second transfer for one leg: {held}"))
            return
        self.books.transfer_reversed(leg, seen.amount_reversed)
        if self.books.legs[leg.id] is before:
            self._finish(item, EventStatus.IGNORED, f"transfer already {before.status}")
            return
        self.work.result.requests.append(leg.request_id)
        self._finish(item, EventStatus.APPLIED, f"transfer {self.books.legs[leg.id].status}")

    def finish_one(self, item: WorkItem, reason: str) -> BatchResult:
        """Note that `item` took effect, and nothing else."""
        self._finish(item, EventStatus.APPLIED, reason)
        self._write()
        return self.work.result

    def fail_one(self, item: WorkItem, error: BaseException) -> BatchResult:
        """Record a failed attempt at `item`, and nothing else."""
        self._fail(item, error)
        self._write()
        return self.work.result

    def defer_one(self, item: WorkItem, reason: str, wait_ms: int) -> BatchResult:
        """Put `item` off for `wait_ms`, and nothing else; no attempt is counted."""
        self._defer(item, Deferred(reason))
        self._write(wait_ms)
        return self.work.result

    def _write(self, deferred_ms: int = LOOKUP_WAIT_MS) -> None:
        work = self.work
        self.books.write()
        record_failures(self.connection, work.failures, self.rules.make_id)
        forget_failures(self.connection, work.healed)
        for inbox_id, reason in work.deferrals:
            inbox.defer(self.connection, inbox_id, reason, self.now_ms + deferred_ms)
        for inbox_id, reason in work.blocked:
            inbox.defer(self.connection, inbox_id, reason, self.now_ms + BLOCKED_WAIT_MS)
        inbox.finish(self.connection, work.final, self.now_ms)

    def _read(self, item: WorkItem) -> PayoutObject | TransferObject | None:
        """What the event shows; None where it is settled by itself."""
        if item.kind == THIN:
            self._thin(item)
            return None
        if item.type.startswith(PAYOUT_TYPES):
            return self.rules.read(item, self._payload(item))
        if item.type.startswith(TRANSFER_TYPES) and item.account == PLATFORM:
            return read_transfer(self._payload(item))
        if item.type == BALANCE_AVAILABLE:
            woken = wake_for_balance(self.connection, item.account, self.now_ms)
            self.work.result.requests += woken
            status = EventStatus.APPLIED if woken else EventStatus.IGNORED
            self._finish(item, status, "requests go on" if woken else "no request waits for a balance")
            return None
        if item.type.startswith(ACCOUNT_TYPES):
            if item.account in self._partners:
                self._account(item)
            else:
                self._finish(item, EventStatus.IGNORED, "no partner has this account")
            return None
        self._finish(item, EventStatus.IGNORED, f"event type {item.type} is not followed")
        return None

    def _payload(self, item: WorkItem) -> bytes:
        return self.rules.payloads.open(self.connection, item.id, item.payload)

    def _account(self, item: WorkItem) -> None:
        """An account has no rank to order its events by: Stripe is asked how it is now, once for all that
        came before the question."""
        if is_covered(time_of(item.id), self._partners[item.account]):
            self._finish(item, EventStatus.IGNORED, "the account was asked for after this came")
            return
        self._defer(item, Deferred("the account is asked for", ask_stripe=True))

    def _thin(self, item: WorkItem) -> None:
        related = read_related(self._payload(item))
        if related and related.type in FOLLOWED_RELATED:
            self._defer(item, Deferred(f"thin event: {related.type} is fetched", ask_stripe=True))
            return
        about = related.type if related else "nothing"
        self._finish(item, EventStatus.IGNORED, f"thin event {item.type} about {about}: not followed")

    def _decide_one(
        self,
        sightings: Sightings,
        item: WorkItem,
        seen: PayoutObject,
        request_id: int | None,
        confirmed: bool,
    ) -> None:
        cause = Cause(item.account, item.id, item.event_id)
        try:
            decision = sightings.see(cause, seen, request_id, confirmed=confirmed)
        except Exception as error:  # noqa: BLE001 - whatever one event does, its neighbours go on
            self._fail(item, error)
            return
        if isinstance(decision, Applied):
            move = decision.transition
            reason = move.reason if move else "details only"
            detail = f"{move.from_status or 'new'} → {move.to_status}" if move else reason
            self._finish(item, EventStatus.APPLIED, reason, detail)
        elif isinstance(decision, Ignored):
            self._finish(item, EventStatus.IGNORED, decision.reason)
        elif isinstance(decision, Deferred):
            self._defer(item, decision)
            current = sightings.payout(seen.id)
            if current is not None:
                sightings.alert(cause, current, decision.alerts)
        else:
            self._fail(item, DeadEventError(decision.reason))

    def _finish(self, item: WorkItem, status: EventStatus, reason: str, detail: str = "") -> None:
        # Of an event that is replayed although it was through: what is right already stays as it was noted.
        if status == EventStatus.APPLIED or item.status not in SETTLED_EVENT_STATUSES:
            self.work.final.append((item.id, status, reason))
            self._healed(item)
        self._note(item, status, detail or reason)

    def _defer(self, item: WorkItem, decision: Deferred) -> None:
        settled = item.status in SETTLED_EVENT_STATUSES
        if not settled:
            self.work.deferrals.append((item.id, decision.reason))
            self._healed(item)
        if decision.ask_stripe:
            asked = self.work.result.asked_again if settled else self.work.result.lookups
            asked.append(item.id)
        elif settled:
            self.work.result.not_run.append(item.id)
        self._note(item, EventStatus.DEFERRED, decision.reason)

    def _block(self, item: WorkItem, error: PayloadUnavailableError) -> None:
        """Put off until a person or a setting helps; a missing key must not kill what it would open."""
        if item.status in SETTLED_EVENT_STATUSES:
            self.work.result.not_run.append(item.id)
        else:
            self.work.blocked.append((item.id, str(error)))
            self._healed(item)
        self._note(item, EventStatus.DEFERRED, str(error)[:300])

    def _fail(self, item: WorkItem, error: BaseException) -> None:
        """A failed attempt: tried again later, or dead where that cannot help."""
        attempt = item.attempts + 1
        hopeless = isinstance(error, DeadEventError) or (
            isinstance(error, PayoutsError) and not error.transient
        )
        # One that died is tried again by itself only after an error that says that it passes.
        passes = isinstance(error, PayoutsError) and error.transient and attempt % self.rules.max_attempts
        heals = not hopeless and bool(attempt < self.rules.max_attempts or passes)
        delay_ms = retry_delay_ms(attempt) if heals else None
        due_at_ms = None if delay_ms is None else self.now_ms + delay_ms
        if item.status in SETTLED_EVENT_STATUSES:  # it took effect once: only its replay failed
            self._note(item, EventStatus.DEAD, f"replay failed: {type(error).__name__}: {error}"[:300])
            return
        self.work.failures.append(Failure(item, error, self.rules.worker, self.now_ms, due_at_ms))
        if delay_ms is not None:
            self.work.result.retries.append((item.id, delay_ms))
        status = EventStatus.RETRYING if heals else EventStatus.DEAD
        self._note(item, status, f"{type(error).__name__}: {error}"[:300])

    def _healed(self, item: WorkItem) -> None:
        if item.attempts:
            self.work.healed.append(item.id)

    def _note(self, item: WorkItem, status: EventStatus, detail: str) -> None:
        first = item.status == EventStatus.RECEIVED
        waited_ms = max(0, self.now_ms - time_of(item.id)) if first else None
        outcome = Outcome(item.id, item.event_id, item.type, status, detail, item.object_id, waited_ms)
        self.work.result.outcomes.append(outcome)


def _same(leg: Leg, seen: PayoutObject | TransferObject) -> bool:
    return (leg.amount_minor, leg.currency) == (seen.amount, seen.currency.lower())
