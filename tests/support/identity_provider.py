"""A small OpenID provider in process that can be told to misbehave. It shares no code with what it tests."""

import asyncio
import base64
import hashlib
import json
import ssl
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import httpx2
from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from payouts.settings import Settings

ISSUER = "https://id.example.com/"
CLIENT_ID = "payouts console"
CLIENT_SECRET = "a secret: with % and +"
REDIRECT_URI = "https://console.example.com/sign-in/callback"
Json = dict[str, Any]


@cache
def rsa_key(kid: str) -> Any:
    """A key of this name, made once for all tests: making one takes a tenth of a second or more."""
    return jwk.RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def oidc_settings(**changed: Any) -> Settings:
    """Settings that name the small provider."""
    values = {
        "database_url": "sqlite:////tmp/never.db",
        "redis_url": "redis://127.0.0.1:1/0",
        "oidc_issuer": ISSUER,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "oidc_roles": "admin=owners,viewer=*",
    }
    return Settings(**{**values, **changed})


class SmallProvider:
    """Answers as a provider does, until a test changes what it says.

    `facts`, `claims`, `userinfo` and `header` are what it says; `keys` what it publishes, `signing` what it
    signs with. `before` is called with each path, and may answer in the provider's place. `asked` counts.
    """

    def __init__(self) -> None:
        self.signing: Any = rsa_key("first")
        self.keys: list[Any] = [self.signing]
        self.header: Json = {"alg": "RS256", "kid": "first"}
        self.facts: Json = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}authorize?tenant=1",
            "token_endpoint": f"{ISSUER}token",
            "userinfo_endpoint": f"{ISSUER}userinfo",
            "jwks_uri": f"{ISSUER}keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
        self.claims: Json = {"groups": ["owners", "cooks"], "name": "Anna B", "preferred_username": "anna"}
        self.userinfo: Any = {"sub": "user-1"}
        self.id_token: Callable[[Json], str] = self.signed
        self.before: Callable[[str], Response | None] = lambda path: None
        self.asked: list[str] = []
        self.token_requests: list[Json] = []
        self._codes: dict[str, Json] = {}
        routes = [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/keys", self._keys),
            Route("/token", self._token, methods=["POST"]),
            Route("/userinfo", self._userinfo),
        ]
        self.transport = httpx2.ASGITransport(Starlette(routes=routes))

    def authorize(self, url: str, code: str = "code-1") -> dict[str, str]:
        """What a browser that signs in at `url` brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def rotate(self, kid: str) -> None:
        """Sign with another key, and publish it alone."""
        self.signing = rsa_key(kid)
        self.keys = [self.signing]
        self.header = {"alg": "RS256", "kid": kid}

    def signed(self, claims: Json) -> str:
        """An ID token as a provider makes it."""
        registry = JWSRegistry(algorithms=[self.header["alg"]], strict_check_header=False)
        return jwt.encode(self.header, claims, self.signing, registry=registry)

    def count(self, path: str) -> int:
        """How often `path` was asked for."""
        return self.asked.count(path)

    def _instead(self, path: str) -> Response | None:
        self.asked.append(path)
        return self.before(path)

    async def _discovery(self, request: Request) -> Response:
        return self._instead("discovery") or JSONResponse(self.facts)

    async def _keys(self, request: Request) -> Response:
        public = [key if isinstance(key, dict) else key.as_dict(private=False) for key in self.keys]
        return self._instead("keys") or JSONResponse({"keys": public})

    async def _userinfo(self, request: Request) -> Response:
        instead = self._instead("userinfo")
        if instead is None and request.headers.get("authorization") != "Bearer access-1":
            return JSONResponse({"error": "invalid_token"}, 401)
        return instead or JSONResponse(self.userinfo)

    async def _token(self, request: Request) -> Response:
        instead = self._instead("token")
        if instead is not None:
            return instead
        form = {name: str(value) for name, value in (await _form(request)).items()}
        self.token_requests.append(form)
        if _client(request, form) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        began = self._codes.pop(form.get("code", ""), None)
        if began is None or form.get("redirect_uri") != began["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != began["code_challenge"]:
            return JSONResponse({"error": "invalid_grant", "error_description": "PKCE failed"}, 400)
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "user-1",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": began["nonce"],
            **self.claims,
        }
        told = {name: value for name, value in claims.items() if value is not None}
        answer = {"access_token": "access-1", "token_type": "Bearer", "id_token": self.id_token(told)}
        return JSONResponse(answer)


async def _form(request: Request) -> dict[str, str]:
    # By hand: Starlette's own needs another package for forms.
    return {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    name, _, secret = base64.b64decode(sent).decode().partition(":")
    return unquote_plus(name), unquote_plus(secret)


def unsigned(claims: Json, header: Json, signature: bytes = b"") -> str:
    """A token put together by hand, with any header and signature."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Socket:
    """A server on this machine that answers every request by `behave`, to hang and to flood for real."""

    def __init__(
        self, behave: Callable[[asyncio.StreamWriter], Any], tls: ssl.SSLContext | None = None
    ) -> None:
        self._behave = behave
        self._tls = tls
        self._tasks: list[asyncio.Task[Any] | None] = []

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, self._tasks), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            await self._behave(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # whoever asked has hung up, as it should
        finally:
            writer.close()
