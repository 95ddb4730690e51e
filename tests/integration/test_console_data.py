"""The tables in the console: looked at, never changed, secrets left out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from console.web.data import BASE, ROWS, SECRET, about
from console.web.navigation import SECTIONS
from payouts.people import Role
from payouts.storage.schema import metadata
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.site import Site, words_of
from tests.support.world import World


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"))
    yield made
    made.close()


def receive(site: Site, count: int) -> None:
    world = World(site.engine)
    world.add(*(event_body(f"evt_{n:03}", "paid", payout_object(f"po_{n:03}", "paid")) for n in range(count)))


def test_every_table_can_be_looked_at(site: Site) -> None:
    receive(site, 1)
    anna = site.visit(role=Role.VIEWER)
    named = anna.reads("/data/")
    for table in metadata.sorted_tables:
        assert table.name in named
        assert about(table) in anna.reads(f"/data/{table.name}/list")


def test_every_place_of_the_menu_is_there(site: Site) -> None:
    anna = site.visit(role=Role.VIEWER)
    for _, places in SECTIONS:
        for place in places:
            anna.get(place.path, status=308 if place.path == BASE else 200)
    assert words_of(anna.get(f"{BASE}/"))


def test_the_list_of_tables_says_of_each_what_is_in_it(site: Site) -> None:
    page = site.visit(role=Role.VIEWER).get("/data/")
    said = dict(re.findall(r'data-open>(\w+)</a></td><td data-label="What">([^<]*)<', page))
    assert said.keys() == metadata.tables.keys()
    assert [name for name, words in said.items() if len(words.split()) < 3] == []


def test_a_table_is_paged_by_key_newest_first(site: Site) -> None:
    receive(site, ROWS + 5)
    anna = site.visit()
    first = anna.get("/data/inbox/list")
    assert f"evt_{ROWS + 4:03}" in first
    assert "evt_004" not in first
    older = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    second = words_of(anna.get(older.replace("&amp;", "&")))
    assert "evt_004" in second
    assert "evt_005" not in second
    anna.get("/data/inbox/list?before=nonsense", status=400)
    anna.get("/data/nonsense/list", status=404)


def test_a_row_is_shown_whole_but_for_its_secrets(site: Site) -> None:
    receive(site, 1)
    token = site.token("ben")
    anna = site.visit()
    with site.engine.connect() as connection:
        row_id = connection.execute(sa.text("SELECT id FROM inbox")).scalar_one()
        digest = connection.execute(sa.text("SELECT digest FROM tokens ORDER BY id")).scalars().first()
    row = anna.reads(f"/data/inbox/details/{row_id}")
    assert "evt_000" in row
    assert '"object"' not in row  # the payload
    for page in ("/data/tokens/list", "/data/idempotency_keys/list"):
        shown = anna.get(page)
        assert str(digest) not in shown
        assert token not in shown
    assert all(columns <= set(metadata.tables[name].columns.keys()) for name, columns in SECRET.items())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/data/inbox/create"),
        ("POST", "/data/inbox/create"),
        ("DELETE", "/data/inbox/delete?pks=1"),
        ("POST", "/data/inbox/edit/1"),
        ("GET", "/data/inbox/export/csv"),
        ("POST", "/data/inbox/import"),
        ("GET", "/data/inbox/1/payload/download/"),
    ],
)
def test_nothing_of_it_changes_or_takes_away(site: Site, method: str, path: str) -> None:
    receive(site, 1)
    answer = site.visit().client.request(method, path)
    assert answer.status_code in (404, 405)
    with site.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT COUNT(*) FROM inbox")).scalar() == 1


def test_nobody_looks_who_is_not_signed_in(site: Site) -> None:
    client = site.client()
    assert client.get("/data/inbox/list").headers["location"].startswith("/sign-in")
    assert client.get("/data/inbox/list", headers={"Accept": "application/json"}).status_code == 401
    assert client.get("/data/", headers={"Authorization": "Bearer pt_x"}).status_code in (401, 403)
