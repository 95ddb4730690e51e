"""Notices about partners are told once for each occasion, and none is lost to a row id drawn twice."""

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts.errors import RowIdTakenError
from payouts.ids import IdMaker
from payouts.storage.partner_notices import (
    PartnerNotice,
    PlatformNotice,
    insert_partner_notice,
    insert_platform_notice,
)
from tests.support.requests import a_partner

NOW_MS = 1_790_000_000_000


def test_a_notice_whose_row_id_another_process_has_drawn_is_not_lost(shared_engine: Engine) -> None:
    make_id = IdMaker()
    taken = make_id()
    with shared_engine.begin() as connection:
        insert_platform_notice(connection, PlatformNotice("alert.test", NOW_MS, "a", "1"), lambda: taken)
    about = PartnerNotice("alert.email_bouncing", a_partner(), NOW_MS, "mail comes back", "1")
    with shared_engine.begin() as connection, pytest.raises(RowIdTakenError):
        insert_partner_notice(connection, about, lambda: taken)
    with shared_engine.begin() as connection:
        assert insert_partner_notice(connection, about, make_id)
        assert not insert_partner_notice(connection, about, make_id)
        told = list(connection.scalars(sa.text("SELECT name FROM outbox ORDER BY id")))
    assert told == ["alert.test", "alert.email_bouncing"]
