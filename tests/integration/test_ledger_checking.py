"""The worker that checks the books: quiet while they add up, an alert where they do not."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from payouts.storage.engine import build_engine
from tests.support.databases import bring_up_to_date
from tests.support.money import Payer
from tests.support.small_stripe import SmallStripe
from workers.check import BROKEN, LedgerChecking


@pytest.fixture
def payer(database_url: str) -> Iterator[Payer]:
    engine = build_engine(database_url, timeout_s=10, pool_size=3)
    bring_up_to_date(engine)
    payer = Payer(engine, SmallStripe())
    payer.sender.send(payer.request(payer.partner()))
    yield payer
    engine.dispose()


def alerts(payer: Payer) -> int:
    return int(payer.value("SELECT COUNT(*) FROM outbox WHERE name = :name", name=BROKEN))


def test_books_that_add_up_are_no_alert(payer: Payer) -> None:
    LedgerChecking(payer.engine, payer.make_id, payer.clock).check()
    assert alerts(payer) == 0


def test_a_posting_changed_by_hand_is_an_alert_once_an_hour(payer: Payer) -> None:
    with payer.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE postings SET amount_minor = amount_minor + 1 WHERE amount_minor > 0")
        )
    checking = LedgerChecking(payer.engine, payer.make_id, payer.clock)
    checking.check()
    told = alerts(payer)
    assert told >= 1
    checking.check()
    assert alerts(payer) == told
    payer.clock.pass_(hours=1)
    checking.check()
    assert alerts(payer) == 2 * told
