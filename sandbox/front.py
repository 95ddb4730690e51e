"""The road of a call: who asks, whether it may be admitted, what it says, and exactly one answer for its key.

Faults strike here, before the work or after it, so that no handler knows of them.
"""

import asyncio
from dataclasses import dataclass

import msgspec

from sandbox import faults, form
from sandbox.accounts import reachable
from sandbox.auth import authenticate
from sandbox.calls import Call, Operation
from sandbox.endpoints import is_version
from sandbox.errors import StripeError, bad_parameter, internal, rate_limited
from sandbox.expand import check, expanded
from sandbox.faults import Plan, Planned
from sandbox.idempotency import Keys, fingerprint
from sandbox.limits import Limits
from sandbox.params import Params
from sandbox.settings import API_VERSION
from sandbox.shared import Cause
from sandbox.world import World

MAX_BODY_BYTES = 1 << 20
Struck = str | Planned | None
"""A fault of calls by its name, a planned refusal, or neither."""


class ConnectionCutError(Exception):
    """The caller gets no answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came in: names of headers are in lower case, `text` is the query or the body."""

    headers: dict[str, str]
    path: dict[str, str]
    text: str


@dataclass(slots=True)
class Answered:
    status: int
    body: bytes
    headers: dict[str, str]


class Front:
    def __init__(
        self, world: World, keys: Keys, limits: Limits, plan: Plan, api_key: str | None = None
    ) -> None:
        """`api_key`: the only key taken; without one, any that looks like a test key."""
        self._world = world
        self._keys = keys
        self._limits = limits
        self._plan = plan
        self._api_key = api_key

    async def answer(self, operation: Operation, asked: Asked) -> Answered:
        """ConnectionCutError where the caller is to get none."""
        request_id = self._world.new_id("req", "")
        headers = {
            "Request-Id": request_id,
            "Stripe-Version": asked.headers.get("stripe-version", API_VERSION),
        }
        key = asked.headers.get("idempotency-key") if operation.method == "POST" else None
        if key:
            headers["Idempotency-Key"] = key
        try:
            answered = await self._answer(operation, asked, Cause(request_id, key))
        except StripeError as error:
            answered = _refusal(error, request_id)
        except ConnectionCutError:
            self._count(operation, "cut")
            raise
        finally:
            self._world.changes.write()
        answered.headers = headers | answered.headers
        self._count(
            operation, "replayed" if "Idempotent-Replayed" in answered.headers else str(answered.status)
        )
        return answered

    def _count(self, operation: Operation, what: str) -> None:
        counted = f"{operation.name} {what}"
        self._world.calls[counted] = self._world.calls.get(counted, 0) + 1

    def refuse(self, error: StripeError) -> Answered:
        """A refusal of what is no call at all."""
        request_id = self._world.new_id("req", "")
        answered = _refusal(error, request_id)
        answered.headers["Request-Id"] = request_id
        return answered

    async def _answer(self, operation: Operation, asked: Asked, cause: Cause) -> Answered:
        authenticate(asked.headers.get("authorization", ""), self._api_key)
        self._limits.admit()
        account = self._acting_account(asked.headers)
        if not is_version(asked.headers.get("stripe-version", API_VERSION)):
            raise bad_parameter("Stripe-Version", "Invalid Stripe API version.")
        if len(asked.text) > MAX_BODY_BYTES:
            raise StripeError(413, "The body is too large.")
        given = form.decode(asked.text)
        call = Call(self._world, account, asked.path, Params(given), cause)
        subject = operation.subject(call)
        struck = self._struck(operation, subject)
        if struck == "refuse_429":
            raise rate_limited()
        if cause.idempotency_key is None:
            return await self._work(operation, call, subject, struck)
        key = cause.idempotency_key
        print_ = fingerprint(f"{operation.name} {asked.path}", given)
        known = self._keys.begin(account, key, print_, cause.request_id)
        if known is not None:
            replay = Answered(known.status, known.body.encode(), {})
            replay.headers = {"Idempotent-Replayed": "true", "Original-Request": known.request_id}
            return await self._on_its_way(replay, struck, before=True)
        return await self._with_key(operation, call, subject, struck, key)

    async def _with_key(
        self, operation: Operation, call: Call, subject: str, struck: Struck, key: str
    ) -> Answered:
        """Work, and keep the answer with the key where execution had begun."""
        kept = False
        try:
            with self._limits.alone(subject):
                answered = await self._execute(operation, call, struck)
            self._keys.keep(call.account, key, answered.status, answered.body)
            kept = True
        except StripeError as error:
            if error.kept:
                refusal = _refusal(error, call.cause.request_id)
                self._keys.keep(call.account, key, refusal.status, refusal.body)
                kept = True
            raise
        finally:
            if not kept:
                self._keys.drop(call.account, key)
            self._world.changes.write()
        return await self._on_its_way(answered, struck)

    async def _work(self, operation: Operation, call: Call, subject: str, struck: Struck) -> Answered:
        if operation.method == "GET":
            answered = await self._execute(operation, call, struck)
        else:
            with self._limits.alone(subject):
                answered = await self._execute(operation, call, struck)
        self._world.changes.write()
        return await self._on_its_way(answered, struck)

    async def _execute(self, operation: Operation, call: Call, struck: Struck) -> Answered:
        """The work itself, with what goes wrong before it and what its answer is turned into."""
        world = self._world
        if isinstance(struck, Planned):
            raise struck.refusal()
        if world.settings.work_s and operation.method != "GET":
            await asyncio.sleep(world.settings.work_s)
        if struck == "cut_before":
            raise ConnectionCutError
        if struck == "timeout_before":
            await asyncio.sleep(world.faults.timeout_s)
            raise ConnectionCutError
        if struck == "slow":
            await asyncio.sleep(world.faults.timeout_s)
        if struck == "error_before":
            raise internal(kept=call.cause.idempotency_key is not None)
        paths = check(call.params.expand())
        answer = operation.handler(call)
        if struck == "error_after":
            raise internal(kept=call.cause.idempotency_key is not None)
        return Answered(200, msgspec.json.encode(expanded(world, answer, paths) if paths else answer), {})

    async def _on_its_way(self, answered: Answered, struck: Struck, before: bool = False) -> Answered:
        """The answer's way back; a replay (`before`) can also be lost on its way there."""
        if struck == "cut_after" or (before and struck == "cut_before"):
            raise ConnectionCutError
        if struck == "timeout_after" or (before and struck in ("timeout_before", "slow")):
            await asyncio.sleep(self._world.faults.timeout_s)
        return answered

    def _struck(self, operation: Operation, subject: str) -> Struck:
        number = self._world.count("call", operation.name, subject) if operation.method != "GET" else 0
        planned = self._plan.take(operation.name, subject) if self._plan.planned else None
        if planned is not None:
            return planned.fault or planned
        if not operation.name.startswith(self._world.faults.routes):
            return None
        number = number or self._world.count("call", operation.name, subject)
        return faults.strike(self._world.faults, self._world.names, operation.name, subject, number)

    def _acting_account(self, headers: dict[str, str]) -> str:
        named = headers.get("stripe-account")
        if not named or named == self._world.platform:
            return self._world.platform
        account_id: str = reachable(self._world, named)["id"]
        return account_id


def _refusal(error: StripeError, request_id: str) -> Answered:
    headers = {}
    if error.should_retry is not None:
        headers["Stripe-Should-Retry"] = "true" if error.should_retry else "false"
    return Answered(error.status, msgspec.json.encode(error.to_json(request_id)), headers)
