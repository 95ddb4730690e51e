"""How fast accounts are compared, and in how much memory: books that agree, at a Stripe without a network."""

import resource
import time
from collections.abc import Iterator, Mapping

import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.budget import Budget
from payouts.calls import Answer, FrozenCall
from payouts.clock import now_ms
from payouts.event import PayoutObject
from payouts.gateway import NoGateway, Page, Window
from payouts.ids import IdMaker
from payouts.machine import PAYOUT_COLUMNS
from payouts.reconciling import Reconciler
from payouts.storage.bulk import insert_rows
from payouts.storage.tables import payouts

ACCOUNT = "acct_bench"
PAGE = 100
ROWS_AT_ONCE = 1_000
AMOUNT_MINOR = 1_000
AGE_S = 7 * 24 * 3_600


class ManyPayouts(NoGateway):
    """Lists `count` payouts of one account, made one a second or faster, the newest first."""

    def __init__(self, count: int, from_s: int) -> None:
        self.count = count
        self.from_s = from_s

    def payout_at(self, number: int) -> PayoutObject:
        created_s = self.from_s + number * AGE_S // 2 // self.count
        return PayoutObject(
            id=f"po_{number:012d}", amount=AMOUNT_MINOR, currency="eur", status="paid", created=created_s
        )

    def payouts_page(self, account: str | None, window: Window, after: str | None) -> Page[PayoutObject]:
        newest = self.count if after is None else int(after.removeprefix("po_"))
        oldest = max(newest - PAGE, 0)
        objects = [self.payout_at(number) for number in range(newest - 1, oldest - 1, -1)]
        return Page(objects, objects[-1].id if oldest else None)

    def balance(self, account: str | None) -> Mapping[str, int]:
        return {}

    def send(self, call: FrozenCall) -> Answer:
        raise AssertionError("comparing sends nothing")


def fill(engine: Engine, stripe: ManyPayouts) -> None:
    """The same payouts in our books."""
    at_ms = stripe.from_s * 1000
    ticks = iter(range(at_ms, at_ms + stripe.count * 2))
    make_id = IdMaker(lambda: next(ticks))
    for rows in _batches(stripe, make_id):
        with engine.begin() as connection:
            insert_rows(connection, payouts, PAYOUT_COLUMNS, rows)


def _batches(stripe: ManyPayouts, make_id: IdMaker) -> Iterator[list[tuple[int | str | None, ...]]]:
    for start in range(0, stripe.count, ROWS_AT_ONCE):
        rows = []
        for number in range(start, min(start + ROWS_AT_ONCE, stripe.count)):
            seen = stripe.payout_at(number)
            created_ms = (seen.created or 0) * 1000
            known: dict[str, int | str | None] = dict.fromkeys(PAYOUT_COLUMNS)
            known |= {
                "id": make_id(),
                "stripe_id": seen.id,
                "account": ACCOUNT,
                "status": seen.status,
                "amount_minor": seen.amount,
                "currency": seen.currency,
                "origin": "foreign",
                "livemode": 0,
                "created_s": seen.created,
                "created_at_ms": created_ms,
                "updated_at_ms": created_ms,
            }
            rows.append(tuple(known[name] for name in PAYOUT_COLUMNS))
        yield rows


def compared(engine: Engine, count: int) -> tuple[float, float]:
    """Payouts compared in a second, and by how many MB the process grew at its highest."""
    stripe = ManyPayouts(count, now_ms() // 1000 - AGE_S)
    fill(engine, stripe)
    reconciler = Reconciler(engine, stripe, IdMaker(), now_ms)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    assert reconciler.compare(ACCOUNT, Budget(count))
    took_s = time.monotonic() - began
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT COUNT(*) FROM differences")) == 0
    return count / took_s, grown_kb / 1024
