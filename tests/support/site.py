"""The console in this process: signed in as people of each role, with and without a browser."""

import re
from html import unescape
from typing import Any

import fakeredis
import httpx2 as httpx
import redis
from sqlalchemy import Engine
from starlette.testclient import TestClient

from console.web.app import make_app
from console.web.parts import open_parts
from payouts.access import Step, add_person, give_person_token
from payouts.ids import IdMaker
from payouts.people import BOOTSTRAP, Role
from payouts.settings import Settings
from payouts.storage.people_rows import find_person
from payouts.storage.queries import reading

BASE = "http://testserver"


class Site:
    """A console on a database, with sessions in a Redis that is not real, unless one is given."""

    def __init__(self, url: str, client: redis.Redis | None = None, **settings: Any) -> None:
        self.redis_server = fakeredis.FakeServer()
        self.redis = client or fakeredis.FakeRedis(server=self.redis_server)
        made = Settings(database_url=url, redis_url="redis://127.0.0.1:1/0", **settings)
        self.parts = open_parts(made, self.redis)
        self.app = make_app(self.parts)

    @property
    def engine(self) -> Engine:
        return self.parts.engine

    def client(self, base: str = BASE) -> TestClient:
        """Somebody who is not signed in yet. What is live does not run: that is for real browsers."""
        return TestClient(self.app, base_url=base, follow_redirects=False)

    def token(self, name: str, role: Role = Role.ADMIN) -> str:
        """A token of somebody called `name`, who is added where they are not there yet."""
        with self.engine.begin() as connection:
            step = Step(connection, IdMaker(), self.parts.clock(), BOOTSTRAP)
            person = find_person(connection, name) or add_person(step, name, role)
            return give_person_token(step, person, "tests", None, 30).secret

    def visit(self, name: str = "anna", role: Role = Role.ADMIN) -> "Visit":
        """Somebody who is signed in."""
        client = self.client()
        answer = client.post("/sign-in", data={"token": self.token(name, role)})
        assert answer.status_code == 303, answer.text
        return Visit(client)

    def person_id(self, name: str) -> int:
        with reading(self.engine) as connection:
            found = find_person(connection, name)
        assert found is not None
        return found.id

    def close(self) -> None:
        self.engine.dispose()


class Visit:
    """Somebody at the console without scripts: pages are read, forms are filled in and sent."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, status: int = 200, **headers: str) -> str:
        """The page's HTML."""
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == status, f"{path}: {answer.status_code} {_words(answer)}"
        return answer.text

    def json(self, path: str) -> Any:
        """The page's data, as programs get them."""
        answer = self.client.get(path, headers={"Accept": "application/json"})
        assert answer.status_code == 200, _words(answer)
        return answer.json()

    def reads(self, path: str) -> str:
        """The page as a person reads it: its words, one space apart."""
        return words_of(self.get(path))

    def send(self, page: str, action: str, **fields: str) -> str:
        """Fill in the form of `page` that goes to `action`, send it, and read the page that follows.

        AssertionError where the page has no such form, as for whoever may not use it.
        """
        answer = self.sent(page, action, **fields)
        assert answer.status_code == 303, _words(answer)
        return self.reads(answer.headers["location"])

    def sent(self, page: str, action: str, **fields: str) -> httpx.Response:
        """As `send`: the answer itself."""
        kept = hidden_fields(self.get(page), action)
        return self.client.post(action, data={**kept, **fields})


def hidden_fields(html: str, action: str) -> dict[str, str]:
    """What a form carries besides what is typed."""
    for form in re.findall(r"<form\b[^>]*>.*?</form>", html, re.DOTALL):
        if f'action="{action}"' in unescape(form.partition(">")[0] + ">"):
            found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form)
            return {name: unescape(value) for name, value in found}
    raise AssertionError(f"the page has no form for {action}")


def words_of(html: str) -> str:
    """The words of a page."""
    body = html.partition("<main")[2].partition("</main>")[0] or html
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def _words(answer: httpx.Response) -> str:
    return words_of(answer.text)[:1000]
