"""Many at once: repeated and shuffled deliveries at many connections, several receivers' worth of senders
and four workers, and each event is applied once."""

import random
from pathlib import Path

from tests.support.lives import make_lives
from tests.support.senders import Senders, check_applied_once, check_kept, storable_ids
from tests.support.servers import RedisServer
from tests.support.stack import Stack, check_promises


def test_four_workers_and_every_delivery_three_times(
    tmp_path: Path, mariadb_url: str, redis_server: RedisServer
) -> None:
    lives = make_lives(300, seed=121)
    bodies = lives.bodies * 3
    random.Random(122).shuffle(bodies)
    with Stack(tmp_path, mariadb_url, redis_server.url) as stack:
        stack.start("receiver", "worker", "worker:2", "worker:3", "worker:4", "scheduler")

        senders = Senders(stack, bodies, 32).start().join()

        assert set(senders.statuses) == {200}
        check_kept(stack, senders.acknowledged, bodies)
        stack.wait_applied(60)
        check_promises(stack, lives.expected, bodies)
        check_applied_once(stack)
        deliveries = sum(len(storable_ids([body])) for body in bodies)
        again = stack.count("SELECT COUNT(*) FROM inbox_deliveries")
        assert stack.count("SELECT COUNT(*) FROM inbox") + again == deliveries
