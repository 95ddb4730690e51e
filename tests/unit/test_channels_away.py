"""Channels to other people's servers: what is sent there, and what each answer means."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from payouts.alerts import CRITICAL, ENDS
from payouts.channels.answer import PAUSE_LEAST_S, retry_after_s
from payouts.channels.email import BadAddressError
from payouts.channels.line import Line
from payouts.channels.pagerduty import NAMES, PagerDutyChannel
from payouts.channels.portal import PortalChannel
from payouts.channels.resend_postman import ResendPostman
from payouts.channels.slack import SlackChannel, escaped
from payouts.channels.wire import ANSWER_BYTES, NoAnswerError, Wire
from payouts.clock import now_ms
from payouts.letters.rendering import Mail
from payouts.notices import Channel, Closes, Notice, NoticeError
from tests.support.stand_in import Says, StandIn, standing_in

AT_MS = 1_790_000_000_000
SECRET, NEXT_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_bmV4dC1zZWNyZXQtb2YtdGhlLXBvcnRhbA=="
MAIL = Mail("email-5", "pay@nord.example", "A subject", "text", "<p>html</p>", {"partner": "77"})


OPEN: list[Closes] = []


@pytest.fixture
def there() -> Iterator[StandIn]:
    with standing_in() as made:
        yield made
        while OPEN:
            OPEN.pop().close()


def line(name: str, url: str, timeout_s: float = 5) -> Line:
    made = Line(name, lambda: url, timeout_s)
    OPEN.append(made)
    return made


def notice(name: str = "alert.paid_twice", **body: Any) -> Notice:
    said = {"name": name, "text": "a text", "occurred_at_ms": AT_MS, **body}
    return Notice(5, "acct_1", name, None, 7, json.dumps(said), AT_MS)


def slack(there: StandIn) -> SlackChannel:
    lines = (line("Slack", f"{there.url}/{kind}") for kind in ("warning", "critical"))
    return SlackChannel(*lines, "production")


def pagerduty(there: StandIn) -> PagerDutyChannel:
    return PagerDutyChannel(
        line("PagerDuty", f"{there.url}/v2/enqueue"), lambda: "key_1", "payouts production"
    )


def portal(there: StandIn, *secrets: str) -> PortalChannel:
    return PortalChannel(line("the portal", f"{there.url}/hooks"), lambda: secrets or (SECRET,), now_ms)


def resend(there: StandIn, timeout_s: float = 5) -> ResendPostman:
    made = ResendPostman(
        lambda: "re_key", there.url, "Payouts <p@example.com>", "help@example.com", timeout_s
    )
    OPEN.append(made)
    return made


def failure(channel: Channel, told: Notice | None = None) -> NoticeError:
    with pytest.raises(NoticeError) as raised:
        channel.deliver(told or notice())
    return raised.value


def refusal(postman: ResendPostman) -> NoticeError:
    with pytest.raises(NoticeError) as raised:
        postman.post(MAIL)
    return raised.value


@pytest.mark.parametrize(
    ("name", "path"), [("alert.paid_twice", "/critical"), ("alert.events_dying", "/warning")]
)
def test_slack_gets_what_is_grave_at_an_address_of_its_own(there: StandIn, name: str, path: str) -> None:
    slack(there).deliver(notice(name))
    assert [got.path for got in there.got] == [path]


@pytest.mark.parametrize(("level", "sign"), [("normal", ":information_source:"), ("critical", ":warning:")])
def test_a_report_that_is_bad_looks_so(there: StandIn, level: str, sign: str) -> None:
    slack(there).deliver(notice("maintenance.report", level=level))
    assert there.got[0].json["blocks"][0]["text"]["text"].startswith(sign)


def test_a_text_mentions_nobody_in_slack_and_is_no_link(there: StandIn) -> None:
    slack(there).deliver(notice(text="<!channel> & <https://evil.example|here>"))
    said = there.got[0].json["blocks"][0]["text"]["text"]
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;" in said
    assert "<" not in said


def test_a_long_text_fits_a_block_of_slacks_and_is_not_cut_inside_a_sign(there: StandIn) -> None:
    slack(there).deliver(notice(text="&" * 5_000))
    said = there.got[0].json["blocks"][0]["text"]["text"]
    assert len(said) <= 3_000
    assert said.endswith("&amp;…")
    assert escaped("a&b") == "a&amp;b"


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_an_address_of_slacks_that_is_gone_is_not_tried_again(there: StandIn, status: int) -> None:
    there.usually = Says(status, b"channel_is_archived")
    failed = failure(slack(there))
    assert (failed.transient, failed.pause_s) == (False, None)
    assert "channel_is_archived" in str(failed)
    assert there.url not in str(failed)


def test_slack_is_left_alone_for_as_long_as_it_asks(there: StandIn) -> None:
    there.usually = Says(429, b"rate limited", {"Retry-After": "37"})
    failed = failure(slack(there))
    assert (failed.transient, failed.pause_s, failed.counts) == (True, 37.0, False)


def test_whoever_asks_to_be_left_alone_for_no_time_is_left_alone_for_a_moment(there: StandIn) -> None:
    for status in (429, 503):
        there.usually = Says(status, b"", {"Retry-After": "0"})
        assert failure(slack(there)).pause_s == PAUSE_LEAST_S
    body = {"statusCode": 429, "name": "rate_limit_exceeded", "message": "slower"}
    there.usually = Says(429, body, {"Retry-After": "0"})
    assert refusal(resend(there)).pause_s == PAUSE_LEAST_S


@pytest.mark.parametrize(("status", "pauses"), [(500, False), (503, True)])
def test_a_server_that_fails_is_tried_again(there: StandIn, status: int, pauses: bool) -> None:
    there.usually = Says(status)
    failed = failure(slack(there))
    assert (failed.transient, failed.pause_s is not None, failed.counts) == (True, pauses, True)


def test_nobody_is_followed_elsewhere(there: StandIn) -> None:
    there.usually = Says(307, headers={"Location": f"{there.url}/elsewhere"})
    assert failure(portal(there)).transient
    assert [got.path for got in there.got] == ["/hooks"]


def test_a_server_that_does_not_answer_or_is_not_there_pauses_the_channel(there: StandIn) -> None:
    over = threading.Event()
    there.usually = Says(hang=over)
    hanging = SlackChannel(*[line("Slack", f"{there.url}/secret", 0.2)] * 2, "test")
    failed = failure(hanging)
    over.set()
    away = failure(SlackChannel(*[line("Slack", "http://127.0.0.1:1/secret", 0.2)] * 2, "test"))
    for error in (failed, away):
        assert error.transient
        assert error.pause_s
        assert "secret" not in str(error)
    assert "did not answer within 0.2 s" in str(failed)


def test_of_a_large_answer_only_the_beginning_is_read(there: StandIn) -> None:
    there.usually = Says(500, b"x" * 10 * ANSWER_BYTES)
    assert len(str(failure(slack(there)))) < 300
    there.usually = Says(200, b"x" * 10 * ANSWER_BYTES)
    slack(there).deliver(notice())


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n"
"""The beginning of an answer that takes long."""
SLOW_HEADERS = b"HTTP/1.1 200 OK\r\nX-Slow: "


class Tedious:
    """A server that answers one request by `head`, then by `drop` so many times, with `pause_s` between.

    `was_left`: whoever asked went away before the end.
    """

    def __init__(self, head: bytes, drop: bytes = b"x", pause_s: float = 0.05, drops: int = 200) -> None:
        self._head, self._drop, self._pause_s, self._drops = head, drop, pause_s, drops
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._was_left = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def was_left(self) -> bool:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self._was_left

    def _serve(self) -> None:
        with self._server, self._server.accept()[0] as caller:
            caller.recv(65_536)
            try:
                caller.sendall(self._head)
                for _ in range(self._drops):
                    caller.sendall(self._drop)
                    time.sleep(self._pause_s)
            except OSError:
                self._was_left = True


def test_whoever_answers_byte_by_byte_is_not_waited_for() -> None:
    server = Tedious(OK)
    answer = line("the portal", server.url, 0.5).post(b"{}", {})
    assert server.was_left
    assert answer.status == 200


def test_whoever_does_not_come_to_an_end_of_his_headers_is_not_waited_for() -> None:
    server = Tedious(SLOW_HEADERS)
    with pytest.raises(NoticeError, match=r"the portal did not answer within 0\.5 s") as raised:
        line("the portal", server.url, 0.5).post(b"{}", {})
    assert server.was_left
    assert (raised.value.transient, raised.value.pause_s is not None) == (True, True)


@pytest.mark.parametrize("head", [OK, SLOW_HEADERS])
def test_a_resend_that_answers_byte_by_byte_is_not_waited_for(head: bytes) -> None:
    server = Tedious(head)
    postman = ResendPostman(lambda: "re_key", server.url, "p@example.com", "", 0.5)
    OPEN.append(postman)
    assert refusal(postman).transient  # the key tells Resend that it has it
    assert server.was_left


def test_of_a_large_answer_of_resends_only_the_beginning_is_read() -> None:
    server = Tedious(OK, b"x" * 65_536, 0, 500)
    postman = ResendPostman(lambda: "re_key", server.url, "p@example.com", "", 30)
    OPEN.append(postman)
    assert refusal(postman).transient
    assert server.was_left


def test_a_wire_that_was_cut_is_whole_for_the_next(there: StandIn) -> None:
    server = Tedious(SLOW_HEADERS)
    wire = Wire(0.5)
    OPEN.append(wire)
    with pytest.raises(NoAnswerError):
        wire.send("POST", server.url, {}, b"{}")
    for _ in range(2):
        assert wire.send("POST", there.url, {}, b"{}").status == 200


def test_what_was_taken_is_not_sent_again_because_the_answer_breaks_off() -> None:
    url = Tedious(OK, drops=0).url
    SlackChannel(line("Slack", url), line("Slack", url), "production").deliver(notice("alert.test"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("12", 12.0), (" 0 ", 0.0), ("soon", None), ("-5", None), ("1" * 30, None), (None, None)],
)
def test_retry_after_is_read_where_it_reads(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    later = retry_after_s("Fri, 31 Dec 2100 23:59:59 GMT")
    assert later is not None
    assert later > 86_400


def test_a_trouble_calls_somebody_and_its_end_calls_it_off_by_the_same_key(there: StandIn) -> None:
    there.usually = Says(202, {"status": "success"})
    for name in ("alert.emergency_on", "alert.emergency_off"):
        pagerduty(there).deliver(notice(name))
    on, off = (got.json for got in there.got)
    assert (on["event_action"], off["event_action"]) == ("trigger", "resolve")
    assert on["dedup_key"] == off["dedup_key"]
    assert on["routing_key"] == "key_1"
    assert on["payload"]["severity"] == "critical"
    assert on["payload"]["timestamp"] == "2026-09-21T14:13:20.000Z"
    assert "payload" not in off


def test_troubles_of_two_payouts_are_two_and_one_that_repeats_is_one(there: StandIn) -> None:
    there.usually = Says(202)
    broken = {"alert_key": "balances_are_sums"}
    for told in (
        notice("alert.ledger_broken", **broken),
        notice("alert.ledger_broken", text="still", **broken),
        notice("alert.ledger_broken", alert_key="one_transfer"),
        notice("alert.paid_twice"),
    ):
        pagerduty(there).deliver(told)
    keys = [got.json["dedup_key"] for got in there.got]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(("status", "transient"), [(400, False), (429, True), (500, True), (202, None)])
def test_pagerduty_takes_an_event_by_202_alone(there: StandIn, status: int, transient: bool | None) -> None:
    there.usually = Says(status)
    if transient is None:
        pagerduty(there).deliver(notice())
    else:
        assert failure(pagerduty(there)).transient is transient


def test_whoever_is_called_is_called_off_by_a_notice_that_pagerduty_gets() -> None:
    assert set(NAMES) == CRITICAL | set(ENDS)
    assert set(ENDS.values()) <= CRITICAL


def test_the_portal_can_verify_what_it_gets(there: StandIn) -> None:
    told = notice(
        "payout.sent", amount_minor=1_200, currency="eur", status="sent", arrival_date_s=1_796_169_600
    )
    portal(there).deliver(told)
    (got,) = there.got
    event = Webhook(SECRET).verify(got.body, got.headers)
    assert event == {
        "type": "payout.sent",
        "id": "5",
        "sequence": "0000000000000000005",
        "timestamp": "2026-09-21T14:13:20.000Z",
        "data": {
            "account": "acct_1",
            "request_id": "pay_7",
            "amount_minor": 1_200,
            "status": "sent",
            "currency": "eur",
            "arrival_date": "2026-12-02",
        },
    }
    assert got.headers["webhook-id"] == "5"


def test_both_secrets_verify_while_one_is_replaced_and_the_id_stays_over_attempts(there: StandIn) -> None:
    for _ in range(2):
        portal(there, SECRET, NEXT_SECRET).deliver(notice())
    for got in there.got:
        for secret in (SECRET, NEXT_SECRET):
            Webhook(secret).verify(got.body, got.headers)
    assert there.got[0].headers["webhook-id"] == there.got[1].headers["webhook-id"] == "5"
    assert there.got[0].body == there.got[1].body


def test_the_portals_signature_is_of_the_time_of_the_attempt(there: StandIn) -> None:
    PortalChannel(line("the portal", there.url), lambda: [SECRET], lambda: AT_MS).deliver(notice())
    at = datetime.fromtimestamp(int(there.got[0].headers["webhook-timestamp"]), UTC)
    assert int(at.timestamp() * 1000) == AT_MS


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_2xx_of_the_portal_is_delivered(there: StandIn, status: int) -> None:
    there.usually = Says(status, b"")
    portal(there).deliver(notice())


@pytest.mark.parametrize(("status", "transient"), [(410, False), (400, True), (401, True), (404, True)])
def test_a_portal_that_is_broken_is_tried_again_and_one_that_is_gone_is_not(
    there: StandIn, status: int, transient: bool
) -> None:
    there.usually = Says(status)
    assert failure(portal(there)).transient is transient


def test_maintenance_is_told_to_the_portal_as_the_api_tells_it(there: StandIn) -> None:
    window = {"window_id": "9", "state": "announced", "starts_at": "s", "ends_at": "e", "window_text": "w"}
    portal(there).deliver(notice("maintenance.announced", **window))
    data = there.got[0].json["data"]
    assert data == {"id": "9", "status": "announced", "starts_at": "s", "ends_at": "e", "text": "w"}


def test_resend_gets_a_mail_with_its_key(there: StandIn) -> None:
    there.usually = Says(200, {"id": "mail_1"})
    resend(there).post(MAIL)
    (got,) = there.got
    assert got.path == "/emails"
    assert got.headers["idempotency-key"] == "email-5"
    assert got.headers["authorization"] == "Bearer re_key"
    assert got.json == {
        "from": "Payouts <p@example.com>",
        "to": ["pay@nord.example"],
        "reply_to": "help@example.com",
        "subject": "A subject",
        "html": "<p>html</p>",
        "text": "text",
        "tags": [{"name": "partner", "value": "77"}],
    }


@pytest.mark.parametrize(
    ("status", "kind", "message", "transient"),
    [
        (400, "validation_error", "no subject", False),
        (401, "missing_api_key", "Missing API key", True),
        (403, "validation_error", "The example.com domain is not verified", True),
        (409, "concurrent_idempotent_requests", "in progress", True),
        (422, "validation_error", "Invalid `from` field", False),
        (500, "application_error", "oops", True),
        (503, "service_unavailable", "later", True),
    ],
)
def test_what_resend_refuses_is_told_apart(
    there: StandIn, status: int, kind: str, message: str, transient: bool
) -> None:
    there.usually = Says(status, {"statusCode": status, "name": kind, "message": message})
    failed = refusal(resend(there))
    assert failed.transient is transient
    assert not isinstance(failed, BadAddressError)
    assert f"{status} {kind}" in str(failed)
    assert "re_key" not in str(failed)


def test_an_address_that_is_none_is_told_apart_from_other_faults(there: StandIn) -> None:
    there.usually = Says(
        422, {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field."}
    )
    assert isinstance(refusal(resend(there)), BadAddressError)


def test_a_mail_that_resend_has_in_other_words_was_sent(there: StandIn) -> None:
    there.usually = Says(409, {"statusCode": 409, "name": "invalid_idempotent_request", "message": "used"})
    resend(there).post(MAIL)


@pytest.mark.parametrize("kind", ["rate_limit_exceeded", "daily_quota_exceeded"])
def test_resends_limit_holds_the_channel_up_and_counts_no_attempt(there: StandIn, kind: str) -> None:
    body = {"statusCode": 429, "name": kind, "message": "slower"}
    there.usually = Says(429, body, {"Retry-After": "3"})
    failed = refusal(resend(there))
    assert (failed.transient, failed.pause_s, failed.counts) == (True, 3.0, False)


def test_a_resend_that_hangs_or_is_away_or_answers_nonsense_is_tried_again(there: StandIn) -> None:
    over = threading.Event()
    there.answers = [Says(hang=over), Says(502, b"<html>")]
    failed = refusal(resend(there, 0.2))
    over.set()
    assert (failed.transient, failed.pause_s is not None) == (True, True)
    assert "did not answer within 0.2 s" in str(failed)
    assert refusal(resend(there)).transient
    postman = ResendPostman(lambda: "re_key", "http://127.0.0.1:1", "p@example.com", "", 0.2)
    OPEN.append(postman)
    assert refusal(postman).pause_s
