"""A console whose every free text holds a script, read by Chromium page by page: none of it runs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects import mysql

from payouts.errors import PayoutsError
from payouts.maintenance import announce
from payouts.people import Role
from payouts.storage.schema import metadata
from tests.conftest import need
from tests.support.browser import browser, chromium, sign_in, window
from tests.support.crawl import crawl, kind_of
from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.payout_site import PayoutSite
from tests.support.served import served
from tests.support.servers import RedisServer
from tests.support.story import ANNA
from tests.support.world import World

SCRIPT = '\'"><img src=x onerror="window.ran=1"><script>window.ran=1</script>'
SHORT = "<script>window.ran=1</script>"
READER = "anna"
JSON_COLUMNS = {("outbox", "body"), ("audit", "details"), ("leg_attempts", "body")}
MOST_PAGES = 120


class BadAmountError(PayoutsError):
    """Cannot heal."""


@pytest.fixture
def at(tmp_path: Path, redis_server: RedisServer) -> Iterator[PayoutSite]:
    """Something of everything, told by people and machines who mean harm."""
    made = PayoutSite(migrated_file(tmp_path / "payouts.db"))
    made.queue_in(redis_server.client)
    made.returned()
    made.held()
    made.unclear()
    made.waiting()
    world = World(made.story.engine)
    fields = {"description": SCRIPT, "statement_descriptor": SCRIPT, "failure_message": SCRIPT}
    payout = {**payout_object("po_dead", "failed"), **fields, "metadata": {SCRIPT: SCRIPT}}
    named = {**payout_object(f"po_{SHORT}", "paid"), **fields}
    odd = event_body("evt_odd", "paid", named, account=f"acct_{SHORT}")
    ids = world.add(event_body("evt_dead", "failed", payout), odd)

    def refuse(*_: Any, **__: Any) -> Any:
        raise BadAmountError(SCRIPT)

    world.apply(ids, refuse)
    with made.story.engine.begin() as connection:
        now_ms = made.site.parts.clock()
        in_an_hour, in_two = now_ms + 3_600_000, now_ms + 7_200_000
        announce(connection, in_an_hour, in_two, SCRIPT, ANNA, made.story.make_id, now_ms)
    made.site.token("carl", Role.OPERATOR)
    made.site.token(READER)
    poison(made.story.engine)
    yield made
    made.close()


def poison(engine: Engine) -> None:
    """Put the script into every free text of every row, whoever wrote it."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            for column in table.columns:
                if (table.name, column.name) in JSON_COLUMNS:
                    _poison_json(connection, table, column)
                elif _is_free(column):
                    longer = sa.func.substr(sa.literal(SCRIPT).concat(column), 1, column.type.length)
                    keep = column.is_not(None) & (column != READER)
                    connection.execute(sa.update(table).where(keep).values({column.name: longer}))


def _is_free(column: "sa.Column[Any]") -> bool:
    kind = column.type
    if not isinstance(kind, sa.String) or not kind.length:
        return False
    return "ascii" not in kind.compile(dialect=mysql.dialect())


def _poison_json(connection: Connection, table: sa.Table, column: "sa.Column[Any]") -> None:
    for row in connection.execute(sa.select(table.c.id, column)).all():
        text = row[1].decode() if isinstance(row[1], bytes) else row[1]
        if text:
            poisoned = json.dumps(_poisoned(json.loads(text)))
            connection.execute(sa.update(table).where(table.c.id == row[0]).values({column.name: poisoned}))


def _poisoned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _poisoned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_poisoned(inner) for inner in value]
    free = isinstance(value, str) and not re.fullmatch(r"[a-z]{3}|[a-z]+_\w+|[\d:TZ.-]+|[a-z_.]+", value)
    return SCRIPT + value if free else value


def test_no_page_runs_what_others_wrote_and_every_link_leads_to_a_page(
    request: pytest.FixtureRequest, at: PayoutSite
) -> None:
    need(request, "Chromium", chromium())
    with served(at.site) as base, browser() as chrome, window(chrome, base) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        sign_in(page, at.site.token(READER))
        shown = walk(page, base)
    assert len(shown) > 40, sorted(shown)
    assert sum(shown.values()) > 25, "the pages do not show what was written"


def walk(page: Page, base: str) -> dict[str, bool]:
    """Open every kind of page that links lead to; by kind, whether it showed the script as text."""
    shown: dict[str, bool] = {}
    broken = []

    def links_of(path: str) -> list[str]:
        answer = page.goto(path)
        assert answer is not None
        if answer.status != 200 and SCRIPT not in unquote(path):  # people's names are never like that
            broken.append(f"{path}: {answer.status}")
        if "text/html" not in answer.headers.get("content-type", ""):
            return []
        assert page.evaluate("window.ran") is None, f"{path} ran a script"
        shown[kind_of(path)] = "<script>window.ran=1" in page.inner_text("body")
        links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
        return [link.removeprefix(base) for link in links if link.startswith(f"{base}/")]

    for _ in crawl(["/"], links_of, MOST_PAGES):
        pass
    assert broken == []
    return shown
