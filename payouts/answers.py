"""What an answer of Stripe's does to the books of a request."""

import dataclasses

from payouts import ledger
from payouts.backoff import retry_delay_ms
from payouts.books import Books, MadeLeg
from payouts.calls import NO_ACCESS, Doubt, Made, Refused, Remedy, Unknown, remedy_for
from payouts.errors import PayloadError
from payouts.event import read_payout_object
from payouts.gate import NotOut
from payouts.leg import Attempt, Leg
from payouts.partner import Partner, PartnerState
from payouts.plan import last_leg, takes_money_out
from payouts.request import PayoutRequest
from payouts.sightings import Cause, Sightings
from payouts.states import AttemptStatus, LegKind, LegStatus, RequestStatus
from payouts.storage.request_notices import RequestNotice
from payouts.storage.request_rows import ACCOUNT_BALANCE, PLATFORM_BALANCE
from payouts.transfer import read_reversal_object, read_transfer_object
from payouts.turns import LookUpFailed, NotFound, Result, Turn

WAIT_MS = 3_600_000
"""How long a request waits for money or a limit before it is tried again without a hint from Stripe."""
KEY_WAIT_MS = 60_000
LIMITED_MS = 1_000
LOOK_AGAIN_MS = 30_000


class Answers:
    """Records the answers of one transaction."""

    def __init__(
        self, books: Books, sightings: Sightings, partners: dict[int, Partner], doubt_ms: int
    ) -> None:
        self.doubt_ms = doubt_ms
        self.books = books
        self.sightings = sightings
        self.partners = partners
        self.changed_partners: dict[int, Partner] = {}
        self.not_out: list[NotOut] = []
        """What was counted as going out and was refused."""

    def record(self, turn: Turn, result: Result) -> None:
        """Record what came of a turn, unless an event or another worker was faster."""
        books = self.books
        if turn.attempt.id not in books.attempts:
            return  # a restore has lost it: what Stripe made is found by what it names
        request, attempt = books.requests[turn.request_id], books.attempts[turn.attempt.id]
        leg = books.legs[turn.leg.id]
        if request.lease == turn.lease:
            request = books.change_request(request, lease=None, lease_until_ms=0)
        if isinstance(result, Made):
            self._made(request, leg, result)
        elif attempt.status != AttemptStatus.OPEN:
            return
        elif isinstance(result, Refused):
            self._refused(request, leg, attempt, result)
        elif isinstance(result, Unknown):
            self._unknown(request, attempt, result)
        else:
            self._not_found(request, attempt, result)

    def _made(self, request: PayoutRequest, leg: Leg, made: Made) -> None:
        if leg.kind == LegKind.TRANSFER:
            transfer = read_transfer_object(made.body)
            self._check(leg, transfer.amount, transfer.currency)
            if not self.books.leg_made(leg, MadeLeg(transfer.id, made.stripe_request_id)):
                self._doubled(request, leg, transfer.id)
            elif self.partners[request.partner_id].manual_schedule is False:
                self.books.swept(leg)
        elif leg.kind == LegKind.PAYOUT:
            self._payout_made(leg, made)
        else:
            reversal = read_reversal_object(made.body)
            self._check(leg, reversal.amount, reversal.currency)
            self.books.leg_made(leg, MadeLeg(reversal.id, made.stripe_request_id))
            transfer_leg = last_leg(self.books.legs_of(request), LegKind.TRANSFER)
            if transfer_leg:
                # It was over all that was left, so nothing is left now, whatever event came before this.
                self.books.transfer_reversed(transfer_leg, transfer_leg.amount_minor)

    def _payout_made(self, leg: Leg, made: Made) -> None:
        seen = read_payout_object(made.body)
        self._check(leg, seen.amount, seen.currency)
        held = self.sightings.payout(seen.id)
        if held is not None and held.request_id is None:
            # Its event came first and could not be told for ours: it is now, and the books catch up.
            held = self.sightings.link(held, leg.request_id)
            if self.books.leg_made(leg, MadeLeg(seen.id, made.stripe_request_id)):
                self.books.payout_moved(held, None)
        before = len(self.sightings.transitions)
        self.sightings.see(Cause(leg.account), seen, leg.request_id)
        if not self.books.leg_made(leg, MadeLeg(seen.id, made.stripe_request_id)):
            self._doubled(self.books.requests[leg.request_id], leg, seen.id)
            return
        for row in self.sightings.transitions[before:]:
            self.books.payout_moved(row.payout, row.transition.from_status)

    def _doubled(self, request: PayoutRequest, leg: Leg, stripe_id: str) -> None:
        text = f"Stripe made {stripe_id} although {leg.stripe_id} was made for the same leg: money left twice"
        notice = RequestNotice("alert.payout_duplicate", request, self.books.now_ms, text, stripe_id)
        self.books.notices.append(notice)

    def _check(self, leg: Leg, amount_minor: int, currency: str) -> None:
        if (leg.amount_minor, leg.currency) != (amount_minor, currency.lower()):
            said = f"{amount_minor} {currency}"
            raise PayloadError(f"asked for {leg.amount_minor} {leg.currency}, Stripe made {said}")

    def _refused(self, request: PayoutRequest, leg: Leg, attempt: Attempt, refused: Refused) -> None:
        remedy = remedy_for(refused)
        if refused.code == NO_ACCESS and attempt.sends > 1:
            # Said before the key is looked at: what an earlier sending did only a look can tell.
            self.books.change_attempt(attempt, error_code=Doubt.REPEATED_ERROR, error=refused.text[:1000])
            if not self._asked_since(request, attempt.last_sent_at_ms):
                self._restrict(request, refused.text)
            self._try_again(request, Doubt.REPEATED_ERROR, refused.text, LOOK_AGAIN_MS, request.tries + 1)
            return
        if remedy == Remedy.BUG:
            # The key was used with another request: what became of that one only a look can tell.
            self.books.change_attempt(
                attempt, error_code=Doubt.REPEATED_ERROR, error=refused.text[:1000], http_status=400
            )
            self.books.move(request, RequestStatus.UNCLEAR, refused.text)
            return
        self.books.change_attempt(
            attempt,
            status=AttemptStatus.REFUSED,
            answered_at_ms=self.books.now_ms,
            http_status=refused.http_status,
            error_code=refused.code[:64],
            error=refused.text[:1000],
            stripe_request_id=refused.stripe_request_id,
        )
        if takes_money_out(leg, self.books.legs_of(request)):
            self.not_out.append(NotOut(request, attempt.first_sent_at_ms))
        if remedy == Remedy.WAIT_FOR_BALANCE:
            code = PLATFORM_BALANCE if leg.kind == LegKind.TRANSFER else ACCOUNT_BALANCE
            self._wait(request, leg, code, refused.text)
        elif remedy == Remedy.LATER:
            self._wait(request, leg, "later", refused.text)
        else:
            # A repeated key is answered with what was said at first.
            is_old = self._asked_since(request, attempt.first_sent_at_ms)
            if remedy == Remedy.PARTNER and not is_old:
                self._restrict(request, refused.text)
            again_ms = LOOK_AGAIN_MS if is_old else WAIT_MS
            self._end(request, leg, refused, again_ms if remedy == Remedy.PARTNER else None)

    def _wait(self, request: PayoutRequest, leg: Leg, code: str, text: str, wait_ms: int = WAIT_MS) -> None:
        due = self.books.now_ms + wait_ms
        if leg.kind == LegKind.TRANSFER and request.status == RequestStatus.SENDING:
            # Nothing has moved: it may be called off, and holds up no other request of the partner.
            request = self.books.move(request, RequestStatus.QUEUED, text)
        self.books.change_request(request, blocked=code, blocked_text=text[:1000], due_at_ms=due)

    def _end(self, request: PayoutRequest, leg: Leg, refused: Refused, again_ms: int | None) -> None:
        """The leg has failed; a transfer comes again after `again_ms` where that is not None."""
        if leg.kind == LegKind.TRANSFER and again_ms is not None:
            self._wait(request, leg, "partner_not_ready", refused.text, again_ms)
            return
        self.books.change_leg(leg, status=LegStatus.FAILED)
        amount = leg.amount_minor
        if leg.kind == LegKind.TRANSFER:
            self.books.post(request, "refused", f"request:{request.id}:back", ledger.given_back(amount))
            self.books.move(request, RequestStatus.FAILED, refused.text)
            return
        if leg.kind == LegKind.PAYOUT:
            kinds = ledger.LedgerKind
            back = (ledger.Movement(kinds.IN_TRANSIT, kinds.RETURNED, amount),)
            self.books.post(request, "payout_refused", f"leg:{leg.id}:refused", back)
        self.books.returned(request, refused.text)

    def _asked_since(self, request: PayoutRequest, said_at_ms: int) -> bool:
        """Whether Stripe told of the account after a refusal was said, at the earliest: what was wrong may be
        mended. If not, the next attempt shows it."""
        return (self.partners[request.partner_id].refreshed_at_ms or 0) > said_at_ms

    def _restrict(self, request: PayoutRequest, text: str) -> None:
        partner = self.partners[request.partner_id]
        if partner.state not in (PartnerState.READY, PartnerState.RESTRICTED):
            return  # blocked it stays, whatever was under way; unverified it is asked for anyway
        changed = dataclasses.replace(
            partner, state=PartnerState.RESTRICTED, state_reason=text[:1000], updated_at_ms=self.books.now_ms
        )
        self.partners[partner.id] = self.changed_partners[partner.id] = changed

    def _unknown(self, request: PayoutRequest, attempt: Attempt, unknown: Unknown) -> None:
        self.books.change_attempt(
            attempt,
            http_status=unknown.http_status,
            error_code=unknown.doubt,
            error=unknown.text[:1000],
            stripe_request_id=unknown.stripe_request_id or attempt.stripe_request_id,
        )
        counts = unknown.doubt != Doubt.LIMITED
        tries = request.tries + counts
        waits = {Doubt.LIMITED: LIMITED_MS, Doubt.KEY_REFUSED: KEY_WAIT_MS, Doubt.REPEATED_ERROR: 0}
        wait_ms = waits.get(unknown.doubt, -1)
        if wait_ms < 0:
            wait_ms = retry_delay_ms(tries)
        self._try_again(request, unknown.doubt, unknown.text, wait_ms, tries)

    def _not_found(self, request: PayoutRequest, attempt: Attempt, result: NotFound | LookUpFailed) -> None:
        age_ms = self.books.now_ms - attempt.first_sent_at_ms
        if isinstance(result, LookUpFailed) and not result.passes and age_ms >= self.doubt_ms:
            # An account that is left for good, say: only a person can find out any more.
            text = f"Stripe cannot be asked what became of it: {result.text}"[:1000]
            self.books.move(request, RequestStatus.UNCLEAR, text, blocked="unclear", blocked_text=text)
        elif isinstance(result, LookUpFailed):
            wait_ms = max(LOOK_AGAIN_MS, retry_delay_ms(request.tries + 1))
            self._try_again(request, "look_up", result.text, wait_ms, request.tries + 1)
        elif age_ms >= self.doubt_ms:
            text = (
                f"Stripe shows nothing of what was sent {age_ms // 60_000} minutes ago, and the same key "
                "says no more: find out by hand, then `payouts payout look` or `payouts payout never-made`"
            )
            self.books.move(request, RequestStatus.UNCLEAR, text, blocked="unclear", blocked_text=text)
        else:
            text = "Stripe shows nothing of it yet; it is looked for again"
            wait_ms = min(LOOK_AGAIN_MS, self.doubt_ms - age_ms)
            self._try_again(request, "look_up", text, wait_ms, request.tries + 1)

    def _try_again(self, request: PayoutRequest, code: str, text: str, wait_ms: int, tries: int) -> None:
        due = self.books.now_ms + wait_ms
        self.books.change_request(
            request, blocked=code, blocked_text=text[:1000], due_at_ms=due, tries=min(tries, 30_000)
        )
