"""Which letters a payout's life makes: each step once, and what came back with its reason."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from payouts.letters.letter import Kind, Letter, letter_of
from payouts.letters.rendering import House, Renderer
from payouts.notices import Notice
from payouts.portal_event import event_of
from tests.support.story import Story


@pytest.fixture
def story(database_url: str) -> Iterator[Story]:
    made = Story(database_url)
    yield made
    made.engine.dispose()


def notices(story: Story) -> list[Notice]:
    columns = "id, account, name, payout_id, request_id, body, created_at_ms"
    with story.engine.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT {columns} FROM outbox ORDER BY id"))
        return [Notice(*row) for row in rows]


def letters(story: Story) -> list[Letter]:
    return [letter for notice in notices(story) if (letter := letter_of(notice))]


def sent(story: Story) -> int:
    request_id = story.ask()
    story.send(request_id)
    return request_id


def test_a_payout_that_arrives_makes_two_letters_however_often_its_events_come(story: Story) -> None:
    sent(story)
    story.event("evt_1", "po_1", "in_transit")
    for event_id in ("evt_2", "evt_3"):
        story.event(event_id, "po_1", "paid")
    assert [letter.kind for letter in letters(story)] == [Kind.PAYOUT_SENT, Kind.PAYOUT_COMPLETED]


def test_a_payout_that_the_bank_does_not_take_makes_one_letter_with_its_reason(story: Story) -> None:
    sent(story)
    story.event("evt_1", "po_1", "failed", failure_code="account_closed")
    first, second = letters(story)
    assert (first.kind, second.kind) == (Kind.PAYOUT_SENT, Kind.PAYOUT_FAILED)
    mail = Renderer(House("Us")).render(second, story.nord, "email-1")
    assert "because the bank account has been closed" in mail.text
    assert "120.50 EUR" in mail.subject


def test_a_payout_that_comes_back_after_it_was_paid_says_so(story: Story) -> None:
    sent(story)
    story.event("evt_1", "po_1", "paid")
    story.event("evt_2", "po_1", "failed", failure_code="no_account")
    kinds = [letter.kind for letter in letters(story)]
    assert kinds == [Kind.PAYOUT_SENT, Kind.PAYOUT_COMPLETED, Kind.PAYOUT_RETURNED]


def test_a_reversal_is_told_of_by_what_it_does_to_the_payout(story: Story) -> None:
    sent(story)
    story.event("evt_1", "po_1", "paid")
    amount = story.stripe.payouts["po_1"]["amount"]
    back = {**story.stripe.payouts["po_1"], "id": "po_2", "amount": -amount, "original_payout": "po_1"}
    story.stripe.payouts["po_2"] = back
    story.event("evt_2", "po_2", "paid")
    last = letters(story)[-1]
    assert last.kind == Kind.PAYOUT_RETURNED
    assert "has been taken back" in Renderer(House("Us")).render(last, story.nord, "email-1").text
    assert [letter.kind for letter in letters(story)].count(Kind.PAYOUT_COMPLETED) == 1


def test_a_payout_that_nobody_asked_for_makes_no_letter(story: Story) -> None:
    story.event("evt_1", "po_9", "paid", amount=500, currency="eur", livemode=False, created=1_790_000_000)
    assert [notice.name for notice in notices(story)] == ["payout.completed"]
    assert letters(story) == []


def test_all_that_is_told_of_a_payout_reads_as_an_event_for_the_portal(story: Story) -> None:
    sent(story)
    story.event("evt_1", "po_1", "failed", failure_code="account_closed")
    told = [notice for notice in notices(story) if notice.name.startswith("payout.")]
    assert len(told) == 5
    for notice in told:
        assert b'"amount_minor":12050' in event_of(notice)
