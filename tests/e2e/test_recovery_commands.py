"""`payouts recovery`, as somebody types it."""

from tests.support.operator import Operator
from tests.support.stack import Stack


def test_a_recovery_is_begun_shown_and_ended_by_command(sqlite_stack: Stack) -> None:
    anna = Operator(sqlite_stack, "anna")
    ben = Operator(sqlite_stack, "ben", anna)
    assert "there was no recovery" in anna.types("recovery", "status")
    assert "no recovery is open" in anna.refused("recovery", "run")

    said = anna.types("recovery", "begin", "--since", "2026-01-31T12:00:00Z", "--reason", "the disk died")

    assert "what was written from 2026-01-31T12:00:00.000Z on counts as lost" in said
    shown = anna.types("recovery", "status")
    assert "the disk died (anna)" in shown
    assert "transfers  under way, at platform" in shown
    assert "the gap is not closed" in ben.refused("recovery", "finish", "--reason", "in a hurry")


def test_a_gap_is_not_closed_without_an_answer_of_stripes(sqlite_stack: Stack) -> None:
    sqlite_stack.env["SEND_LEASE_S"] = "0.01"
    anna = Operator(sqlite_stack, "anna")
    anna.types("recovery", "begin", "--since", "1h", "--reason", "restored")

    said = anna.types("recovery", "run", code=1)

    assert "set STRIPE_API_KEY; run it again to go on" in said
    [row] = anna.rows("recovery", "status")
    assert (row["recovery"]["open"], row["recovery"]["step"]) == (True, "transfers")


def test_a_time_to_come_cannot_have_been_restored(sqlite_stack: Stack) -> None:
    anna = Operator(sqlite_stack, "anna")

    said = anna.refused("recovery", "begin", "--since", "2094-01-01", "--reason", "mistyped")

    assert "is yet to come" in said
    [row] = anna.rows("recovery", "status")
    assert row["recovery"] is None
