"""Reconciling: what Stripe has, compared with our books, account by account.

An account is compared in stages, each in pages, each with its progress kept. What is cut short, by the number
of answers that may be asked for or by a crash, goes on where it stopped. What the state machine can heal is
settled as its event would be; all else is reported until it is gone.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence

from sqlalchemy import Engine

from payouts.budget import Budget
from payouts.clock import Clock
from payouts.comparison import Comparison, stripe_account
from payouts.difference import OBJECT_KINDS, OVERDUE_KINDS, DifferenceKind, Finding
from payouts.errors import GatewayError
from payouts.gateway import StripeGateway, Window
from payouts.ids import IdMaker
from payouts.lateness import find_late
from payouts.recording import Recorder
from payouts.storage import progress_rows
from payouts.storage.books_pages import balances_of, payouts_after, shadowed, transfers_after, under_way
from payouts.storage.columns import PLATFORM
from payouts.storage.difference_rows import open_of
from payouts.storage.progress_rows import Progress, Stage
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction
from payouts.weighing import Reading, as_if_sent, weigh

LOOKBACK_S = 10 * 24 * 3600
"""How far back objects are compared each time: past the days in which a bank returns a payout."""
GRACE_S = 300
"""What is younger may be on its way into our books."""
CLOCKS_DIFFER_MS = 60_000
LEASE_MS = 180_000
OURS_AT_ONCE = 500
OPEN_AT_ONCE = LOOKS_AT_ONCE = 20
"""Single objects that are asked for in one step: each step renews the lease."""
FORGET_AT_ONCE = 2_000

_LISTS = (Stage.TRANSFERS, Stage.PAYOUTS)
"""Stages that ask Stripe at every step; the others ask where they have to."""
_CLEANING = (Stage.BEGIN, Stage.END)
"""Stages that never ask."""
_MORE = ""
"""The position of a stage that is not over and needs none to go on."""


class Reconciler:
    """Compares accounts. Any number may run, each account by one at a time; safe to use from threads."""

    def __init__(
        self,
        engine: Engine,
        gateway: StripeGateway,
        make_id: IdMaker,
        clock: Clock,
        *,
        shadow: bool = False,
    ) -> None:
        """`shadow`: another system pays what is only decided here, from the same balance at Stripe."""
        self._engine = engine
        self._gateway = gateway
        self._make_id = make_id
        self._clock = clock
        self._shadow = shadow
        self._recorder = Recorder(engine, make_id, clock)
        self._stages: dict[Stage, Callable[[Progress, Budget], str | None]] = {
            Stage.BEGIN: self._forget,
            Stage.TRANSFERS: self._transfers,
            Stage.LOST_TRANSFERS: self._lost_transfers,
            Stage.PAYOUTS: self._payouts,
            Stage.LOST_PAYOUTS: self._lost_payouts,
            Stage.OPEN: self._open,
            Stage.BALANCE: self._balance,
            Stage.END: self._forget,
        }
        """Each takes a step and returns its position; None: the stage is over."""

    def compare(self, account: str, budget: Budget, since_s: int | None = None) -> bool:
        """Compare an account as far as `budget` goes; whether it came to the end.

        `since_s`: begin anew, with what was created from then on. An account that somebody else is at counts
        as done. Raises GatewayError where Stripe gives no answer for the moment.
        """
        progress = self._claim(account, since_s)
        if progress is None:
            return True
        try:
            while progress.stage != Stage.DONE and not (budget.is_spent and progress.stage in _LISTS):
                position = self._stages[progress.stage](progress, budget)
                progress = self._advance(progress, position)
                if budget.is_spent and position is not None and progress.stage not in _CLEANING:
                    break
        except GatewayError as error:
            if error.transient or error.blocked:
                raise
            self._recorder.report([_unreadable(account, error)])
            progress = self._ended(progress)
        finally:
            self._save(dataclasses.replace(progress, lease_until_ms=0))
        return progress.stage == Stage.DONE

    def compare_one(self, account: str, stripe_id: str, budget: Budget) -> list[Finding]:
        """Compare only this payout or transfer; what differs and did not heal. Raises GatewayError."""
        comparison = self._comparison(account, budget)
        comparison.one(stripe_id)
        found = self._recorder.record(comparison)
        self._recorder.close(account, {stripe_id}, OBJECT_KINDS - {finding.kind for finding in found})
        return found

    def find_late(self, account: str | None = None) -> None:
        """Report what takes too long by our own books, and close what no longer does."""
        began_at_ms = self._clock()
        for findings in find_late(self._engine, began_at_ms, account):
            self._recorder.report(findings)
        self._recorder.close_unseen(OVERDUE_KINDS, began_at_ms, account)

    def _forget(self, progress: Progress, budget: Budget) -> str | None:
        count = in_transaction(
            self._engine,
            lambda connection: progress_rows.forget_seen(connection, progress.account, FORGET_AT_ONCE),
        )
        return _MORE if count else None

    def _transfers(self, progress: Progress, budget: Budget) -> str | None:
        comparison = self._comparison(progress.account, budget)
        budget.take()
        page = self._gateway.transfers_page(_window(progress), progress.position or None)
        comparison.transfers(page.objects)
        self._recorder.record(comparison, [seen.id for seen in page.objects])
        return page.after

    def _payouts(self, progress: Progress, budget: Budget) -> str | None:
        account = progress.account
        comparison = self._comparison(account, budget)
        budget.take()
        page = self._gateway.payouts_page(
            stripe_account(account), _window(progress), progress.position or None
        )
        comparison.payouts(page.objects)
        self._recorder.record(comparison, [seen.id for seen in page.objects])
        return page.after

    def _lost_transfers(self, progress: Progress, budget: Budget) -> str | None:
        window = _window(progress)
        with reading(self._engine) as connection:
            legs = transfers_after(connection, window, int(progress.position or 0), OURS_AT_ONCE)
        # A leg that changed later was perhaps made after what Stripe was asked for.
        made_before_ms = window.until_s * 1000 - CLOCKS_DIFFER_MS
        ours = {leg.stripe_id: leg.id for leg in legs if leg.stripe_id and leg.updated_at_ms < made_before_ms}
        return self._look_for(progress, budget, ours, [leg.id for leg in legs])

    def _lost_payouts(self, progress: Progress, budget: Budget) -> str | None:
        window, after_id = _window(progress), int(progress.position or 0)
        with reading(self._engine) as connection:
            rows = payouts_after(connection, progress.account, window, after_id, OURS_AT_ONCE)
        ours = {
            row.stripe_id: row.id
            for row in rows
            if window.since_s <= (row.created_s or 0) <= window.until_s
            and row.created_at_ms < progress.began_at_ms
        }
        return self._look_for(progress, budget, ours, [row.id for row in rows])

    def _look_for(
        self, progress: Progress, budget: Budget, ours: Mapping[str, int], row_ids: Sequence[int]
    ) -> str | None:
        """Ask Stripe for each of ours that it did not list, before that is called a difference."""
        with reading(self._engine) as connection:
            listed = progress_rows.seen_among(connection, progress.account, ours)
        lost = [(stripe_id, row_id) for stripe_id, row_id in ours.items() if stripe_id not in listed]
        for count, (stripe_id, row_id) in enumerate(lost):
            if budget.is_spent or count == LOOKS_AT_ONCE:
                return str(row_id - 1)
            self.compare_one(progress.account, stripe_id, budget)
        return str(row_ids[-1]) if len(row_ids) == OURS_AT_ONCE else None

    def _open(self, progress: Progress, budget: Budget) -> str | None:
        """Look at what differed before and was not seen again since this comparison began."""
        account = progress.account
        unreadable = frozenset({DifferenceKind.UNREADABLE})
        self._recorder.close(account, {account}, unreadable)
        with reading(self._engine) as connection:
            rows = open_of(connection, account, OBJECT_KINDS, progress.began_at_ms, OPEN_AT_ONCE)
        for row in rows:
            if budget.is_spent:
                return _MORE
            self.compare_one(account, row.subject, budget)
        return _MORE if rows else None

    def _balance(self, progress: Progress, budget: Budget) -> str | None:
        account = progress.account
        before = self._books(account)
        if not before[0]:
            return None
        if budget.is_spent:
            return _MORE
        budget.take()
        theirs = self._gateway.balance(stripe_account(account))
        weighed = weigh(account, [*self._shadowed(account, before), before, self._books(account)], theirs)
        self._recorder.report(weighed.findings)
        self._recorder.close(account, weighed.even, {weighed.kind})
        return None

    def _books(self, account: str) -> Reading:
        with reading(self._engine) as connection:
            return balances_of(connection, account), under_way(connection, account)

    def _shadowed(self, account: str, books: Reading) -> list[Reading]:
        if not self._shadow or account != PLATFORM:
            return []
        with reading(self._engine) as connection:
            return [as_if_sent(books, shadowed(connection))]

    def _comparison(self, account: str, budget: Budget) -> Comparison:
        return Comparison(self._engine, self._gateway, account, budget, self._clock)

    def _claim(self, account: str, since_s: int | None) -> Progress | None:
        now_ms = self._clock()
        fresh = Progress(
            id=self._make_id(),
            account=account,
            stage=Stage.BEGIN,
            position=None,
            since_s=now_ms // 1000 - LOOKBACK_S if since_s is None else since_s,
            until_s=now_ms // 1000 - GRACE_S,
            began_at_ms=now_ms,
            ended_at_ms=None,
            compared_until_s=0,
            lease_until_ms=0,
        )
        lease_ms, anew = now_ms + LEASE_MS, since_s is not None
        return in_transaction(
            self._engine,
            lambda connection: progress_rows.claim(connection, fresh, lease_ms, now_ms, anew=anew),
        )

    def _advance(self, progress: Progress, position: str | None) -> Progress:
        lease_ms = self._clock() + LEASE_MS
        progress = dataclasses.replace(progress, position=position, lease_until_ms=lease_ms)
        if position is None:
            following = _after(progress)
            progress = dataclasses.replace(progress, stage=following)
            if following == Stage.DONE:
                progress = dataclasses.replace(self._ended(progress), compared_until_s=progress.until_s)
        self._save(progress)
        return progress

    def _ended(self, progress: Progress) -> Progress:
        return dataclasses.replace(progress, stage=Stage.DONE, position=None, ended_at_ms=self._clock())

    def _save(self, progress: Progress) -> None:
        in_transaction(self._engine, lambda connection: progress_rows.save(connection, progress))


def stages_of(account: str) -> Collection[Stage]:
    """The stages that an account goes through, in their order: only the platform has transfers."""
    platform_only = (Stage.TRANSFERS, Stage.LOST_TRANSFERS)
    return [stage for stage in Stage if account == PLATFORM or stage not in platform_only]


def _after(progress: Progress) -> Stage:
    stages = list(stages_of(progress.account))
    return stages[stages.index(progress.stage) + 1]


def _window(progress: Progress) -> Window:
    return Window(progress.since_s, progress.until_s)


def _unreadable(account: str, error: GatewayError) -> Finding:
    text = f"the account cannot be compared: {error}"
    return Finding(
        DifferenceKind.UNREADABLE, account, account, text, f"payouts reconcile run --account {account}"
    )
