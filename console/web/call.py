"""One request, as a page sees it: who asks, with what, a connection to read by, and ways to answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
import redis
from dramatiq.errors import BrokerError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.output import readable
from console.web.flash import TOLD_COOKIE, Flash
from console.web.parts import Parts
from console.web.visitor import Visitor
from payouts.errors import PayoutsError, RefusedError
from payouts.ids import IdMaker
from payouts.logs import get_logger
from payouts.people import Actor, Scope
from payouts.storage.unit import in_transaction
from workers.messages import Messages

T = TypeVar("T")
Work = Callable[[Connection, Actor, IdMaker, int], T]
"""What is done: in a transaction, by somebody, with new row ids, at a time in ms."""


class NotSentError(PayoutsError):
    """The workers could not be told to do what was asked for, and do nothing by themselves."""

    def __init__(self, what: str, cause: Exception) -> None:
        super().__init__(
            f"{what}: the queue does not answer ({type(cause).__name__}), so no worker was told. "
            "Ask once more when it does"
        )


@dataclass(slots=True, kw_only=True)
class View:
    """What every page shows around itself: who looks, at what address."""

    parts: Parts
    request: Request
    visitor: Visitor
    flash: Flash | None = None
    """What the last action said to this session, shown once."""

    @property
    def actor(self) -> Actor:
        return self.visitor.actor

    @property
    def address(self) -> str:
        """Where this page is to be found again."""
        query = self.request.url.query
        return f"{self.request.url.path}?{query}" if query else self.request.url.path

    def path(self, name: str) -> str:
        """The part `name` of the address."""
        return str(self.request.path_params[name])

    def asked(self, name: str) -> str | None:
        """The parameter `name` of the address; None where it is missing or empty."""
        return self.request.query_params.get(name, "").strip() or None

    def number(self, name: str) -> int | None:
        """The parameter `name` as a row id. RefusedError for anything else."""
        text = self.asked(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
            raise RefusedError("bad_number", f"{name} takes a row id, not {text[:40]!r}")
        return int(text)

    def may(self, scope: Scope) -> bool:
        """Whether the visitor has `scope`: a page shows no verb that would be refused for that."""
        return self.visitor.may(scope)

    @property
    def wants_json(self) -> bool:
        """Whether a program asks: the page's data come as JSON then."""
        return wants_json(self.request)

    def here(self, **changes: str | None) -> str:
        """This page's address with other parameters; None takes one away."""
        params = {key: value for key, value in self.request.query_params.items() if value}
        params |= {key: value for key, value in changes.items() if value is not None}
        kept = {key: value for key, value in params.items() if changes.get(key, value) is not None}
        path = self.address.partition("?")[0]
        return f"{path}?{urlencode(kept)}" if kept else path


@dataclass(slots=True, kw_only=True)
class Call(View):
    """A request that was let in."""

    connection: Connection
    """Reads only. What changes something goes through `do`."""
    form: Mapping[str, str] = field(default_factory=dict)
    """The fields of the form that was sent; of a field sent twice, the last."""
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The same, with all values of each field."""

    @property
    def address(self) -> str:
        # A page that answers a form is at no address of its own: the one that the form came from.
        if self.request.method == "POST":
            return local_path(self.form.get("back"))
        query = self.request.url.query
        return f"{self.request.url.path}?{query}" if query else self.request.url.path

    @property
    def now_ms(self) -> int:
        return self.parts.clock()

    @property
    def reason(self) -> str:
        """The reason that was typed; the functions that need one refuse an empty one."""
        return self.form.get("reason", "")

    def do(self, work: Work[T]) -> T:
        """What `work` returns, once it is committed; as the visitor, again where the database asks for it."""
        return in_transaction(
            self.parts.engine,
            lambda connection: work(connection, self.actor, self.parts.make_id, self.parts.clock()),
        )

    def hint(self, send: Callable[[Messages], None]) -> None:
        """Tell the workers of what is committed. They find it later where the queue is away."""
        try:
            send(self.parts.messages)
        except (redis.RedisError, BrokerError) as error:
            get_logger().warning("console.hint_failed", path=self.request.url.path, error=str(error)[:300])

    def order(self, send: Callable[[Messages], None], what: str) -> None:
        """Have a worker do what it would not find by itself; `what` says what is left undone otherwise.

        NotSentError where the queue is away.
        """
        try:
            send(self.parts.messages)
        except (redis.RedisError, BrokerError) as error:
            get_logger().warning("console.order_failed", path=self.request.url.path, error=str(error)[:300])
            raise NotSentError(what, error) from None

    def page(
        self, template: str, *, title: str, data: Any = None, status: int = 200, **context: Any
    ) -> Response:
        """The page, made from `template`; or `data` as JSON where that is asked for."""
        if self.wants_json:
            return json_response(data, status)
        made = self.parts.renderer.render(template, self, title=title, **context)
        answer = Response(made, status, media_type="text/html; charset=utf-8")
        if self.flash is not None:
            answer.delete_cookie(TOLD_COOKIE)
        return answer

    def back(self, to: str, said: str, data: Any = None) -> Response:
        """What was asked for is done: tell it, on the page `to`. Programs get `data` and where to look."""
        return self.told(to, Flash(said), data)

    def told(self, to: str, flash: Flash, data: Any = None) -> Response:
        """As `back`; `flash` may be a refusal."""
        if self.visitor.session is None or self.wants_json:
            return json_response({"said": flash.text, "see": to, **({"done": data} if data else {})})
        try:
            self.parts.sessions.tell(self.visitor.session, flash)
        except redis.RedisError:
            # It was done, or refused: that must not be lost behind an error about the session.
            said = f"{flash.text}. Redis does not answer, so the pages of the console do not open now"
            title, status = ("Not done", 409) if flash.refused else ("Done", 200)
            return self.page("error.html", title=title, status=status, said=said, done=not flash.refused)
        answer = RedirectResponse(to, 303)
        answer.set_cookie(TOLD_COOKIE, "1", max_age=60, httponly=True, samesite="lax")
        return answer


def local_path(text: str | None, otherwise: str = "/") -> str:
    """`text` if it is an address of this console, else another: nobody is sent elsewhere from here."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")) or "\n" in text or "\r" in text:
        return otherwise
    return text


def wants_json(request: Request) -> bool:
    """Whether a program asks: `Accept: application/json`, or `?format=json`."""
    if request.query_params.get("format") == "json":
        return True
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def json_response(data: Any, status: int = 200) -> Response:
    """`data` as JSON in the form that commands print: times as ISO, row ids as text."""
    return Response(msgspec.json.encode(readable(data)), status, media_type="application/json")


_DIGITS = 20
