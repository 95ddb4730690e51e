"""A store that is frozen, not gone: its connections stay open and nothing answers. Every delivery still has
its answer in time, and what was acknowledged is kept."""

import itertools
import time

import pytest

from tests.support.lives import Lives, make_lives
from tests.support.senders import Senders, check_applied_once, check_kept, storable_ids
from tests.support.servers import RedisServer, SqlServer, wait_until
from tests.support.stack import Stack, check_promises

SENDERS = 32
ANSWERED_WITHIN_S = 3.0


def deliver_while_frozen(stack: Stack, lives: Lives, for_s: float = 4.0) -> Senders:
    senders = Senders(stack, lives.bodies, SENDERS, pause_s=0.1, for_s=for_s).start().join()
    print(f"{len(senders.answers)} answers, slowest {senders.slowest_s:.3f} s, {senders.statuses}")  # noqa: T201
    return senders


def check_afterwards(stack: Stack, lives: Lives, senders: Senders, spilled_to: RedisServer) -> None:
    wait_until("the spill is drained", lambda: not spilled_to.client.xlen("payouts:spill"), 40)
    check_kept(stack, senders.acknowledged, lives.bodies)
    again = Senders(stack, senders.left_out, 16, tries=20).start().join()
    assert again.left_out == []
    stack.wait_applied(60)
    check_promises(stack, lives.expected, lives.bodies)
    check_applied_once(stack)


@pytest.mark.parametrize(
    ("frozen", "wanted"), [(["database"], 200), (["redis"], 200), (["database", "redis"], 503)]
)
def test_every_delivery_is_answered_in_time(
    breakable: Stack,
    breakable_mariadb: SqlServer,
    own_redis: RedisServer,
    frozen: list[str],
    wanted: int,
) -> None:
    servers = {"database": breakable_mariadb, "redis": own_redis}
    lives, warm = make_lives(500, seed=61), make_lives(30, seed=62)
    breakable.start("receiver", "worker", "scheduler")
    assert set(breakable.deliver(warm.bodies)) == {200}
    time.sleep(0.5)  # hints are on their way behind the answers: the freeze is to meet an idle receiver

    for name in frozen:
        servers[name].freeze()
    senders = deliver_while_frozen(breakable, lives)
    for name in frozen:
        servers[name].thaw()

    to_store = storable_ids(lives.bodies)
    assert {answer.status for answer in senders.answers if answer.event_id in to_store} == {wanted}
    assert senders.slowest_s < ANSWERED_WITHIN_S
    assert len(senders.answers) >= 2 * SENDERS
    if wanted == 503:
        assert all(answer.retry_after for answer in senders.answers if answer.status == 503)
    lives.expected |= warm.expected
    lives.bodies = list(itertools.chain(lives.bodies, warm.bodies))
    check_afterwards(breakable, lives, senders, own_redis)
