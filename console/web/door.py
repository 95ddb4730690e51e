"""Signing in and out, and `GET /api/auth/session`: who one is."""

import redis
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.web.call import Call, json_response, local_path
from console.web.frame import Frame, check_origin, cookie_name, form_fields, is_secure
from console.web.guard import address_of as caller_of
from console.web.oidc import OidcProvider
from console.web.parts import Parts
from console.web.server import address_of
from console.web.session import SIGNING_IN_S
from console.web.throttle import ThrottledError
from payouts.access import Step
from payouts.auth_failures import AuthFailure, kind_of
from payouts.clock import iso
from payouts.directory import admit_identity
from payouts.errors import ProviderDownError, RefusedError, SignInError
from payouts.identity import Identity
from payouts.logs import get_logger
from payouts.people import PROGRAM_PREFIX, ROLE_SCOPES, SIGN_IN, Actor
from payouts.storage import audit_rows
from payouts.storage.people_rows import authenticate
from payouts.storage.unit import in_transaction
from payouts.tokens import TokenError

SIGNING_IN_COOKIE = "payouts_signing_in"
"""Binds a sign-in at the provider to the browser that began it."""
CALLBACK = "/sign-in/callback"


def routes(frame: Frame, provider: OidcProvider | None) -> list[Route]:
    """The routes of signing in and out."""
    door = Door(frame, provider)
    return [
        Route("/sign-in", door.page, methods=["GET"]),
        Route("/sign-in", door.by_token, methods=["POST"]),
        Route("/sign-in/provider", door.to_provider, methods=["GET"]),
        Route(CALLBACK, door.from_provider, methods=["GET"]),
        Route("/sign-out", frame(_sign_out), methods=["POST"]),
        Route("/sign-out/everywhere", frame(_sign_out_everywhere), methods=["POST"]),
        Route("/api/auth/session", door.session, methods=["GET"]),
    ]


class Door:
    """Lets people in."""

    def __init__(self, frame: Frame, provider: OidcProvider | None) -> None:
        self._frame, self._parts, self._provider = frame, frame.parts, provider
        # From the settings, never from what a request says of its host.
        self._redirect_uri = address_of(self._parts.settings).rstrip("/") + CALLBACK

    async def page(self, request: Request) -> Response:
        """The form. Who came with a form of a session that is over is told that it changed nothing."""
        over = "your session is over, so nothing was done: sign in, and send it again"
        return self._form(request, 200, over if request.query_params.get("over") else None)

    async def by_token(self, request: Request) -> Response:
        """Sign in by a token."""
        fields = await form_fields(request)
        form = {name: values[-1] for name, values in fields.items()}
        return await run_in_threadpool(self._by_token, request, form)

    async def to_provider(self, request: Request) -> Response:
        """Send the browser to the identity provider."""
        if self._provider is None:
            return self._form(request, 404, "no identity provider is set here: sign in by a token")
        try:
            url, kept = await self._provider.begin(self._redirect_uri)
            kept = {**kept, "next": local_path(request.query_params.get("next"))}
            secret = await run_in_threadpool(self._parts.sessions.keep_signing_in, kept)
        except RefusedError as error:
            self._parts.failures.note(kind_of(error.code))
            return self._form(request, 503, str(error))
        except redis.RedisError:
            return self._form(request, 503, _NO_REDIS)
        answer = RedirectResponse(url, 303)
        answer.set_cookie(
            SIGNING_IN_COOKIE,
            secret,
            max_age=SIGNING_IN_S,
            httponly=True,
            secure=is_secure(self._parts),
            samesite="lax",  # it must come back with the browser from the provider's site
            path="/sign-in",
        )
        return answer

    async def from_provider(self, request: Request) -> Response:
        """Take up what the provider says of whoever comes back."""
        if self._provider is None:
            return self._form(request, 404, "no identity provider is set here: sign in by a token")
        address = caller_of(request)
        try:
            await run_in_threadpool(self._parts.throttle.check, address)
            kept = await run_in_threadpool(self._kept, request)
            identity = await self._provider.finish(kept, request.query_params, self._redirect_uri)
            answer = await run_in_threadpool(self._admit, identity, kept.get("next"), address)
        except ThrottledError as error:
            self._parts.failures.note(AuthFailure.THROTTLED)
            answer = self._form(request, 429, str(error))
            answer.headers["Retry-After"] = str(error.again_in_s)
        except RefusedError as error:
            answer = await run_in_threadpool(self._refused, request, error, address)
        except redis.RedisError:
            answer = self._form(request, 503, _NO_REDIS)
        except SQLAlchemyError as error:
            answer = self._form(request, 503, _no_database(error))
        answer.delete_cookie(SIGNING_IN_COOKIE, path="/sign-in")
        return answer

    def _kept(self, request: Request) -> dict[str, str]:
        secret = request.cookies.get(SIGNING_IN_COOKIE)
        kept = self._parts.sessions.take_signing_in(secret) if secret else None
        if kept is None:
            raise RefusedError(
                "sign_in_stale", "this sign-in was not begun in this browser, or long ago: begin it again"
            )
        return kept

    def _admit(self, identity: Identity, back: str | None, address: str) -> Response:
        parts = self._parts
        person = in_transaction(
            parts.engine,
            lambda connection: admit_identity(
                Step(connection, parts.make_id, parts.clock(), SIGN_IN), identity, parts.settings.role_rules
            ),
        )
        answer = RedirectResponse(local_path(back), 303)
        scopes = frozenset[str](ROLE_SCOPES[person.role])
        open_session(parts, answer, Actor(person.name, person.id, None, scopes), address, "provider")
        return answer

    def _refused(self, request: Request, error: RefusedError, address: str) -> Response:
        self._parts.failures.note(kind_of(error.code))
        self._parts.throttle.failed(address)
        noted = dict(error.for_log) if isinstance(error, SignInError) else {}
        get_logger().warning("console.sign_in_refused", code=error.code, client=address, **noted)
        status = 503 if isinstance(error, ProviderDownError) else 401
        return self._form(request, status, str(error))

    async def session(self, request: Request) -> Response:
        """Who one is, for programs and for the portal's checks; 401 where nobody."""
        return await run_in_threadpool(self._session, request)

    def _session(self, request: Request) -> Response:
        try:
            visitor = self._frame.visitor(request)
        except TokenError as error:
            return json_response({"error": error.code, "message": str(error)}, 401)
        except redis.RedisError:
            return json_response({"error": "redis_unavailable", "message": _NO_REDIS}, 503)
        except SQLAlchemyError as error:
            return json_response({"error": "database_unavailable", "message": _no_database(error)}, 503)
        if visitor is None:
            return json_response({"error": "not_signed_in", "message": "there is no session"}, 401)
        session = visitor.session
        return json_response(
            {
                "name": visitor.actor.name,
                "role": visitor.role,
                "scopes": sorted(visitor.actor.scopes),
                "signed_in_at": iso(session.began_at_ms) if session else None,
            }
        )

    def _by_token(self, request: Request, form: dict[str, str]) -> Response:
        address = caller_of(request)
        try:
            check_origin(request)
            actor = self._actor(form.get("token", ""), address)
            answer: Response = RedirectResponse(local_path(form.get("next")), 303)
            open_session(self._parts, answer, actor, address, "token")
        except ThrottledError as error:
            self._parts.failures.note(AuthFailure.THROTTLED)
            answer = self._form(request, 429, str(error), form.get("next"))
            answer.headers["Retry-After"] = str(error.again_in_s)
            return answer
        except RefusedError as error:
            if error.code != "forged":
                self._parts.failures.note(kind_of(error.code))
            status = 403 if error.code == "forged" else 401
            return self._form(request, status, str(error), form.get("next"))
        except redis.RedisError:
            return self._form(request, 503, _NO_REDIS, form.get("next"))
        except SQLAlchemyError as error:
            return self._form(request, 503, _no_database(error), form.get("next"))
        return answer

    def _actor(self, token: str, address: str) -> Actor:
        if not self._parts.settings.console_token_sign_in:
            raise RefusedError("token_sign_in_off", "signing in by token is switched off here")
        self._parts.throttle.check(address)
        try:
            actor = authenticate(self._parts.engine, token.strip(), self._parts.clock())
        except TokenError as error:
            self._parts.throttle.failed(address)
            get_logger().warning("console.sign_in_refused", code=error.code, client=address)
            raise
        if actor.person_id is None:
            self._parts.throttle.failed(address)
            raise RefusedError(
                "not_a_person",
                f"this is a token of {actor.name.removeprefix(PROGRAM_PREFIX)}, a program: "
                "it is sent with each request, not signed in with",
            )
        return actor

    def _form(self, request: Request, status: int, refused: str | None, back: str | None = None) -> Response:
        made = self._parts.renderer.render(
            "sign_in.html",
            None,
            title="Sign in",
            refused=refused,
            next=local_path(back or request.query_params.get("next")),
            by_token=self._parts.settings.console_token_sign_in,
            provider=self._provider.name if self._provider else None,
        )
        return Response(made, status, media_type="text/html; charset=utf-8")


