"""One transaction of sending: answers are recorded, and the next calls written down before they are made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from payouts import gate, ledger
from payouts.answers import Answers
from payouts.books import Books
from payouts.calls import FrozenCall, Made, payout_call, reversal_call, transfer_call
from payouts.clock import Clock
from payouts.emergency_state import EMERGENCY, STANDSTILL
from payouts.event import read_payout_object
from payouts.ids import IdMaker
from payouts.leg import Attempt, Leg
from payouts.linking import link_reversals
from payouts.partner import Partner
from payouts.plan import LookUp, NewAttempt, Nothing, Repeat, goes_out, last_leg, next_step, takes_money_out
from payouts.plan import Step as PlannedStep
from payouts.readiness import GateRules, Stop
from payouts.recovery import RECOVERY, STOPPED
from payouts.request import PayoutRequest
from payouts.sightings import Sightings
from payouts.states import OPEN_REQUEST_STATUSES, AttemptStatus, LegKind, LegStatus, RequestStatus
from payouts.storage.mode_rows import standing
from payouts.storage.partner_rows import PARTNERS, lock_partners
from payouts.storage.payout_rows import lock_payouts
from payouts.storage.request_rows import PARTNER_BUSY, busy_requests, next_queued, partner_ids_of
from payouts.turns import Job, Step, Turn
from payouts.window import maintenance_stop

BUSY_MS = 5_000
RECHECK_MS = 300_000
"""How soon a request is looked at again that something stops, if nothing says so earlier."""
_EARLY_MS = 250
"""A delayed message may come this much before the time on the row."""


@dataclass(frozen=True, slots=True)
class SendingRules:
    """What sending works by, besides the database and Stripe."""

    make_id: IdMaker
    clock: Clock
    worker: str
    gate: GateRules
    shadow: bool = False
    """Decide and post, but call nothing."""
    lease_ms: int = 60_000
    """How long a turn is one worker's own: longer than a call with all its time limits. Where it is not, two
    may send the same call with the same key, and Stripe does it once."""
    maintenance: bool = False
    """Send nothing: maintenance is on by its setting."""
    emergency: Callable[[], bool] = lambda: False
    """Whether nothing is sent because emergency mode is on. Answers at once, or within Redis's time limit."""
    doubt_ms: int = 900_000
    """How long an object that may have been made is looked for, once the same key can say nothing more."""


