"""Signing in and out of the console, who is let in to what, and what is refused."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from console.web import frame
from console.web.throttle import ALL_TOGETHER
from payouts.access import Step, deactivate, revoke_token
from payouts.ids import IdMaker
from payouts.people import Role
from payouts.storage.audit_rows import entry_list
from payouts.storage.people_rows import TOKENS, find_person
from payouts.storage.people_tables import tokens
from payouts.storage.queries import Filters, reading
from payouts.tokens import digest_of, new_token
from tests.support.databases import migrated_file
from tests.support.site import Site, hidden_fields, words_of


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"), sign_in_tries=3)
    yield made
    made.close()


def step(site: Site, connection: object) -> Step:
    return Step(connection, IdMaker(), site.parts.clock(), "boss")  # type: ignore[arg-type]


def test_who_is_not_signed_in_is_led_to_the_door_and_then_to_the_page_asked_for(site: Site) -> None:
    client = site.client()
    led = client.get("/events?status=dead")
    assert led.status_code == 303
    door = client.get(led.headers["location"])
    form = hidden_fields(door.text, "/sign-in")
    entered = client.post("/sign-in", data={**form, "token": site.token("anna")})
    assert entered.headers["location"] == "/events?status=dead"
    assert client.get("/events?status=dead").status_code == 200


def test_nobody_is_sent_to_another_site_after_signing_in(site: Site) -> None:
    for bad in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        client = site.client()
        entered = client.post("/sign-in", data={"token": site.token("anna"), "next": bad})
        assert entered.headers["location"] == "/"


def test_a_program_gets_401_instead_of_a_form_and_comes_in_by_its_bearer_token(site: Site) -> None:
    client = site.client()
    as_json = {"Accept": "application/json"}
    assert client.get("/events", headers=as_json).status_code == 401
    assert client.get("/api/auth/session").status_code == 401
    bearer = {**as_json, "Authorization": f"Bearer {site.token('anna', Role.VIEWER)}"}
    assert client.get("/events", headers=bearer).json() == []
    who = client.get("/api/auth/session", headers=bearer).json()
    assert (who["name"], who["role"], who["scopes"]) == ("anna", "viewer", ["read"])
    assert client.get("/events", headers={"Authorization": "Bearer pt_wrong"}).status_code == 401
    assert client.head("/api/auth/session", headers=bearer).status_code == 200


def test_the_session_says_who_one_is_and_the_cookie_is_out_of_reach_of_scripts(site: Site) -> None:
    client = site.client()
    entered = client.post("/sign-in", data={"token": site.token("anna", Role.OPERATOR)})
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie  # reached over http here
    assert client.get("/api/auth/session").json()["role"] == "operator"
    # Redis keeps a digest: who reads it cannot be anna.
    assert client.cookies["payouts_session"].encode() not in b" ".join(site.redis.keys("*"))


def test_over_tls_the_cookie_is_for_this_host_and_tls_alone(tmp_path: Path) -> None:
    site = Site(migrated_file(tmp_path / "payouts.db"), console_url="https://console.example.com")
    client = site.client("https://console.example.com")
    entered = client.post("/sign-in", data={"token": site.token("anna")})
    assert entered.headers["set-cookie"].startswith("__Host-payouts_session=")
    assert "secure" in entered.headers["set-cookie"].lower()
    assert "max-age" in client.get("/").headers["strict-transport-security"]
    site.close()


def test_failed_sign_ins_are_slowed_down_and_the_right_token_too(site: Site) -> None:
    token = site.token("anna")
    client = site.client()
    for _ in range(3):
        assert client.post("/sign-in", data={"token": "pt_" + "x" * 43}).status_code == 401
    refused = client.post("/sign-in", data={"token": token})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "too many sign-ins failed" in words_of(refused.text)


def test_a_program_does_not_sign_in(site: Site) -> None:
    from payouts.access import give_program_token

    with site.engine.begin() as connection:
        secret = give_program_token(step(site, connection), "portal", "read", 30).secret
    client = site.client()
    assert "a program" in words_of(client.post("/sign-in", data={"token": secret}).text)


def test_signing_out_ends_the_session_and_everywhere_ends_all_of_them(site: Site) -> None:
    here = site.visit()
    there = site.visit()
    elsewhere = site.visit()
    assert here.sent("/", "/sign-out").status_code == 303
    assert here.client.get("/api/auth/session").status_code == 401
    assert there.client.get("/api/auth/session").status_code == 200
    assert there.sent("/me", "/sign-out/everywhere").status_code == 303
    assert elsewhere.client.get("/api/auth/session").status_code == 401


def test_whose_token_is_revoked_or_who_is_deactivated_is_out_at_once(site: Site) -> None:
    anna, ben = site.visit("anna"), site.visit("ben", Role.OPERATOR)
    with site.engine.begin() as connection:
        deactivate(step(site, connection), "ben")
        for token in TOKENS.find(connection, tokens.c.person_id == site.person_id("anna")):
            revoke_token(step(site, connection), token.id)
    for one in (anna, ben):
        assert one.client.get("/api/auth/session").status_code == 401


def test_a_form_without_the_token_or_from_another_site_changes_nothing(site: Site) -> None:
    anna = site.visit()
    client = anna.client
    assert client.post("/sign-out", data={}).status_code == 403
    assert client.post("/sign-out", data={"csrf": "guess"}).status_code == 403
    form = hidden_fields(anna.get("/"), "/sign-out")
    for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post("/sign-out", data=form, headers=header).status_code == 403
    assert client.post("/sign-in", data={}, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.get("/api/auth/session").status_code == 200


def test_every_answer_forbids_foreign_scripts_and_frames(site: Site) -> None:
    anna = site.visit()
    answers: list[httpx.Response] = [anna.client.get(path) for path in ("/", "/events", "/none", "/sign-in")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert "<script>" not in answer.text
        assert ' style="' not in answer.text


def test_sign_ins_are_on_the_audit_log_without_the_token(site: Site) -> None:
    token = site.token("anna")
    client = site.client()
    client.post("/sign-in", data={"token": token})
    with reading(site.engine) as connection:
        entries = entry_list(connection, Filters({"action": "session.open"}), 10)
        assert [entry["actor"] for entry in entries] == ["anna"]
        assert find_person(connection, "anna") is not None
    assert token not in str(entries)
    assert digest_of(token) not in str(entries)


def test_with_redis_away_the_console_says_so(site: Site) -> None:
    anna = site.visit()
    site.redis_server.connected = False
    assert anna.client.get("/").status_code == 503
    assert "Redis does not answer" in anna.client.get("/").text


def test_who_has_signed_in_from_there_is_not_locked_out_by_what_all_others_try(site: Site) -> None:
    at_work, elsewhere = (TestClient(site.app, client=(ip, 1)) for ip in ("192.0.2.1", "192.0.2.2"))

    def sign_in(client: TestClient, token: str) -> int:
        return client.post("/sign-in", data={"token": token}, follow_redirects=False).status_code

    good = site.token("anna")
    assert sign_in(at_work, good) == 303
    for number in range(3 * ALL_TOGETHER):
        site.parts.throttle.failed(f"198.51.100.{number}")

    assert sign_in(elsewhere, good) == 429
    assert sign_in(at_work, good) == 303
    assert [sign_in(at_work, new_token()) for _ in range(4)] == [401, 401, 401, 429], "its own tries count"


def test_at_the_door_redis_or_a_database_that_is_away_is_said(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, good = site.client(), site.token("anna")
    with monkeypatch.context() as away:
        away.setattr(site.redis_server, "connected", False)
        refused = client.post("/sign-in", data={"token": good})
        assert refused.status_code == 503
        assert "Redis does not answer" in words_of(refused.text)
        client.cookies.set("payouts_session", "x")
        asked = client.get("/api/auth/session")
        assert (asked.status_code, asked.json()["error"]) == (503, "redis_unavailable")

    with site.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE tokens RENAME TO gone"))
    refused = client.post("/sign-in", data={"token": good})
    assert refused.status_code == 503
    assert "the database does not answer" in words_of(refused.text)
    bearer = {"Authorization": f"Bearer {good}"}
    asked = client.get("/api/auth/session", headers=bearer)
    assert (asked.status_code, asked.json()["error"]) == (503, "database_unavailable")


@pytest.mark.parametrize(
    ("then", "status"), [("nothing", 408), ("disconnect", 400)], ids=["that never ends", "that breaks off"]
)
def test_a_form_is_not_waited_for_for_ever_and_is_no_fault_of_ours(
    site: Site, monkeypatch: pytest.MonkeyPatch, then: str, status: int
) -> None:
    monkeypatch.setattr(frame, "BODY_WITHIN_S", 0.2)
    coming = [{"type": "http.request", "body": b"token=", "more_body": True}]
    sent: list[Any] = []

    async def receive() -> Any:
        if coming:
            return coming.pop()
        if then == "nothing":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": "/sign-in",
        "raw_path": b"/sign-in",
        "scheme": "http",
        "query_string": b"",
        "headers": [],
        "client": ("192.0.2.1", 1),
        "server": ("testserver", 80),
        "http_version": "1.1",
        "root_path": "",
    }
    with capture_logs() as logged:
        asyncio.run(asyncio.wait_for(site.app(scope, receive, send), 30))
    assert sent[0]["status"] == status
    assert [line for line in logged if line["log_level"] == "error"] == []


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [("/sign-in", "Origin", 403), ("/operations/limits/block", "Referer", 303)],
)
def test_an_address_in_a_header_that_is_none_is_no_error_of_ours(
    site: Site, path: str, header: str, status: int
) -> None:
    with capture_logs() as logged:
        answer = site.client().post(path, headers={header: "http://["})
    assert answer.status_code == status
    assert [line for line in logged if line["log_level"] == "error"] == []
