"""Mail that comes back: reported by Resend, signed as Svix does; the address is written to no more."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from payouts.clock import iso, now_ms
from payouts.errors import RefusedError
from payouts.ids import IdMaker
from payouts.mail_addresses import Addresses
from payouts.settings import Settings
from payouts.storage.partner_rows import find_partner
from payouts.storage.queries import reading
from payouts.storage.unit import in_transaction
from payouts.updating import Changes, trust_email, update
from tests.support.databases import migrated_file
from tests.support.requests import ANNA, LONG_AGO_MS, a_partner, keep, make_id, migrated
from webhooks.app import MAIL_REPORT_PATH, build_app
from webhooks.mail_reports import MAX_BODY_BYTES

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_bmV4dC1zZWNyZXQtb2YtcmVzZW5kLTEyMw=="
NOW = datetime.now(UTC)


class Desk:
    """A receiver that takes Resend's reports, and a partner who was written to."""

    def __init__(self, engine: Engine, client: TestClient) -> None:
        self.engine, self.client = engine, client
        self.partner = a_partner(name="Nord")
        with engine.begin() as connection:
            keep(connection, self.partner)

    def event(self, kind: str = "email.bounced", at: datetime = NOW, **data: Any) -> bytes:
        """A report, as Resend sends it."""
        said = {
            "to": [self.partner.email],
            "tags": {"partner": str(self.partner.id)},
            "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
            "bounce": {"type": "Permanent", "subType": "Suppressed", "message": "on the list"},
        }
        return json.dumps({"type": kind, "created_at": at.isoformat(), "data": {**said, **data}}).encode()

    def report(
        self, body: bytes, secret: str = NEW, at: datetime | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Send `body`, signed now; the status and the answer."""
        at = at or datetime.now(UTC)
        signed = {
            "svix-id": "msg_1",
            "svix-timestamp": str(int(at.timestamp())),
            "svix-signature": Webhook(secret).sign("msg_1", at, body.decode("utf-8", "replace")),
        }
        sent = {name: value for name, value in {**signed, **headers}.items() if value}
        answer = self.client.post(MAIL_REPORT_PATH, content=body, headers=sent)
        return answer.status_code, answer.json()

    def give(self, email: str) -> None:
        """A person gives the partner this address."""

        def change(connection: sa.Connection) -> None:
            update(connection, self.partner.id, Changes(email=email), ANNA, make_id, now_ms())

        in_transaction(self.engine, change)

    def bounced_at(self) -> int | None:
        with reading(self.engine) as connection:
            found = find_partner(connection, str(self.partner.id))
        assert found is not None
        return found.email_bounced_at_ms

    def alerts(self) -> list[str]:
        with self.engine.connect() as connection:
            rows = connection.scalars(sa.text("SELECT body FROM outbox WHERE name = 'alert.email_bouncing'"))
            return list(rows)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    url = migrated_file(tmp_path / "payouts.db")
    settings = Settings(
        database_url=url,
        redis_url="redis://127.0.0.1:1/0",
        stripe_webhook_secret="whsec_x",
        resend_webhook_secret=f"{NEW},{OLD}",
    )
    with migrated(url) as engine:
        app = build_app(settings)
        yield Desk(engine, TestClient(app))


@pytest.mark.parametrize("kind", ["email.bounced", "email.complained", "email.suppressed"])
@pytest.mark.parametrize("secret", [OLD, NEW], ids=["old secret", "new secret"])
def test_an_address_that_mail_comes_back_from_is_marked_and_operators_hear_of_it(
    desk: Desk, kind: str, secret: str
) -> None:
    assert desk.report(desk.event(kind), secret) == (200, {"received": True})
    assert desk.bounced_at() == int(NOW.timestamp() * 1000)
    (alert,) = desk.alerts()
    assert "trust-email" in alert
    assert desk.partner.email not in alert


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("email.delivered", {}),
        ("domain.updated", {"to": None, "tags": 5, "bounce": []}),
        ("email.bounced", {"tags": None}),
        ("email.bounced", {"tags": {"partner": "9" * 19}}),
        ("email.bounced", {"bounce": {"type": "Transient", "subType": "General"}}),
        ("email.bounced", {"tags": {}}),
        ("email.bounced", {"tags": {"partner": "77"}}),
        ("email.bounced", {"tags": {"partner": "x" * 99}}),
        ("email.bounced", {"to": ["somebody@else.example"]}),
        ("email.bounced", {"to": []}),
    ],
)
def test_what_says_nothing_of_the_address_changes_nothing(desk: Desk, kind: str, data: Any) -> None:
    assert desk.report(desk.event(kind, **data))[0] == 200
    assert desk.bounced_at() is None
    assert desk.alerts() == []


def test_a_report_may_leave_out_what_kind_of_bounce_it_was(desk: Desk) -> None:
    assert desk.report(desk.event(bounce={"type": None}))[0] == 200
    assert desk.bounced_at() is not None


def test_tags_may_come_as_a_list(desk: Desk) -> None:
    tags = [{"name": "partner", "value": str(desk.partner.id)}]
    assert desk.report(desk.event(tags=tags))[0] == 200
    assert desk.bounced_at() is not None


def test_the_same_report_again_changes_nothing_also_after_a_person_trusted_the_address(desk: Desk) -> None:
    body = desk.event()
    for _ in range(2):
        assert desk.report(body)[0] == 200
    assert len(desk.alerts()) == 1

    def trust(connection: sa.Connection) -> None:
        trust_email(connection, desk.partner.id, "she says it works", ANNA, make_id, now_ms())

    in_transaction(desk.engine, trust)
    assert desk.bounced_at() is None
    assert desk.report(body)[0] == 200
    assert desk.bounced_at() is None
    assert desk.report(desk.event(at=datetime.now(UTC) + timedelta(seconds=1)))[0] == 200
    assert desk.bounced_at() is not None
    assert len(desk.alerts()) == 2


def test_another_address_is_written_to_whatever_the_one_before_did(desk: Desk) -> None:
    body = desk.event()
    desk.report(body)
    desk.give("new@nord.example")
    assert desk.bounced_at() is None
    desk.report(desk.event(at=datetime.now(UTC) + timedelta(seconds=1)))
    assert desk.bounced_at() is None


@pytest.mark.parametrize(
    ("kept", "reported"),
    [
        ("Buchhaltung@Nord.example", "buchhaltung@nord.example"),
        ("pay@nord.example", "PAY@NORD.EXAMPLE"),
        ("pay@bücher.example", "pay@xn--bcher-kva.example"),
    ],
)
def test_a_report_may_write_the_address_otherwise(desk: Desk, kept: str, reported: str) -> None:
    desk.give(kept)
    desk.report(desk.event(at=datetime.now(UTC) + timedelta(seconds=5), to=[reported]))
    assert desk.bounced_at() is not None


def test_what_a_report_says_of_people_is_not_kept(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.report(desk.event(bounce={"type": "Permanent", "subType": "no jane@nord.example here"}))
    with desk.engine.connect() as connection:
        (said,) = connection.scalars(sa.text("SELECT email_bounce FROM partners")).all()
    assert said == "mail came back (Permanent, no *** here)"
    assert "jane" not in capsys.readouterr().out


def test_only_what_bounced_can_be_trusted_again_and_it_is_on_record_without_the_address(desk: Desk) -> None:
    def trust(connection: sa.Connection) -> None:
        trust_email(connection, desk.partner.id, "it works", ANNA, make_id, now_ms())

    with pytest.raises(RefusedError, match="written to as it is"):
        in_transaction(desk.engine, trust)
    desk.report(desk.event(bounce={"type": "Permanent", "subType": f"for {desk.partner.email}"}))
    in_transaction(desk.engine, trust)
    with desk.engine.connect() as connection:
        (entry,) = connection.execute(sa.text("SELECT action, details FROM audit WHERE chain <> ''")).all()
    assert entry.action == "partner.trust_email"
    assert desk.partner.email not in entry.details


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"svix-id": ""}, "svix-id"),
        ({"svix-timestamp": ""}, "svix-timestamp"),
        ({"svix-signature": ""}, "svix-signature"),
        ({"svix-signature": "v1,AAAA"}, "No matching signature"),
        ({"svix-signature": "v1"}, "does not read"),
        ({"svix-signature": "v1,?"}, "No matching signature"),
        ({"svix-signature": "v0,AAAA"}, "No matching signature"),
        ({"svix-signature": "v1,AAAA " * 600}, "too long"),
        ({"svix-timestamp": "soon"}, "Invalid Signature Headers"),
        ({"svix-timestamp": "9" * 400}, "Invalid Signature Headers"),
        ({"svix-id": "msg_2"}, "No matching signature"),
    ],
)
def test_what_is_not_signed_is_refused(desk: Desk, headers: dict[str, str], why: str) -> None:
    status, answer = desk.report(desk.event(), **headers)
    assert (status, why in answer["error"]) == (400, True), answer
    assert desk.bounced_at() is None


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_refused(desk: Desk, minutes: int) -> None:
    status, answer = desk.report(desk.event(), at=datetime.now(UTC) + timedelta(minutes=minutes))
    assert status == 400
    assert "too" in answer["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff\xfe", b'{"type": "email.bounced", "created_at": 1}', b"[" * 100_000],
    ids=["empty", "a list", "nothing", "no text", "no time", "deep"],
)
def test_a_body_that_is_no_report_is_refused(desk: Desk, body: bytes) -> None:
    assert desk.report(body)[0] == 400


def test_a_time_that_does_not_read_is_refused(desk: Desk) -> None:
    body = desk.event().replace(NOW.isoformat().encode(), b"yesterday")
    assert desk.report(body) == (400, {"error": "the report has no time that reads: 'yesterday'"})


def test_a_large_body_is_refused_before_it_is_read_whole(desk: Desk) -> None:
    assert desk.report(b"x" * (MAX_BODY_BYTES + 1))[0] == 413
    parts = iter([b"x" * MAX_BODY_BYTES, b"x"])
    answer = desk.client.post(MAIL_REPORT_PATH, content=parts)
    assert answer.status_code == 413


def test_a_database_that_is_away_makes_resend_send_it_again(desk: Desk) -> None:
    with desk.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE partners RENAME TO gone"))
    answer = desk.report(desk.event())
    assert answer[0] == 503
    with desk.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE gone RENAME TO partners"))
    assert desk.report(desk.event())[0] == 200
    assert desk.bounced_at() is not None


def test_without_a_secret_there_is_no_such_address(tmp_path: Path) -> None:
    settings = Settings(
        database_url=migrated_file(tmp_path / "payouts.db"),
        redis_url="redis://127.0.0.1:1/0",
        stripe_webhook_secret="whsec_x",
    )
    answer = TestClient(build_app(settings)).post(MAIL_REPORT_PATH, content=b"{}")
    assert answer.status_code == 404


def test_a_report_from_before_the_address_was_given_changes_nothing(desk: Desk) -> None:
    with desk.engine.begin() as connection:
        connection.execute(sa.text("UPDATE partners SET email_since_ms = :at"), {"at": now_ms()})
    addresses = Addresses(desk.engine, IdMaker(), now_ms)
    assert not addresses.came_back(desk.partner.id, desk.partner.email, "bounced", LONG_AGO_MS)
    assert iso(desk.bounced_at()) is None
