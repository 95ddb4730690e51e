"""A certified OpenID provider (npm's oidc-provider) in a process of its own, and a browser for it."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Timer
from typing import Any, Self
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2

SCRIPT = Path(__file__).with_name("oidc_provider.mjs")
MODULE = Path(__file__).parents[1] / "node_modules" / "oidc-provider"
START_TIMEOUT_S = 60
CLIENT_ID = "payouts"
CLIENT_SECRET = "only/for+tests%"
REDIRECT_URI = "http://127.0.0.1:8082/sign-in/callback"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "anna": {
        "name": "Anna B",
        "preferred_username": "anna",
        "email": "anna@example.com",
        "email_verified": True,
        "groups": ["owners"],
    },
    "bert": {"email": "bert@example.com", "email_verified": True, "groups": ["finance"]},
    "carla": {"email": "carla@example.com", "email_verified": False, "groups": []},
}


class RealProvider:
    """Runs while the `with` block does. Any password will do."""

    def __init__(
        self,
        redirect_uris: Sequence[str] = (REDIRECT_URI,),
        accounts: Mapping[str, Mapping[str, Any]] = ACCOUNTS,
    ) -> None:
        self._asked = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uris": list(redirect_uris),
            "accounts": accounts,
        }

    @staticmethod
    def program() -> str | None:
        """Node, where it and the module are installed."""
        return shutil.which("node") if MODULE.is_dir() else None

    @property
    def settings(self) -> dict[str, str]:
        """The service's settings for it, but for the roles."""
        return {
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
        }

    def __enter__(self) -> Self:
        node = self.program()
        assert node is not None
        self._process = subprocess.Popen(
            [node, str(SCRIPT), json.dumps(self._asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it warns that it is set up for tests
            text=True,
        )
        assert self._process.stdout is not None
        patience = Timer(START_TIMEOUT_S, self._process.kill)
        patience.start()
        said = self._process.stdout.readline()
        patience.cancel()
        assert said, f"the provider ended with {self._process.wait(10)}"
        self.issuer: str = json.loads(said)["issuer"]
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=10)  # closes its standard input, so it ends
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate(timeout=10)


def sign_in_as(login: str, url: str, redirect_uri: str = REDIRECT_URI) -> dict[str, str]:
    """What the browser of `login` brings back from `url`: the forms are filled in as a person would."""
    with httpx2.Client(timeout=10, trust_env=False) as browser:
        answer = browser.get(url)
        for form in ({"prompt": "login", "login": login, "password": "any"}, {"prompt": "consent"}):
            page = _follow(browser, answer, redirect_uri)
            if isinstance(page, dict):
                return page
            answer = browser.post(page, data=form)
        page = _follow(browser, answer, redirect_uri)
        assert isinstance(page, dict), f"the provider asks for more at {page}"
        return page


def cancel_at(url: str, redirect_uri: str = REDIRECT_URI) -> dict[str, str]:
    """What a browser brings back from `url` whose owner presses Cancel there."""
    with httpx2.Client(timeout=10, trust_env=False) as browser:
        page = _follow(browser, browser.get(url), redirect_uri)
        assert isinstance(page, str)
        back = _follow(browser, browser.get(f"{page}/abort"), redirect_uri)
        assert isinstance(back, dict)
        return back


def _follow(browser: httpx2.Client, answer: httpx2.Response, redirect_uri: str) -> dict[str, str] | str:
    """What comes back to `redirect_uri`, or the address of the page with the next form."""
    for _ in range(10):
        if not answer.is_redirect:
            assert answer.status_code == 200, answer.text
            return str(answer.url)
        target = urljoin(str(answer.url), answer.headers["location"])
        if target.startswith(redirect_uri):
            return dict(parse_qsl(urlsplit(target).query))
        answer = browser.get(target)
    raise AssertionError("the provider sends the browser in circles")
