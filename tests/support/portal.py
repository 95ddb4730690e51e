"""The API in process, and a portal that asks it by token."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import sqlalchemy as sa
from sqlalchemy import Engine
from starlette.applications import Starlette

from api.app import make_app
from api.closing import Closing
from api.endpoint import Desk
from api.guard import Doorkeeper
from api.pool import Pool
from payouts.access import Step, give_program_token
from payouts.clock import now_ms
from payouts.emergency_watch import EmergencyWatch
from payouts.ids import IdMaker
from payouts.meters import HttpMeter
from payouts.partner import Partner
from payouts.people import PROGRAM_SCOPES
from payouts.storage.engine import build_engine
from payouts.storage.kept_answers import KeptAnswers
from payouts.tokens import DEFAULT_DAYS, new_token
from tests.support.requests import a_partner, keep, migrated, owe

BASE = "http://portal.test/api/v1"
Ask = tuple[tuple[Any, ...], Mapping[str, Any]]
"""The arguments of a request, by place and by name."""


@dataclass
class Portal:
    """An API on a migrated database, and a token that may do whatever a program may."""

    engine: Engine
    app: Starlette
    hints: list[int]
    """The payouts that were to be sent soon."""
    make_id: IdMaker = field(default_factory=IdMaker)
    token: str = ""
    doorkeeper: Doorkeeper | None = None
    meter: HttpMeter = field(default_factory=lambda: HttpMeter("api"))

    def __post_init__(self) -> None:
        self.token = self.token or self.new_token("portal")

    def new_token(self, name: str, scopes: str = " ".join(PROGRAM_SCOPES)) -> str:
        """A token of a program with these scopes."""
        with self.engine.begin() as connection:
            step = Step(connection, self.make_id, now_ms(), "anna")
            return give_program_token(step, name, scopes, DEFAULT_DAYS).secret

    def partner(self, owed_minor: int = 0, **changes: Any) -> Partner:
        """A partner that can be paid, and is owed so much."""
        partner = a_partner(**changes)
        with self.engine.begin() as connection:
            keep(connection, partner)
            if owed_minor:
                owe(connection, partner, owed_minor)
        return partner

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any, key: str | None = None, **more: Any) -> httpx.Response:
        return self.ask("POST", path, body, key, **more)

    def ask(self, *asked: Any, **more: Any) -> httpx.Response:
        return self.ask_all([(asked, more)])[0]

    def ask_all(self, asked: Sequence[Ask]) -> list[httpx.Response]:
        """All of them at once."""

        async def ask() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, timeout=60) as client:
                requests = [self._request(client, *words, **more) for words, more in asked]
                return list(await asyncio.gather(*(client.send(request) for request in requests)))

        return asyncio.run(ask())

    def _request(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        body: Any = None,
        key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        raw: bytes | AsyncIterator[bytes] | None = None,
    ) -> httpx.Request:
        said = {"Authorization": f"Bearer {self.token if token is None else token}"}
        if body is not None or raw is not None:
            said["Content-Type"] = "application/json"
        if key is not None:
            said["Idempotency-Key"] = key
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        all_headers = {**said, **(headers or {})}
        kept = [(name.encode(), value.encode("latin-1")) for name, value in all_headers.items() if value]
        return client.build_request(method, BASE + path, content=content, headers=kept)

    def value(self, sql: str, **parameters: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(sa.text(sql), parameters).scalar()


@contextmanager
def portal_on(
    url: str,
    *,
    threads: int = 8,
    send_soon: Callable[[int], None] | None = None,
    maintenance: bool = False,
    emergency: EmergencyWatch | None = None,
    kept: KeptAnswers | None = None,
    doorkeeper: Callable[[Engine], Doorkeeper] | None = None,
    **pool: Any,
) -> Iterator[Portal]:
    """A portal on a new database at `url`."""
    hints: list[int] = []
    with migrated(url, pool_size=threads) as engine:
        api_pool = Pool(threads, **pool)
        closing = Closing(engine, by_setting=maintenance, emergency=emergency, every_s=0)
        keeper = doorkeeper(engine) if doorkeeper else None
        words = (engine, api_pool, send_soon or hints.append, now_ms, IdMaker(), closing, kept)
        desk = Desk(*words, doorkeeper=keeper)
        yield Portal(engine, make_app(desk), hints, doorkeeper=keeper, meter=desk.meter)
        api_pool.close()


@contextmanager
def portal_without_database() -> Iterator[Portal]:
    """A portal whose database nobody answers for."""
    pool = Pool(1)
    engine = build_engine("mysql://nobody@127.0.0.1:1/none", timeout_s=1, pool_size=1)
    desk = Desk(engine, pool, lambda _: None, now_ms, IdMaker(), Closing(engine))
    yield Portal(engine, make_app(desk), [], token=new_token())
    pool.close()
    engine.dispose()


def problem(response: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal, which must be a problem document."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    said = response.json()
    assert said["status"] == response.status_code
    assert said["request_id"] == response.headers["x-request-id"]
    assert {"type", "title", "detail"} <= said.keys()
    return response.status_code, said["code"]
