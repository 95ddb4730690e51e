"""Who is let in to the API, and what it says to what is no proper request. Nothing secret shows."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from payouts.people import Scope
from payouts.tokens import new_token
from tests.support.portal import Portal, portal_on, portal_without_database, problem

WISH = {"partner": "nord", "currency": "eur", "amount_minor": 100}


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with portal_on(f"sqlite:///{tmp_path_factory.mktemp('api') / 'payouts.db'}") as portal:
        portal.partner(10_000, reference="nord")
        yield portal


@pytest.mark.parametrize(
    "said",
    ["", "Bearer", "Basic abc", "Bearer pt_short", f"Bearer {new_token()}"],
    ids=["nothing", "no token", "another scheme", "cut short", "of nobody"],
)
def test_without_a_token_that_is_known_nobody_is_let_in(portal: Portal, said: str) -> None:
    refused = portal.get("/payouts", headers={"Authorization": said})

    assert problem(refused)[0] == 401
    assert refused.headers["www-authenticate"].startswith('Bearer realm="payouts"')


def test_a_revoked_token_lets_nobody_in(portal: Portal) -> None:
    token = portal.new_token("old")
    with portal.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tokens SET revoked_at_ms = 1 WHERE name = 'old'")

    assert problem(portal.get("/payouts", token=token)) == (401, "token_revoked")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/payouts", Scope.READ),
        ("POST", "/payouts", Scope.REQUEST),
        ("POST", "/partners", Scope.OPERATE),
        ("POST", "/partners/nord/credits", Scope.CREDIT),
        ("POST", "/payouts/pay_1/cancel", Scope.OPERATE),
    ],
)
def test_a_token_does_only_what_its_scopes_cover(
    portal: Portal, method: str, path: str, scope: Scope
) -> None:
    others = {Scope.READ, Scope.REQUEST, Scope.OPERATE, Scope.CREDIT} - {scope}
    token = portal.new_token("narrow", " ".join(others))

    refused = portal.ask(method, path, {} if method == "POST" else None, "k", token=token)

    assert problem(refused) == (403, "not_allowed")
    assert f"scope {scope}" in refused.json()["detail"]
    assert "insufficient_scope" in refused.headers["www-authenticate"]


def test_what_is_no_json_is_refused(portal: Portal) -> None:
    def refused(raw: bytes, **headers: str) -> tuple[int, str]:
        return problem(portal.post("/payouts", None, key="k", raw=raw, headers=headers))

    assert refused(b"") == (400, "not_json")
    assert refused(b"{") == (400, "not_json")
    assert refused(b"\xff\xfe") == (400, "not_json")
    assert refused(b"[" * 60_000) in ((400, "not_json"), (422, "wrong_fields"))
    assert refused(b"[]") == (422, "wrong_fields")
    assert refused(b'{"partner": "\\ud800"}') == (400, "not_json")
    assert refused(b"{}", **{"Content-Type": "text/plain"}) == (415, "not_json_type")
    assert refused(b" " * 70_000) == (413, "too_large")
    assert refused(b"{}", **{"Content-Length": "9" * 30}) == (413, "too_large")


def test_a_body_that_does_not_arrive_is_not_waited_for(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    monkeypatch.setattr("api.body.BODY_WITHIN_S", 0.05)

    assert problem(portal.post("/payouts", None, key="k", raw=slow())) == (408, "too_slow")


def test_an_address_or_a_method_that_does_not_exist_is_told_so(portal: Portal) -> None:
    wrong_method = portal.ask("DELETE", "/payouts")

    assert problem(portal.get("/nothing")) == (404, "no_such_address")
    assert problem(portal.get("/payouts/")) == (404, "no_such_address")
    assert problem(wrong_method) == (405, "no_such_method")
    assert set(wrong_method.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_it_says_that_it_lives_to_anybody(portal: Portal) -> None:
    live = portal.get("/live", token="")

    assert (live.status_code, live.json()["status"]) == (200, "live")


def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back() -> None:
    with portal_without_database() as portal:
        refused = portal.get("/payouts")

    assert problem(refused) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) > 0


def test_an_answer_that_takes_too_long_is_given_up_and_its_key_stays_in_use(tmp_path: Any) -> None:
    with portal_on(f"sqlite:///{tmp_path / 'payouts.db'}", within_s=0.2) as portal:
        portal.partner(10_000, reference="nord")
        with portal.engine.begin():  # holds the write lock of the file
            late = portal.post("/payouts", WISH, key="k")
            meanwhile = portal.post("/payouts", WISH, key="k")
        deadline = time.monotonic() + 10
        while not portal.value("SELECT COUNT(*) FROM payout_requests") and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        made = portal.value("SELECT COUNT(*) FROM payout_requests")

    assert problem(late) == (503, "timed_out")
    assert problem(meanwhile) == (409, "idempotency_key_in_use")
    assert made == 1


def test_more_than_can_be_done_in_time_is_refused_at_once(tmp_path: Any) -> None:
    with portal_on(f"sqlite:///{tmp_path / 'payouts.db'}", most_open=3) as portal:
        answers = portal.ask_all([(("GET", "/payouts"), {})] * 10)

    refused = [problem(answer) for answer in answers if answer.status_code != 200]
    assert refused == [(503, "overloaded")] * 7


def test_a_fault_of_the_service_tells_nothing_inner_but_an_id_to_look_for(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("something inner")

    monkeypatch.setattr("api.payouts.request_list", broken)
    with capture_logs() as lines:
        fault = portal.get("/payouts")

    assert problem(fault) == (500, "internal_error")
    assert "inner" not in fault.text
    assert {line["request_id"] for line in lines} == {fault.headers["x-request-id"]}


def test_the_log_has_the_ids_of_a_request_and_no_token(portal: Portal) -> None:
    with capture_logs() as lines:
        made = portal.post("/payouts", {**WISH, "reference": "invoice-9"}, key="logged").json()
        portal.post("/payouts", {**WISH, "amount_minor": 10**9}, key="refused")
        portal.get(f"/payouts?partner={portal.token}", token="x")
        portal.get(f"/{portal.token}")

    told = [line for line in lines if line["event"] == "api.request"]
    assert [(line["operation"], line["status"]) for line in told[:3]] == [
        ("requestPayout", 201),
        ("requestPayout", 409),
        ("listPayouts", 401),
    ]
    assert [line.get("actor") for line in told] == ["program:portal", "program:portal", None, None]
    assert told[0]["about"] == made["id"]
    assert told[1]["code"] == "not_enough_owed"
    assert {"request_id", "took_ms", "token_id"} <= told[0].keys()
    assert portal.token not in str(told[:3])
