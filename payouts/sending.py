"""Sending: each requested payout reaches Stripe once, whatever crashes in between.

Every call is written down with its key and its frozen request, and committed, before it is made. Its
answer is recorded in the next transaction, together with the call that follows. Workers that have something
to write at the same time share one transaction.
"""

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from payouts.backoff import retry_delay_ms
from payouts.calls import Call, Made, thawed
from payouts.combine import Combiner
from payouts.crash import crash_point
from payouts.desk import Desk, SendingRules, trouble
from payouts.errors import GatewayError, RowIdTakenError
from payouts.gateway import StripeGateway
from payouts.logs import get_logger
from payouts.lookout import Lookout, RestoredError
from payouts.storage.engine import is_contention, is_unavailable
from payouts.turns import Job, LookUpFailed, NotFound, Result, Step, Turn

TRIES = 8
TOGETHER_MOST = 64
PATIENCE_S = 0.01
"""How long what is to be written waits for calls whose answers may come by then, to share a transaction with
them: short beside a call to Stripe. With no call under way nothing waits."""
_WINDOW_BEFORE_S, _WINDOW_AFTER_S = 3600, 26 * 3600
"""Around the first sending of an attempt: where its payout can lie by Stripe's clock."""


class Sender:
    """Sends requests. Any number may run at once, on any machine; safe to use from several threads."""

    def __init__(
        self, engine: Engine, gateway: StripeGateway, rules: SendingRules, lookout: Lookout | None = None
    ) -> None:
        """`lookout`: stops everything where the database was restored to an earlier time."""
        self._engine = engine
        self._gateway = gateway
        self._rules = rules
        self._lookout = lookout
        self._calling = 0
        self._guard = threading.Lock()
        self._combiner: Combiner[Job, Step | Exception] = Combiner(
            self._together, TOGETHER_MOST, coming=lambda: self._calling, patience_s=PATIENCE_S
        )

    def send(self, request_id: int) -> None:
        """Take a request as far as it goes now, then those of the same partner that waited for it.

        Raises what a lost database raises; all else is recorded on the request's row.
        """
        following: int | None = request_id
        while following is not None:
            following = self._send_one(following)

    def _send_one(self, request_id: int) -> int | None:
        job = Job(request_id)
        while True:
            step = self._combiner.run(job)
            if isinstance(step, Exception):
                if is_unavailable(step):
                    raise step
                self._note_trouble(request_id, step)
                return None
            if step.turn is None:
                return step.then
            result = self._call(step.turn)
            crash_point("send.after_call")
            job = Job(request_id, step.turn, result)

    def _call(self, turn: Turn) -> Result:
        with self._guard:
            self._calling += 1
        try:
            return self._look_up(turn) if turn.look_up else self._gateway.send(thawed(turn.attempt))
        finally:
            with self._guard:
                self._calling -= 1

    def _look_up(self, turn: Turn) -> Result:
        try:
            body = self._find(turn)
        except GatewayError as error:
            return LookUpFailed(str(error), error.transient)
        return NotFound() if body is None else Made(body)

    def _find(self, turn: Turn) -> bytes | None:
        call, leg = thawed(turn.attempt), turn.leg
        if call.call == Call.TRANSFER:
            return self._gateway.find_transfer(str(call.params["transfer_group"]), leg.id)
        if call.call == Call.REVERSAL:
            return self._gateway.find_reversal(call.target or "", leg.id)
        sent_s = turn.attempt.first_sent_at_ms // 1000
        since_s, until_s = sent_s - _WINDOW_BEFORE_S, sent_s + _WINDOW_AFTER_S
        return self._gateway.find_payout(leg.account, leg.id, since_s, until_s)

    def _together(self, jobs: Sequence[Job]) -> list[Step | Exception]:
        try:
            return list(self._in_one_transaction(jobs))
        except Exception as error:  # noqa: BLE001 - it is handed to whoever brought the job
            if len(jobs) == 1:
                return [error]
            if is_unavailable(error) and not is_contention(error):
                return [error] * len(jobs)
        # One of them is what the database, or the code, does not take: the others go on.
        return [result for job in jobs for result in self._together([job])]

    def _in_one_transaction(self, jobs: Sequence[Job]) -> list[Step]:
        if self._lookout is None:
            return self._write(jobs)
        try:
            steps = self._write(jobs, self._lookout.check)
        except RestoredError as error:
            self._lookout.stop(error)
            steps = self._write(jobs)
        # Before the calls are made: what may have been paid is known outside the database, too.
        self._lookout.sent(step.turn.attempt.id for step in steps if step.turn and not step.turn.look_up)
        return steps

    def _write(self, jobs: Sequence[Job], check: Callable[[Connection], None] | None = None) -> list[Step]:
        for attempt in _retry():
            with attempt:
                with self._engine.begin() as connection:
                    if check is not None:
                        check(connection)
                    steps = Desk(self._rules, connection).run(jobs)
                    crash_point("send.before_commit")
                crash_point("send.after_commit")
                return steps
        raise AssertionError("unreachable: the retry returns or raises")

    def _note_trouble(self, request_id: int, error: Exception) -> None:
        get_logger().error("payout.trouble", request_id=request_id, error=str(error)[:300], exc_info=error)
        with self._engine.begin() as connection:
            trouble(self._rules, connection, request_id, error, retry_delay_ms(5))


def _retry() -> Retrying:
    """Seconds, bounded, jittered: what waits longer is the queue's business."""
    return Retrying(
        # A taken key: an event told of the same payout first, or a row id was drawn twice.
        retry=retry_if_exception(
            lambda error: is_contention(error) or isinstance(error, IntegrityError | RowIdTakenError)
        ),
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=0.02, max=0.5),
        reraise=True,
    )
