"""From a request to an answer: let in, read, done in one transaction, told in JSON."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import redis
from dramatiq.errors import BrokerError
from sqlalchemy import Connection, Engine
from starlette.requests import Request
from starlette.responses import Response

from api.access import note
from api.bearer import bearer_token
from api.body import decode_body, decode_query, read_body, same_request
from api.closing import Closing, emergency
from api.guard import Doorkeeper
from api.keys import REPLAYED, KeysInUse, key_of
from api.operation import Answer, Call, Operation
from api.pool import Pool
from api.problems import is_away
from api.telling import tell
from payouts.clock import Clock, iso
from payouts.crash import crash_point
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.meters import HttpMeter
from payouts.people import Actor
from payouts.storage import idempotency_rows
from payouts.storage.idempotency_rows import Kept, Key
from payouts.storage.kept_answers import KeptAnswers
from payouts.storage.people_rows import authenticate
from payouts.storage.queries import reading
from payouts.storage.replica import Lists
from payouts.storage.unit import in_transaction
from payouts.tokens import digest_of

STALE_SINCE = "Stale-Since"
"""A header: the answer is as things stood then, for the database cannot be asked now."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What operations are done with."""

    engine: Engine
    pool: Pool
    send_soon: Callable[[int], None]
    """Asks for a requested payout to be sent; may fail, for the scheduler looks too."""
    clock: Clock
    make_id: IdMaker
    closing: Closing
    kept: KeptAnswers | None = None
    """What was answered last, for when the database cannot be asked. None: nothing is kept."""
    lists: Lists | None = None
    """Where lists are read, which may be a little stale. None: where everything is."""
    keys: KeysInUse = field(default_factory=KeysInUse)
    meter: HttpMeter = field(default_factory=lambda: HttpMeter("api"))
    doorkeeper: Doorkeeper | None = None
    """What limits callers. None: nothing does."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was sent, before anybody looked who sent it."""

    operation: Operation
    token: str = field(repr=False)
    path: Mapping[str, str]
    query: Any
    raw_path: str
    body: bytes
    key: str | None
    raw_query: str = ""

    @property
    def address(self) -> str:
        """What was asked, with its parameters."""
        return f"{self.raw_path}?{self.raw_query}"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a request."""

    status: int
    body: bytes
    replayed: bool = False
    to_send: int | None = None
    about: str | None = None
    """The id of what it made or changed, for the log."""
    stale_since_ms: int | None = None
    """Answered from what was known then, without the database."""


class Endpoint:
    """The operations of one path."""

    def __init__(self, desk: Desk, operations: Mapping[str, Operation]) -> None:
        self._desk, self._operations = desk, operations

    async def answer(self, request: Request) -> Response:
        """Answer one request, whatever speaks against it."""
        try:
            return await self._answered(request)
        except Exception as error:  # noqa: BLE001 - told to the caller, and logged where it is a fault
            return tell(request, error)

    async def _answered(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        operation = self._operations[method]
        note(request.scope, operation=operation.name)
        token = bearer_token(request)
        digest = digest_of(token)
        asked = Asked(
            operation=operation,
            token=token,
            path=request.path_params,
            query=decode_query(request, operation.query),
            raw_path=request.url.path,
            body=b"" if operation.body is None else await read_body(request),
            key=key_of(request) if operation.keyed else None,
            raw_query=request.url.query,
        )
        release = self._hold(digest, asked.key)

        def let_in(actor: Actor) -> None:
            note(request.scope, actor=actor.name, token_id=actor.token_id)
            if self._desk.doorkeeper is not None:
                self._desk.doorkeeper.count(request.scope, actor, digest, changes=operation.changes)

        done = await self._desk.pool.run(lambda: do(self._desk, asked, let_in), release)
        note(request.scope, replayed=done.replayed, about=done.about)
        headers = {REPLAYED: "true"} if done.replayed else {}
        if done.stale_since_ms is not None:
            note(request.scope, stale=True)
            headers[STALE_SINCE] = iso(done.stale_since_ms) or ""
        return Response(done.body, done.status, headers, "application/json")

    def _hold(self, digest: str, key: str | None) -> Callable[[], None]:
        if key is None:
            return lambda: None
        held = self._desk.keys.take(digest, key)
        return lambda: self._desk.keys.give_back(held)


def do(desk: Desk, asked: Asked, let_in: Callable[[Actor], None]) -> Done:
    """Do what was asked, on a thread of the pool. Raises whatever speaks against it.

    `let_in` is told who asks, as soon as that is known, and may raise. What only looks is answered from what
    was known last where the database cannot be asked.
    """
    if desk.closing.in_emergency():
        found = _last_known(desk, asked)
        if found is None:
            raise emergency()
        return found
    try:
        return _done(desk, asked, let_in)
    except Exception as error:
        found = _last_known(desk, asked) if is_away(error) else None
        if found is None:
            raise
        return found


def _done(desk: Desk, asked: Asked, let_in: Callable[[Actor], None]) -> Done:
    now_ms = desk.clock()
    desk.closing.check(now_ms)
    actor = authenticate(desk.engine, asked.token, now_ms)
    let_in(actor)
    operation = asked.operation
    actor.require(operation.scope)
    body = None if operation.body is None else decode_body(asked.body, operation.body)
    key = _key(actor, asked)

    def work(connection: Connection) -> Done:
        call = Call(connection, actor, asked.path, asked.query, body, desk.make_id, now_ms)
        return _once(call, operation, key)

    if not operation.changes:
        if operation.is_list and desk.lists is not None:
            done = desk.lists.read(work)
        else:
            with reading(desk.engine) as connection:
                done = work(connection)
        if desk.kept is not None:
            desk.kept.keep(digest_of(asked.token), asked.address, done.body, now_ms)
        return done
    done = in_transaction(desk.engine, work)
    crash_point("api.after_commit")
    if done.to_send is not None:
        _hint(desk, done.to_send)
    return done


def _last_known(desk: Desk, asked: Asked) -> Done | None:
    if asked.operation.changes or desk.kept is None:
        return None
    found = desk.kept.find(digest_of(asked.token), asked.address)
    return None if found is None else Done(200, found.body, stale_since_ms=found.at_ms)


def _key(actor: Actor, asked: Asked) -> Key | None:
    if asked.key is None or actor.token_id is None:
        return None
    same = same_request(asked.operation.method, asked.raw_path, asked.body)
    return Key(actor.token_id, asked.key, hashlib.sha256(same).hexdigest())


def _once(call: Call, operation: Operation, key: Key | None) -> Done:
    if key is not None:
        kept = idempotency_rows.claim(call.connection, key, call.make_id(), call.now_ms)
        if kept is not None:
            return Done(kept.status, kept.body.encode(), replayed=True)
    answer: Answer = operation.run(call)
    body = msgspec.json.encode(answer.content)
    if key is not None:
        idempotency_rows.keep(call.connection, key, Kept(answer.status, body.decode()))
    about = getattr(answer.content, "id", None)
    return Done(answer.status, body, to_send=answer.to_send, about=about)


def _hint(desk: Desk, request_id: int) -> None:
    try:
        desk.send_soon(request_id)
    except (redis.RedisError, BrokerError, OSError) as error:
        # The row says that it is due: the scheduler finds it within seconds.
        get_logger().warning("api.hint_lost", payout_id=request_id, error_class=type(error).__name__)
