"""Partners are registered once, changed on record, and followed at Stripe: on each kind of database."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.errors import PayoutsError, ReferenceTakenError, RefusedError
from payouts.ids import IdMaker
from payouts.partner import Partner, PartnerState
from payouts.people import Actor, Scope
from payouts.registering import NewPartner, refreshed, register, the_partner
from payouts.storage.engine import build_engine
from payouts.storage.partner_rows import PARTNERS
from payouts.storage.unit import in_transaction
from payouts.stripe_account import read_account
from payouts.updating import Changes, block, unblock, update
from tests.support.databases import bring_up_to_date
from tests.unit.test_stripe_account import account, bank

NOW_MS = 1_790_000_000_000
OPERATOR = Actor("operator", 1, 1, frozenset(Scope))
ANNA = NewPartner("partner-a", "acct_A", "Anna", "anna@example.com", "eur")
MAKE_ID = IdMaker()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = build_engine(database_url, timeout_s=10, pool_size=10)
    bring_up_to_date(made)
    yield made
    made.dispose()


def added(engine: Engine, wanted: NewPartner = ANNA, now_ms: int = NOW_MS) -> Partner:
    return in_transaction(engine, lambda c: register(c, wanted, OPERATOR, MAKE_ID, now_ms))


def changed(engine: Engine, partner: Partner, **changes: Any) -> Partner:
    asked = Changes(**changes)
    return in_transaction(engine, lambda c: update(c, partner.id, asked, OPERATOR, MAKE_ID, NOW_MS + 1))


def audited(engine: Engine) -> list[tuple[str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT action, details FROM audit ORDER BY id"))
        return [(row.action, row.details) for row in rows]


def seen(*banks: dict[str, Any], **more: Any) -> Any:
    return read_account(json.dumps(account(*banks, **more)).encode())


def test_a_partner_registered_again_is_the_same_and_on_record_once(engine: Engine) -> None:
    first = added(engine)
    again = added(engine, dataclasses.replace(ANNA, currency="EUR"), NOW_MS + 5)
    assert again == first
    assert first.state == PartnerState.UNVERIFIED
    assert [action for action, _ in audited(engine)] == ["partner.register"]


@pytest.mark.parametrize(
    "other",
    [
        {"account": "acct_B"},
        {"reference": "partner-b"},
        {"currency": "usd"},
        {"email": "other@example.com"},
        {"name": "Other"},
    ],
)
def test_the_same_reference_or_account_with_other_content_is_refused(
    engine: Engine, other: dict[str, str]
) -> None:
    first = added(engine)
    with pytest.raises(ReferenceTakenError):
        added(engine, dataclasses.replace(ANNA, **other))
    with engine.connect() as connection:
        assert PARTNERS.find(connection, sa.true()) == [first]


def test_many_who_register_the_same_partner_at_once_get_one(engine: Engine) -> None:
    got: list[Partner] = []
    threads = [threading.Thread(target=lambda: got.append(added(engine))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({partner.id for partner in got}) == 1
    assert len(got) == 8


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"reference": " "}, "bad_reference"),
        ({"reference": "x" * 129}, "bad_reference"),
        ({"reference": "123"}, "bad_reference"),
        ({"reference": "acct_X"}, "bad_reference"),
        ({"reference": "a\u202eb"}, "bad_reference"),
        ({"account": "ba_1"}, "bad_account"),
        ({"account": "acct_1/../x"}, "bad_account"),
        ({"name": ""}, "bad_name"),
        ({"email": "nobody"}, "bad_email"),
        ({"email": "a@b\n.com"}, "bad_email"),
        ({"currency": "euro"}, "bad_currency"),
    ],
)
def test_what_cannot_be_a_partner_is_refused(engine: Engine, wrong: dict[str, str], code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        added(engine, dataclasses.replace(ANNA, **wrong))
    assert refused.value.code == code


def test_a_partner_is_found_by_reference_account_and_row_id(engine: Engine) -> None:
    partner = added(engine)
    with engine.connect() as connection:
        for key in ("partner-a", "acct_A", str(partner.id)):
            assert the_partner(connection, key) == partner
        for key in ("partner-A", "acct_a", "7", "9" * 40):
            with pytest.raises(PayoutsError, match="there is no partner"):
                the_partner(connection, key)


def test_a_change_is_written_and_on_record_without_what_is_personal(engine: Engine) -> None:
    partner = added(engine)
    after = changed(engine, partner, email="new@example.com", schedule="monthly", schedule_day=31)
    assert (after.email, after.schedule, after.schedule_day) == ("new@example.com", "monthly", 31)
    with engine.connect() as connection:
        assert the_partner(connection, "partner-a") == after
    action, details = audited(engine)[-1]
    assert action == "partner.update"
    assert json.loads(details) == {
        "email": "changed",
        "schedule": {"before": "none", "after": "monthly"},
        "schedule_day": {"before": None, "after": 31},
    }


def test_a_change_to_what_is_there_already_leaves_no_trace(engine: Engine) -> None:
    partner = added(engine)
    assert changed(engine, partner, name="Anna") == partner
    assert len(audited(engine)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "hourly"},
        {"schedule": "weekly"},
        {"schedule": "weekly", "schedule_day": 7},
        {"schedule": "monthly", "schedule_day": 0},
        {"schedule": "daily", "schedule_day": 1},
        {"schedule": "none", "schedule_day": 1},
        {"schedule_day": 1},
        {"schedule_minimum_minor": 5},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(engine: Engine, changes: dict[str, Any]) -> None:
    partner = added(engine)
    with pytest.raises(RefusedError) as refused:
        changed(engine, partner, **changes)
    assert refused.value.code == "bad_schedule"


def test_a_blocked_partner_stays_so_until_a_person_says_otherwise_and_stripe_is_asked_anew(
    engine: Engine,
) -> None:
    partner = added(engine)
    ready = refreshed(partner, seen(bank()), NOW_MS)
    with engine.begin() as connection:
        PARTNERS.save(connection, [ready])

    blocked = in_transaction(engine, lambda c: block(c, partner.id, "fraud?", OPERATOR, MAKE_ID, NOW_MS))
    assert refreshed(blocked, seen(bank()), NOW_MS + 1).state == PartnerState.BLOCKED

    free = in_transaction(engine, lambda c: unblock(c, partner.id, "it was not", OPERATOR, MAKE_ID, NOW_MS))
    assert free.state == PartnerState.UNVERIFIED
    assert free.refreshed_at_ms is None
    assert refreshed(free, seen(bank()), NOW_MS + 2).state == PartnerState.READY


def test_a_bank_account_is_new_when_its_id_or_fingerprint_changes_and_never_by_itself(
    engine: Engine,
) -> None:
    partner = added(engine)
    first = refreshed(partner, seen(bank(1)), NOW_MS)
    assert first.bank_since_ms == NOW_MS, "the first one is new too"
    approved = dataclasses.replace(first, bank_approved="ba_1")

    same = refreshed(approved, seen(bank(1, status="verified")), NOW_MS + 1)
    assert (same.bank_since_ms, same.bank_status) == (NOW_MS, "verified")

    for other in (bank(2), bank(1, fingerprint="another")):
        moved = refreshed(same, seen(other), NOW_MS + 2)
        assert moved.bank_since_ms == NOW_MS + 2
        assert moved.bank_approved == "ba_1", "what a person approved is not forgotten, nor carried over"

    unseen = refreshed(same, seen(external_accounts=None), NOW_MS + 3)
    assert unseen.bank_account == "ba_1", "an account that shows none keeps what was known"