class Desk:
    """One transaction of sending, for several requests at once."""

    def __init__(self, rules: SendingRules, connection: Connection) -> None:
        self.rules = rules
        self.connection = connection
        self.now_ms = rules.clock()
        self.books = Books(connection, rules.make_id, self.now_ms)
        self.partners: dict[int, Partner] = {}
        self.busy: dict[int, set[int]] = {}
        self.checked: set[int] = set()
        """Requests that were shown to the gate."""
        self.emergency = rules.emergency()  # before the first lock: it may have to be asked for
        self.sent: list[PayoutRequest] = []
        """Those whose money goes out with this transaction's calls."""

    def run(self, jobs: Sequence[Job]) -> list[Step]:
        """Record what came of the turns in `jobs`, then give each request its next turn."""
        request_ids = [job.request_id for job in jobs]
        partner_ids = partner_ids_of(self.connection, request_ids)
        self.partners = lock_partners(self.connection, set(partner_ids.values()))
        sightings = Sightings(
            self.rules.make_id, self.now_ms, lock_payouts(self.connection, _payouts_in(jobs))
        )
        self.books.load(request_ids)
        answers = Answers(self.books, sightings, self.partners, self.rules.doubt_ms)
        for job in jobs:
            if job.turn is not None and job.result is not None:
                answers.record(job.turn, job.result)
        sightings.insert_born(self.connection)
        for reversal in link_reversals(self.connection, sightings):
            self.books.payout_moved(reversal, None)
        turns = self._next_turns(request_ids)
        sightings.write(self.connection)
        self.books.write()
        PARTNERS.save(self.connection, list(answers.changed_partners.values()))
        if self.sent or answers.not_out:
            gate.note_outflow(
                *(self.connection, self.sent, self.rules.worker, self.rules.make_id, self.now_ms),
                answers.not_out,
            )
        waiting = self._waiting(jobs, turns)
        return [Step(turns.get(job.request_id), waiting.get(job.request_id)) for job in jobs]

    def _next_turns(self, request_ids: Sequence[int]) -> dict[int, Turn]:
        ready = [
            r for i in dict.fromkeys(request_ids) if (r := self.books.requests.get(i)) and self._is_due(r)
        ]
        if not ready:
            return {}
        self.busy = busy_requests(self.connection, {request.partner_id for request in ready})
        for request in self.books.requests.values():  # as they are now, in this transaction
            held = self.busy.setdefault(request.partner_id, set())
            (held.add if request.status in BUSY_STATUSES else held.discard)(request.id)
        standstill = self._standstill()
        outgoing = ready if standstill else self._outgoing(ready)
        self.checked = {request.id for request in outgoing}
        steps = {request.id: self._planned(request) for request in ready}
        stops = dict.fromkeys(steps, standstill) if standstill else self._stops(outgoing, steps)
        turns = {r.id: self._turn(self.books.requests[r.id], steps[r.id], stops.get(r.id)) for r in ready}
        return {request_id: turn for request_id, turn in turns.items() if turn is not None}

    def _standstill(self) -> Stop | None:
        """What stops all sending, also of what was begun before; the gravest first."""
        if self.emergency:
            return Stop(EMERGENCY, STANDSTILL)
        stands = standing(self.connection)
        if stands.recovering:
            return Stop(RECOVERY, STOPPED)
        if stands.window or self.rules.maintenance:
            return maintenance_stop(stands.window)
        return None

    def _stops(self, outgoing: Sequence[PayoutRequest], steps: Mapping[int, PlannedStep]) -> dict[int, Stop]:
        begun = {r.id for r in outgoing if not goes_out(steps[r.id], self.books.legs_of(r))}
        return gate.stops(
            *(self.connection, outgoing, self.partners, self.rules.gate, self.now_ms, self.rules.make_id),
            begun,
        )

    def _outgoing(self, ready: Sequence[PayoutRequest]) -> list[PayoutRequest]:
        """Those that would really go out now: limits on velocity must count no others."""
        starting: set[int] = set()
        outgoing = []
        for request in ready:
            if request.status == RequestStatus.REVERSING:
                continue  # what is being taken back only comes in: nothing stops it
            if request.status == RequestStatus.QUEUED:
                if request.partner_id in starting or self.busy[request.partner_id] - {request.id}:
                    continue
                starting.add(request.partner_id)
            outgoing.append(request)
        return outgoing

    def _is_due(self, request: PayoutRequest) -> bool:
        # What only waits for its turn is looked at whenever somebody comes by: the turn may be here.
        due = request.due_at_ms <= self.now_ms + _EARLY_MS or request.blocked == PARTNER_BUSY
        return request.status in OPEN_REQUEST_STATUSES and due and request.lease_until_ms <= self.now_ms

    def _planned(self, request: PayoutRequest) -> PlannedStep:
        step = next_step(
            request,
            self.books.legs_of(request),
            self.books.attempts_of(request),
            self.now_ms,
            pays_out_by_itself=self.partners[request.partner_id].manual_schedule is False,
        )
        return self._unless_it_stands(request, step)

    def _unless_it_stands(self, request: PayoutRequest, step: PlannedStep) -> PlannedStep:
        """Nothing is sent again, nor taken back, once an earlier payment of the request turned out to stand:
        what lies in the account now is another request's."""
        if not isinstance(step, NewAttempt | Repeat):
            return step
        kind = step.kind if isinstance(step, NewAttempt) else step.leg.kind
        again = step.leg is not None and takes_money_out(step.leg, self.books.legs_of(request))
        if kind == LegKind.TRANSFER or not (kind == LegKind.REVERSAL or again):
            return step
        if not self.books.is_overpaid(request):
            return step
        if isinstance(step, Repeat):
            return LookUp(step.leg, step.attempt)
        reason = "an earlier payment stands: nothing is sent again or taken back"
        if kind == LegKind.PAYOUT:
            self.books.given_up(request, reason)
        else:
            if step.leg is not None:
                self.books.change_leg(step.leg, status=LegStatus.FAILED)
            self.books.returned(request, reason)
        return Nothing()

    def _turn(self, request: PayoutRequest, step: PlannedStep, stop: Stop | None) -> Turn | None:
        partner = self.partners[request.partner_id]
        if request.status == RequestStatus.QUEUED and request.id not in self.checked:
            text = "another payout of the partner is being sent"
            self._blocked(request, Stop(PARTNER_BUSY, text, self.now_ms + BUSY_MS))
            return None
        if isinstance(step, Nothing):
            self._nothing_left(request)
            return None
        if stop is not None and not isinstance(step, LookUp):
            self._blocked(request, stop)
            return None
        if request.status == RequestStatus.QUEUED and (self.rules.shadow or request.shadow):
            self._shadowed(request)
            return None
        if self.rules.shadow and not isinstance(step, LookUp):
            # Begun before, or sent again by a person: it goes on once shadow mode is over.
            self._blocked(request, Stop("shadow_mode", "in shadow mode nothing is sent", None))
            return None
        if isinstance(step, NewAttempt):
            return self._new_attempt(request, partner, step)
        attempt = step.attempt
        if isinstance(step, Repeat):
            attempt = self.books.change_attempt(
                attempt, sends=attempt.sends + 1, last_sent_at_ms=self.now_ms, worker=self.rules.worker
            )
        return self._leased(request, step.leg, attempt, look_up=isinstance(step, LookUp))

    def _blocked(self, request: PayoutRequest, stop: Stop) -> None:
        due = self.now_ms + RECHECK_MS if stop.until_ms is None else stop.until_ms
        self.books.change_request(
            request, blocked=stop.code, blocked_text=stop.text[:1000], due_at_ms=max(due, self.now_ms + 1)
        )

    def _nothing_left(self, request: PayoutRequest) -> None:
        if request.status != RequestStatus.SENDING:
            return
        legs = self.books.legs_of(request)
        transfer, payout = last_leg(legs, LegKind.TRANSFER), last_leg(legs, LegKind.PAYOUT)
        if transfer and (payout is None or payout.stripe_id is None):
            self.books.swept(transfer)
        else:
            # Stripe has the payout in a status unknown here: its events go on from there.
            self.books.move(request, RequestStatus.SENT, "Stripe has the payout", blocked=None)

    def _shadowed(self, request: PayoutRequest) -> None:
        kinds = ledger.LedgerKind
        moved = (ledger.Movement(kinds.IN_TRANSIT, kinds.PAID, request.amount_minor),)
        self.books.post(request, "shadowed", f"request:{request.id}:shadowed", moved)
        self.books.move(request, RequestStatus.SHADOWED, "shadow mode: decided and posted, not sent")

    def _new_attempt(self, request: PayoutRequest, partner: Partner, step: NewAttempt) -> Turn:
        legs = self.books.legs_of(request)
        if goes_out(step, legs):
            self.sent.append(request)
        transfer = last_leg(legs, LegKind.TRANSFER)
        leg = step.leg or self._new_leg(request, step.kind, transfer)
        attempt_id = self.rules.make_id()
        call = self._freeze(request, partner, leg, attempt_id, transfer)
        tried = sum(attempt.leg_id == leg.id for attempt in self.books.attempts_of(request))
        attempt = Attempt(
            id=attempt_id,
            account=request.account,
            request_id=request.id,
            leg_id=leg.id,
            number=tried + 1,
            idempotency_key=call.idempotency_key,
            stripe_account=call.stripe_account,
            call=call.call,
            body=call.body(),
            status=AttemptStatus.OPEN,
            sends=1,
            first_sent_at_ms=self.now_ms,
            last_sent_at_ms=self.now_ms,
            answered_at_ms=None,
            http_status=None,
            error_code=None,
            error=None,
            stripe_request_id=None,
            worker=self.rules.worker,
        )
        self.books.add_attempt(attempt)
        if request.status == RequestStatus.QUEUED:
            request = self.books.move(
                request, RequestStatus.SENDING, "sent to Stripe", sent_at_ms=request.sent_at_ms or self.now_ms
            )
        return self._leased(request, leg, attempt, look_up=False)

    def _new_leg(self, request: PayoutRequest, kind: LegKind, transfer: Leg | None) -> Leg:
        amount = request.amount_minor
        if kind == LegKind.REVERSAL and transfer:
            amount = transfer.amount_minor - transfer.reversed_minor
        leg = Leg(
            id=self.books.new_leg_id(request),
            account=request.account,
            request_id=request.id,
            kind=kind,
            status=LegStatus.OPEN,
            amount_minor=amount,
            currency=request.currency,
            stripe_id=None,
            reversed_minor=0,
            created_at_ms=self.now_ms,
            updated_at_ms=self.now_ms,
        )
        self.books.add_leg(leg)
        return leg

    def _freeze(
        self, request: PayoutRequest, partner: Partner, leg: Leg, attempt_id: int, transfer: Leg | None
    ) -> FrozenCall:
        if leg.kind == LegKind.TRANSFER:
            return transfer_call(request, leg.id, attempt_id)
        if leg.kind == LegKind.PAYOUT:
            return payout_call(request, leg.id, attempt_id, partner.bank_account)
        transfer_id = (transfer.stripe_id if transfer else None) or ""
        return reversal_call(request, leg.id, attempt_id, transfer_id, leg.amount_minor)

    def _leased(self, request: PayoutRequest, leg: Leg, attempt: Attempt, *, look_up: bool) -> Turn:
        lease = str(self.rules.make_id())
        self.books.change_request(
            request,
            lease=lease,
            lease_until_ms=self.now_ms + self.rules.lease_ms,
            blocked=None,
            blocked_text=None,
        )
        transfer = last_leg(self.books.legs_of(request), LegKind.TRANSFER)
        return Turn(request.id, leg, attempt, look_up, lease, transfer.stripe_id if transfer else None)

    def _waiting(self, jobs: Sequence[Job], turns: dict[int, Turn]) -> dict[int, int]:
        """For requests that are through: another one of the same partner that waits in the queue."""
        through = [
            request
            for job in jobs
            if job.turn is not None
            and job.request_id not in turns
            and (request := self.books.requests.get(job.request_id)) is not None
            and request.status not in BUSY_STATUSES
        ]
        if not through:
            return {}
        waiting = next_queued(self.connection, {request.partner_id for request in through})
        return {r.id: waiting[r.partner_id] for r in through if r.partner_id in waiting}


BUSY_STATUSES = (RequestStatus.SENDING, RequestStatus.REVERSING, RequestStatus.UNCLEAR)
"""While a request is in one of these, no other one of its partner is begun."""


def _payouts_in(jobs: Sequence[Job]) -> set[str]:
    found = set()
    for job in jobs:
        if job.turn and job.turn.leg.kind == LegKind.PAYOUT and isinstance(job.result, Made):
            found.add(read_payout_object(job.result.body).id)
    return found


def trouble(
    rules: SendingRules, connection: Connection, request_id: int, error: BaseException, wait_ms: int
) -> None:
    """Something went wrong with a request that is no answer of Stripe's: it comes again later."""
    books = Books(connection, rules.make_id, rules.clock())
    books.load([request_id])
    request = books.requests.get(request_id)
    if request is None or request.status not in OPEN_REQUEST_STATUSES:
        return
    text = f"{type(error).__name__}: {error}"[:1000]
    books.change_request(
        request,
        blocked="error",
        blocked_text=text,
        tries=min(request.tries + 1, 30_000),
        due_at_ms=books.now_ms + wait_ms,
        lease=None,
        lease_until_ms=0,
    )
    books.write()
