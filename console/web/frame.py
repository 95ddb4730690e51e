"""Around every page: who asks, whether they may, whether a form came from here, and what errors look like.

Pages are plain functions of a `Call`. They run in threads, each with one connection that only reads.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

import redis
from dramatiq.errors import BrokerError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from console.web.call import Call, NotSentError, json_response, local_path, wants_json
from console.web.flash import TOLD_COOKIE, Flash
from console.web.parts import Parts
from console.web.visitor import Visitor, by_bearer, by_session
from payouts.auth_failures import AuthFailure, kind_of
from payouts.errors import NotFoundError, PayloadUnavailableError, PayoutsError, RefusedError
from payouts.logs import get_logger, redact
from payouts.people import Scope
from payouts.storage.queries import reading
from payouts.tokens import TokenError

BODY_BYTES_MOST = 256 * 1024
BODY_WITHIN_S = 10.0
"""A form that comes more slowly is refused: each holds a connection, and there are only so many."""
FIELDS_MOST = 2_000
TYPED_CHARS_MOST = 20_000
SESSION_COOKIE = "payouts_session"

Handler = Callable[[Call], Response]


class ForgedError(RefusedError):
    """A form that this console did not make, or made for a session that is over."""

    def __init__(self, why: str) -> None:
        super().__init__("forged", f"{why}: open the page again, and send the form from there")


@dataclass(frozen=True, slots=True)
class Frame:
    """Makes endpoints of pages."""

    parts: Parts

    def __call__(
        self, handler: Handler, scope: Scope = Scope.READ, *, is_list: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of `handler`, for those who have `scope`. `is_list`: it may be a little stale."""

        async def endpoint(request: Request) -> Response:
            fields = await form_fields(request) if request.method == "POST" else {}
            return await run_in_threadpool(self._answer, request, handler, scope, fields, is_list)

        endpoint.__name__ = handler.__name__
        return endpoint

    def visitor(self, request: Request) -> Visitor | None:
        """Who asks; None: nobody who is signed in. TokenError for a bearer token that lets nobody in.

        Counts those who are not let in, though they hold something that would let somebody in.
        """
        with reading(self.parts.engine) as connection:
            return self._visitor(connection, request)

    def _answer(
        self,
        request: Request,
        handler: Handler,
        scope: Scope,
        fields: Mapping[str, Sequence[str]],
        is_list: bool,
    ) -> Response:
        try:
            with reading(self.parts.engine) as connection:
                visitor = self._visitor(connection, request)
                if visitor is None:
                    return to_sign_in(request)
                form = {name: values[-1] for name, values in fields.items()}
                call = Call(
                    parts=self.parts,
                    request=request,
                    visitor=visitor,
                    flash=self._told(request, visitor),
                    connection=connection,
                    form=form,
                    lists=fields,
                )
                if is_list and call.flash is None:  # whoever just did something sees it
                    return self.parts.lists.read(
                        lambda stale: _guarded(replace(call, connection=stale), handler, scope)
                    )
                return _guarded(call, handler, scope)
        except TokenError as error:
            return _plain(request, 401, error.code, str(error))
        except redis.RedisError as error:
            said = f"Redis does not answer, and sessions are kept there: {redact(str(error))}"
            return _plain(request, 503, "redis_unavailable", said)
        except BrokerError as error:
            said = f"the queue does not answer: {redact(str(error))}; what was to be done is done later"
            return _plain(request, 503, "queue_unavailable", said)
        except SQLAlchemyError as error:
            get_logger().warning("console.database_failed", path=request.url.path, error=str(error)[:300])
            said = "the database does not answer as it should; what you asked for was not done"
            return _plain(request, 503, "database_unavailable", said)

    def _visitor(self, connection: Connection, request: Request) -> Visitor | None:
        header = request.headers.get("authorization")
        now_ms, failures = self.parts.clock(), self.parts.failures
        if header is not None:
            try:
                return by_bearer(connection, header, now_ms)
            except TokenError as error:
                failures.note(kind_of(error.code))
                raise
        cookie = request.cookies.get(cookie_name(self.parts))
        visitor = by_session(connection, self.parts.sessions, cookie, now_ms)
        if visitor is None and cookie:
            failures.note(AuthFailure.SESSION)
        return visitor

    def _told(self, request: Request, visitor: Visitor) -> Flash | None:
        if visitor.session is None or request.method != "GET" or TOLD_COOKIE not in request.cookies:
            return None
        if "x-live" in request.headers:  # a page that renews itself shows nothing: it stays for the next one
            return None
        return self.parts.sessions.told(visitor.session)


def cookie_name(parts: Parts) -> str:
    """The cookie's name. Over TLS one that browsers take from this host alone."""
    return f"__Host-{SESSION_COOKIE}" if is_secure(parts) else SESSION_COOKIE


