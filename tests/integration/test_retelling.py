"""Dead notices are sent again by an operator, on record, and by the channels that never took them."""

from collections.abc import Iterator

import pytest

from payouts.errors import NotFoundError, RefusedError
from payouts.notices import NoticeError
from payouts.people import Role
from payouts.retelling import STEP, tell_again, tell_dead_again
from tests.support.outbox import Office
from tests.support.requests import actor, migrated

ANNA = actor("anna", Role.OPERATOR)


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    with migrated(database_url) as engine:
        yield Office(engine)


def kill(office: Office, *payout_ids: int) -> list[int]:
    """Notices that channel `a` refused for good and `b` took."""
    ids = office.write(*payout_ids)
    for row_id in ids:
        office.a.failing[row_id] = NoticeError("no such address", transient=False)
    while office.teller.tell():
        pass
    office.a.failing.clear()
    return ids


def again(office: Office, notice_id: int, channel: str | None = None, who: Role = Role.OPERATOR) -> int:
    with office.engine.begin() as connection:
        by = actor("anna", who)
        found = tell_again(connection, notice_id, channel, by, "mended", office.make_id, office.clock())
        return len(found)


def test_a_dead_notice_is_sent_again_by_the_channel_that_never_took_it(office: Office) -> None:
    (one,) = kill(office, 1)
    office.clock.pass_(hours=1)
    assert again(office, one) == 1
    assert office.statuses() == ["routed"]
    office.teller.tell()
    assert (office.a.got, office.b.got) == ([one], [one])
    assert office.statuses() == ["delivered"]


def test_it_is_on_record_who_sent_it_again_and_why(office: Office) -> None:
    (one,) = kill(office, 1)
    again(office, one)
    (entry,) = office.rows("SELECT actor, action, subject, account, reason, details FROM audit")
    assert tuple(entry) == (
        *("anna", "notice.retry", str(one), "acct_1", "mended"),
        '{"channels":["a"],"name":"payout.created"}',
    )


def test_what_is_not_dead_is_refused_and_nothing_changes(office: Office) -> None:
    (delivered,) = office.write(1)
    with pytest.raises(RefusedError, match="no channel yet"):
        again(office, delivered)
    office.teller.tell()
    with pytest.raises(RefusedError, match="a: delivered, b: delivered"):
        again(office, delivered)
    with pytest.raises(NotFoundError):
        again(office, 12)
    (dead,) = kill(office, 2)
    with pytest.raises(RefusedError):
        again(office, dead, "b")
    with pytest.raises(RefusedError, match="does not go by nope; it is at a: dead, b: delivered"):
        again(office, dead, "nope")
    with pytest.raises(RefusedError, match="scope operate"):
        again(office, dead, who=Role.VIEWER)
    assert office.statuses() == ["delivered", "dead"]
    assert office.rows("SELECT id FROM audit") == []


def test_all_that_is_dead_is_sent_again_in_steps(office: Office) -> None:
    ids = kill(office, *range(STEP + 10))
    sent, behind = [], 0
    while behind is not None:
        with office.engine.begin() as connection:
            count, behind = tell_dead_again(
                connection, behind, "a", ANNA, "mended", office.make_id, office.clock()
            )
        sent.append(count)
    assert sent == [STEP, 10]
    assert len(office.rows("SELECT id FROM audit WHERE action = 'notice.retry_dead'")) == 2
    while office.teller.tell():
        pass
    assert office.a.got == ids
    assert set(office.statuses()) == {"delivered"}


def test_with_nothing_dead_nothing_is_sent_or_recorded(office: Office) -> None:
    office.write(1)
    office.teller.tell()
    with office.engine.begin() as connection:
        found = tell_dead_again(connection, 0, None, ANNA, "mended", office.make_id, office.clock())
    assert found == (0, None)
    assert office.rows("SELECT id FROM audit") == []
