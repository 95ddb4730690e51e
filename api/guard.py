"""Before everything else: who is blocked, and who asks too much. And the headers that tell of limits."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import note, noted
from api.pool import Pool
from api.telling import tell
from payouts.addresses import counted_as
from payouts.auth_failures import AuthFailures, kind_of
from payouts.errors import PayoutsError
from payouts.guard import Guard
from payouts.logs import get_logger
from payouts.people import Actor
from payouts.rates import Rate, RateLimitedError, RouteGroup
from payouts.rejections import Rejections
from payouts.tokens import TokenError, digest_of

_RATE = "api.rate"
KNOWN_MOST = 10_000
UNAUTHORIZED = 401
_NOTED = frozenset({UNAUTHORIZED, 403, 429})
"""Of these the log says where they came from."""


class Doorkeeper:
    """Limits of the API. One for each process; `count` and `learn` alone are called from threads."""

    def __init__(
        self, guard: Guard, live: Callable[[int, int], Collection[str]] = lambda *_: frozenset()
    ) -> None:
        """`live` reads the digests of tokens that are good at a time in ms, so many of them at the most."""
        self.guard = guard
        self.failures = AuthFailures("api")
        self._live = live
        self._good: Collection[str] | None = None
        """Digests of tokens that were good when they were read last. None: they never were."""
        self.rejections: Rejections = guard.rejections(RouteGroup.API_REFUSED)
        self._known: OrderedDict[str, None] = OrderedDict()
        """Digests of tokens that let somebody in, the one that was used last at the end."""

    def count(self, scope: Scope, actor: Actor, digest: str, *, changes: bool) -> None:
        """Count a request of a token that lets somebody in. RateLimitedError where it is one too many."""
        self._known.pop(digest, None)
        self._known[digest] = None
        while len(self._known) > KNOWN_MOST:
            self._known.popitem(last=False)
        group = RouteGroup.API_WRITE if changes else RouteGroup.API_READ
        rate = self.guard.hit(group, str(actor.token_id))
        note_rate(scope, rate)
        if rate is not None and not rate.allowed:
            raise RateLimitedError(rate)

    def learn(self) -> None:
        """Read which tokens are good: at the start, and then while some address is over the limit.

        A process that has just started has let nobody in yet, and a flood does not wait until it has.
        """
        if self._good is not None and not self.rejections.barred:
            return
        try:
            self._good = self._live(self.guard.clock(), KNOWN_MOST)
        except (SQLAlchemyError, PayoutsError, OSError) as error:
            # While the database is away no token lets anybody in, good or not; `Guard.look` says that it is.
            get_logger().debug("api.tokens_not_read", error_class=type(error).__name__)

    def over(self, scope: Scope, address: str) -> Rate | None:
        """Where an address stands that has sent too many tokens that let nobody in.

        A token that is good, or was let in before, is looked at all the same: whoever shares an address with
        others must not suffer for them.
        """
        rate = self.rejections.over(counted_as(address))
        return None if rate is None or self._is_known(scope) else rate

    def refused(self, address: str, code: str) -> None:
        """Count a request whose token was missing or let nobody in, for `code`."""
        self.failures.note(kind_of(code))
        if not self.guard.is_stripe(address):
            self.rejections.count(counted_as(address))

    def _is_known(self, scope: Mapping[str, Any]) -> bool:
        said = Headers(raw=scope["headers"]).get("authorization", "")
        try:
            digest = digest_of(said.partition(" ")[2].strip())
        except TokenError:
            return False
        return digest in self._known or (self._good is not None and digest in self._good)


class Guarded:
    """Around the application, inside its access log. `open_paths` need no token; `free` has no limit."""

    def __init__(
        self,
        app: ASGIApp,
        doorkeeper: Doorkeeper,
        pool: Pool,
        open_paths: frozenset[str],
        free: frozenset[str],
    ) -> None:
        self._app, self._doorkeeper, self._pool = app, doorkeeper, pool
        self._open_paths, self._free = open_paths, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        guard = self._doorkeeper.guard
        address = guard.address_of(scope)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == UNAUTHORIZED:
                    self._doorkeeper.refused(address, str(noted(scope, "code")))
                if message["status"] in _NOTED:
                    note(scope, client=address)
                rate: Rate | None = scope.get(_RATE)
                if rate is not None:
                    headers = MutableHeaders(scope=message)
                    for name, value in rate.headers.items():
                        headers[name] = value
            await send(message)

        try:
            guard.check_block(address)
            await self._check(scope, address)
        except PayoutsError as error:
            await tell(Request(scope), error)(scope, receive, told)
            return
        await self._app(scope, receive, told)

    async def _check(self, scope: Scope, address: str) -> None:
        if scope["path"] in self._open_paths:
            guard, group = self._doorkeeper.guard, RouteGroup.API_OPEN
            rate = await self._pool.run(lambda: guard.hit_address(group, address))
        else:
            rate = self._doorkeeper.over(scope, address)
            if rate is not None:
                self._doorkeeper.guard.note_hit(rate.group)
        note_rate(scope, rate)
        if rate is not None and not rate.allowed:
            raise RateLimitedError(rate)


def note_rate(scope: Scope, rate: Rate | None) -> None:
    """What the answer's header fields are to tell of a limit."""
    if rate is not None:
        scope[_RATE] = rate