def is_secure(parts: Parts) -> bool:
    """Whether people reach the console over TLS."""
    return parts.settings.console_url.startswith("https://")


def check_origin(request: Request) -> None:
    """ForgedError for a form that another site's page sends."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        raise ForgedError("this form was sent by a page of another site")
    origin = request.headers.get("origin")
    if origin is not None and _split(origin).netloc != request.headers.get("host"):
        raise ForgedError(f"this form was sent from {origin[:100]}, not from here")


def error_page(call: Call, status: int, code: str, said: str) -> Response:
    """An error with the console around it."""
    data = {"error": code, "message": said}
    return call.page("error.html", title=_TITLES.get(status, "Not done"), data=data, status=status, said=said)


def _guarded(call: Call, handler: Handler, scope: Scope) -> Response:
    changes = call.request.method == "POST"
    try:
        if changes and call.visitor.session is not None:
            check_origin(call.request)
            _check_token(call)
        call.actor.require(scope)
        return handler(call)
    except NotFoundError as error:
        return error_page(call, 404, "not_found", str(error))
    except RefusedError as error:
        if error.code in ("not_allowed", "forged"):
            return error_page(call, 403, error.code, str(error))
        if changes:
            return _refused(call, error)
        return error_page(call, 400, error.code, str(error))
    except NotSentError as error:
        return error_page(call, 503, "not_sent", str(error))
    except PayloadUnavailableError as error:
        return error_page(call, 503, "payload_unavailable", str(error))
    except PayoutsError as error:
        return error_page(call, 400, "refused", str(error))


def _refused(call: Call, error: RefusedError) -> Response:
    if call.visitor.session is None or call.wants_json:
        return json_response({"error": error.code, "message": str(error)}, 409)
    back = local_path(call.form.get("back"))
    return call.told(back, Flash(str(error), True, call.request.url.path, _typed(call)))


def _typed(call: Call) -> Mapping[str, Sequence[str]]:
    """What somebody wrote into a form, to be shown again: where it is more than people write, nothing."""
    typed = {name: values for name, values in call.lists.items() if name not in ("csrf", "back")}
    return typed if sum(len(text) for values in typed.values() for text in values) <= TYPED_CHARS_MOST else {}


def _check_token(call: Call) -> None:
    sent, wanted = call.form.get("csrf", ""), call.visitor.in_session.csrf
    if not hmac.compare_digest(sent.encode(), wanted.encode()):
        raise ForgedError("this form is not of your session as it is now")


async def form_fields(request: Request) -> Mapping[str, Sequence[str]]:
    """What a form was filled in with. HTTPException 408 where it does not arrive in time, 400 where it breaks
    off: anybody can send it so, and it is no fault of the console's."""
    body = b""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MOST:
                    return {}  # no form of this console: it lacks the token, and is refused for that
    except TimeoutError:
        raise HTTPException(408, f"the form did not arrive within {BODY_WITHIN_S:.0f} s") from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection ended before the form was complete") from None
    try:
        return parse_qs(
            body.decode(), keep_blank_values=True, strict_parsing=False, max_num_fields=FIELDS_MOST
        )
    except ValueError:
        return {}


def to_sign_in(request: Request) -> Response:
    """Where nobody is signed in: people are led to the door, programs and scripts are told."""
    if wants_json(request) or "x-live" in request.headers:
        return json_response({"error": "not_signed_in", "message": "sign in, or send a bearer token"}, 401)
    if request.method != "GET":  # a form of a session that is over: its page is where one goes on
        return RedirectResponse(f"/sign-in?over=1&next={quote(_page_before(request))}", 303)
    query = f"?{request.url.query}" if request.url.query else ""
    back = request.url.path + query
    return RedirectResponse(f"/sign-in?next={quote(back)}" if back != "/" else "/sign-in", 303)


def _page_before(request: Request) -> str:
    """The page of this console that the form was on, as far as the browser tells."""
    before = _split(request.headers.get("referer", ""))
    if before.netloc != request.headers.get("host"):
        return "/"
    return local_path(before.path + (f"?{before.query}" if before.query else ""))


def _split(address: str) -> SplitResult:
    """The parts of an address that a browser, or anybody else, wrote: all empty where it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _plain(request: Request, status: int, code: str, said: str) -> Response:
    """An error for whom nobody knows who they are, or while the stores are away: no page can be made."""
    if wants_json(request) or "authorization" in request.headers:
        return json_response({"error": code, "message": said}, status)
    return Response(f"{said}\n", status, media_type="text/plain; charset=utf-8", headers={"Retry-After": "5"})


_TITLES = {400: "Cannot be read", 403: "Not allowed", 404: "Not found", 503: "Not now"}
