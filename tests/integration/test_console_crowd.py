"""Many open pages at once: they wait for their turn, and none fails."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.databases import migrated_file
from tests.support.site import Site

THREADS = 2
VISITS = 30


def test_many_who_ask_for_the_overview_at_once_are_all_answered(tmp_path: Path) -> None:
    # given a console with few threads, whose overview looks at the database by a connection of its own
    site = Site(migrated_file(tmp_path / "payouts.db"), console_threads=THREADS, database_timeout_s=1.5)
    with site.client() as client:
        client.post("/sign-in", data={"token": site.token("anna")})

        # when far more ask at once than there are threads
        with ThreadPoolExecutor(VISITS) as pool:
            answers = list(pool.map(lambda _: client.get("/?hours=6"), range(VISITS)))

    # then nobody waits for a connection that is held by somebody who waits too
    assert [answer.status_code for answer in answers] == [200] * VISITS