def open_session(parts: Parts, answer: Response, actor: Actor, address: str, how: str) -> None:
    """Sign `actor`, a person, in: a session, its cookie, and an entry in the audit log."""
    if actor.person_id is None:
        raise ValueError("only people sign in")
    session, secret = parts.sessions.open(actor.person_id, actor.name, actor.token_id)
    parts.throttle.came_in(address)
    in_transaction(
        parts.engine,
        lambda connection: audit_rows.append(
            *(connection, parts.make_id, parts.clock()),
            actor=actor.name,
            action="session.open",
            subject=f"person:{actor.name}",
            details={"how": how, "address": address, "session": session.id[:12]},
        ),
    )
    answer.set_cookie(
        cookie_name(parts),
        secret,
        max_age=round(parts.settings.session_hours * 3600),
        httponly=True,
        secure=is_secure(parts),
        samesite="lax",
        path="/",
    )


_NO_REDIS = "Redis does not answer, and sessions are kept there: try again in a moment"


def _no_database(error: SQLAlchemyError) -> str:
    get_logger().warning("console.database_failed", path="sign-in", error=str(error)[:300])
    return "the database does not answer as it should, so nobody can be signed in: try again in a moment"


def _sign_out(call: Call) -> Response:
    if call.visitor.session is not None:
        call.parts.sessions.end(call.visitor.session)
    return _signed_out(call)


def _sign_out_everywhere(call: Call) -> Response:
    person_id = call.actor.person_id
    if person_id is not None:
        ended = call.parts.sessions.end_all(person_id)
        call.do(
            lambda connection, actor, make_id, at_ms: audit_rows.append(
                *(connection, make_id, at_ms),
                actor=actor.name,
                action="session.end_all",
                subject=f"person:{actor.name}",
                details={"sessions": ended},
            )
        )
    return _signed_out(call)


def _signed_out(call: Call) -> Response:
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(cookie_name(call.parts), path="/", secure=is_secure(call.parts), httponly=True)
    return answer
