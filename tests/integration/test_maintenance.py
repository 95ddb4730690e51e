"""Maintenance: while it is started nothing is sent; what waited goes out at its end; all is on record."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from payouts import maintenance
from payouts.errors import NotFoundError, PayoutsError, RefusedError
from payouts.people import Role
from payouts.storage import unit
from payouts.storage.maintenance_rows import open_window
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction
from payouts.window import LONGEST_MS, Window, retry_after_s
from tests.support.money import NOW_MS, Payer
from tests.support.requests import ANNA, BEN, actor
from tests.support.small_stripe import SmallStripe

HOUR_MS = 3_600_000


class Keeper(Payer):
    """A database with payouts to send, and people who keep it."""

    def __init__(self, engine: Engine, **rules: Any) -> None:
        self.stripe = SmallStripe()
        super().__init__(engine, self.stripe, **rules)

    def announce(self, start_h: float = 1, end_h: float = 2, text: str = "A new database.") -> Window:
        now_ms = self.clock()
        times = now_ms + int(start_h * HOUR_MS), now_ms + int(end_h * HOUR_MS)
        return self._do(lambda c: maintenance.announce(c, *times, text, ANNA, self.make_id, now_ms))

    def do(self, step: Any, window_id: int, by: Any = BEN, **more: Any) -> Window:
        words = (window_id, by, "the plan", self.make_id, self.clock())
        return self._do(lambda c: step(c, *words, **more))

    def started(self) -> Window:
        return self.do(maintenance.start, self.announce().id)

    def end(self, window: Window) -> int:
        self.do(maintenance.end, window.id)
        return maintenance.wake(self.engine, self.clock)

    def send(self, request_id: int) -> str:
        self.sender.send(request_id)
        return self.status(request_id)

    def rows(self, sql: str) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(sql)).scalars())

    def _do(self, work: Callable[[Connection], Window]) -> Window:
        return in_transaction(self.engine, work)


@pytest.fixture
def keeper(shared_engine: Engine) -> Keeper:
    return Keeper(shared_engine)


@pytest.fixture
def small(tmp_path: Any) -> Iterator[Keeper]:
    from tests.support.requests import migrated

    with migrated(f"sqlite:///{tmp_path / 'payouts.db'}") as engine:
        yield Keeper(engine)


def test_a_payout_requested_before_maintenance_waits_and_goes_out_after_its_end(keeper: Keeper) -> None:
    request_id = keeper.request(keeper.partner())
    window = keeper.started()

    assert keeper.send(request_id) == "queued"
    assert keeper.blocked(request_id) == "maintenance"
    said = keeper.value("SELECT blocked_text FROM payout_requests WHERE id = :id", id=request_id)
    assert "started by ben: A new database." in said
    assert keeper.stripe.calls == []

    assert keeper.end(window) == 1
    assert keeper.send(request_id) == "sent"
    assert len(keeper.stripe.calls) == 2


def test_a_payout_that_was_begun_waits_too_and_goes_on_at_once_when_it_is_over(keeper: Keeper) -> None:
    # given a transfer that was made, and a payout whose call was lost
    keeper.stripe.faults = ["", "lost before"]
    request_id = keeper.request(keeper.partner())
    assert keeper.send(request_id) == "sending"
    keeper.clock.pass_(minutes=20)
    window = keeper.started()

    # when its turn comes during maintenance
    assert keeper.send(request_id) == "sending"
    assert (keeper.blocked(request_id), len(keeper.stripe.calls)) == ("maintenance", 2)

    # then it is sent when that is over, once
    assert keeper.end(window) == 1
    assert keeper.send(request_id) == "sent"
    assert (len(keeper.stripe.transfers), len(keeper.stripe.payouts)) == (1, 1)


def test_what_is_only_announced_or_was_called_off_stops_nothing(keeper: Keeper) -> None:
    first, second = (keeper.request(keeper.partner(number)) for number in (1, 2))
    window = keeper.announce(start_h=0)
    keeper.clock.pass_(hours=1.5)

    assert keeper.send(first) == "sent"
    keeper.do(maintenance.call_off, window.id)
    assert keeper.send(second) == "sent"


def test_the_setting_alone_stops_sending_too(keeper: Keeper) -> None:
    held = Keeper(keeper.engine, maintenance=True)
    request_id = held.request(held.partner())

    assert held.send(request_id) == "queued"
    assert held.blocked(request_id) == "maintenance"
    assert held.stripe.calls == []

    keeper.clock.pass_(minutes=6)  # started again without it
    assert keeper.send(request_id) == "sent"


def test_whoever_is_killed_between_the_end_and_the_waking_only_delays_what_waited(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = keeper.request(keeper.partner())
    window = keeper.started()
    keeper.send(request_id)

    class Killed(BaseException):
        pass

    def kill(point: str) -> None:
        if point == "unit.after_commit":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(unit, "crash_point", kill)
        with pytest.raises(Killed):
            keeper.end(window)

    keeper.clock.pass_(minutes=6)
    assert keeper.send(request_id) == "sent"


def test_each_step_is_on_record_and_told_once(keeper: Keeper) -> None:
    window = keeper.announce()
    keeper.do(maintenance.change, window.id, ends_at_ms=NOW_MS + 3 * HOUR_MS)
    keeper.do(maintenance.start, window.id)
    keeper.do(maintenance.change, window.id, text="It takes longer.")
    keeper.do(maintenance.end, window.id)
    keeper.do(maintenance.call_off, keeper.announce().id)

    steps = ["announce", "change", "start", "change", "end", "announce", "call_off"]
    assert keeper.rows("SELECT action FROM audit ORDER BY number") == [f"maintenance.{s}" for s in steps]
    assert sorted(keeper.rows("SELECT name FROM outbox")) == sorted(
        [f"maintenance.{told}" for told in ("announced", "changed", "started", "changed", "ended")]
        + ["maintenance.announced", "maintenance.called_off"]
    )
    body = keeper.rows("SELECT body FROM outbox WHERE name = 'maintenance.started'")[0]
    assert f'"window_id":"{window.id}"' in body
    assert '"window_text":"A new database."' in body


def refused(keeper: Keeper, do: Callable[[], object]) -> str:
    """The code of a refusal, after which everything is as it was."""
    before = keeper.rows("SELECT COUNT(*) FROM audit")
    with pytest.raises(PayoutsError) as error:
        do()
    assert keeper.rows("SELECT COUNT(*) FROM audit") == before
    return error.value.code if isinstance(error.value, RefusedError) else type(error.value).__name__


def test_what_does_not_fit_is_refused(small: Keeper) -> None:
    keeper, step = small, maintenance

    assert refused(keeper, lambda: keeper.announce(2, 1)) == "bad_time"
    assert refused(keeper, lambda: keeper.announce(-3, 1)) == "bad_time"
    assert refused(keeper, lambda: keeper.announce(1, 2 + LONGEST_MS / HOUR_MS)) == "bad_time"
    assert refused(keeper, lambda: keeper.announce(24 * 400, 24 * 401)) == "bad_time"
    assert refused(keeper, lambda: keeper.announce(text=" ")) == "bad_text"
    assert refused(keeper, lambda: keeper.announce(text="x" * 501)) == "bad_text"

    window = keeper.announce()
    assert refused(keeper, keeper.announce) == "maintenance_open"
    assert refused(keeper, lambda: keeper.do(step.end, window.id)) == "maintenance_not_started"
    assert refused(keeper, lambda: keeper.do(step.change, window.id)) == "nothing_changes"
    assert refused(keeper, lambda: keeper.do(step.change, window.id, ends_at_ms=NOW_MS)) == "bad_time"
    viewer = actor("vera", Role.VIEWER)
    assert refused(keeper, lambda: keeper.do(step.start, window.id, by=viewer)) == "not_allowed"

    keeper.do(step.start, window.id)
    later = NOW_MS + HOUR_MS
    assert refused(keeper, lambda: keeper.do(step.start, window.id)) == "maintenance_started"
    assert refused(keeper, lambda: keeper.do(step.call_off, window.id)) == "maintenance_started"
    assert (
        refused(keeper, lambda: keeper.do(step.change, window.id, starts_at_ms=later))
        == "maintenance_started"
    )
    assert refused(keeper, keeper.announce) == "maintenance_open"

    keeper.do(step.end, window.id)
    for again in (step.start, step.end, step.call_off, step.change):
        assert refused(keeper, lambda again=again: keeper.do(again, window.id)) == "maintenance_over"  # type: ignore[misc]
        assert refused(keeper, lambda again=again: keeper.do(again, 7)) == NotFoundError.__name__  # type: ignore[misc]


def test_of_several_who_announce_at_once_one_does(keeper: Keeper) -> None:
    def announce(_: int) -> str:
        try:
            return keeper.announce().text
        except RefusedError as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(announce, range(4)))

    assert said == ["A new database.", *["maintenance_open"] * 3]
    assert keeper.rows("SELECT COUNT(*) FROM maintenance_windows") == [1]


def test_maintenance_that_nobody_announced_starts_at_once(keeper: Keeper) -> None:
    words = ("Sign-in is down.", ANNA, "sign-in", keeper.make_id, NOW_MS)
    started = in_transaction(keeper.engine, lambda c: maintenance.start_at_once(c, NOW_MS + HOUR_MS, *words))

    with reading(keeper.engine) as connection:
        assert open_window(connection) == started
    assert (started.state, started.started_at_ms) == ("started", NOW_MS)


@pytest.mark.parametrize(("left_s", "said_s"), [(-600, 30), (1, 30), (90, 90), (600, 600), (86_400, 3_600)])
def test_callers_are_told_to_come_back_at_the_end_but_neither_at_once_nor_in_days(
    left_s: int, said_s: int
) -> None:
    window = Window(1, "platform", "open", NOW_MS, NOW_MS + left_s * 1000, "text", NOW_MS, "anna")
    assert retry_after_s(window, NOW_MS) == said_s
