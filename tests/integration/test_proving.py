"""Proofs: what Stripe lists of a time is accounted for, event by event, and nobody can change it unseen."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from payouts import proving
from payouts.audit import Fault, Head
from payouts.gateway import ListedEvent, Page
from payouts.proof import Proof, not_known
from payouts.storage import proof_rows
from payouts.storage.queries import reading
from tests.support.catching_up import ACCOUNT, DAY_S, Catcher


@pytest.fixture
def bench(shared_engine: Engine) -> Catcher:
    return Catcher(shared_engine)


def told(proof: Proof) -> dict[str, int]:
    """The counts of a proof that are not zero."""
    names = (*("listed", "applied", "ignored", "open", "dead", "dismissed", "missing", "healed", "unlisted"),)
    return {name: getattr(proof, name) for name in names if getattr(proof, name)}


def verified(bench: Catcher, account: str = ACCOUNT) -> tuple[Head, Fault | None]:
    with reading(bench.engine) as connection:
        return proving.verify(connection, account)


def change(bench: Catcher, sql: str, **values: Any) -> None:
    with bench.engine.begin() as connection:
        assert connection.execute(sa.text(sql), values).rowcount


def test_a_day_of_which_everything_came_is_complete(bench: Catcher) -> None:
    bench.stripe.page_size = 4
    for count in (3, 7, 2):
        bench.happens(count, arrives=True)
        bench.clock.pass_(seconds=1)
    bench.apply()

    proof = bench.prove()

    assert told(proof) == {"listed": 12, "applied": 12}
    assert proof.verdict == "complete: everything that Stripe lists was in the inbox"
    assert bench.value("SELECT COUNT(*) FROM outbox WHERE name = 'alert.events_missing'") == 0


def test_missing_events_are_named_added_and_told_and_the_next_proof_is_complete(bench: Catcher) -> None:
    bench.stripe.page_size = 3
    bench.happens(4, arrives=True)
    lost = bench.happens(5)
    bench.apply()

    first = bench.prove()
    bench.apply()
    second = bench.prove()

    assert told(first) == {"listed": 9, "applied": 4, "missing": 5, "healed": 5}
    assert sorted(json.loads(first.details)["missing"]) == sorted(lost)
    assert first.is_complete
    assert told(second) == {"listed": 9, "applied": 9}
    alerts = bench.rows("SELECT body FROM outbox WHERE name = 'alert.events_missing'")
    assert len(alerts) == 1
    assert f"payouts proof show {first.id}" in alerts[0].body


def test_each_event_is_counted_where_it_stands_and_ignored_ones_by_reason(bench: Catcher) -> None:
    bench.happens(6, arrives=True)
    bench.happens(2, kind="balance.available", arrives=True)
    bench.apply()
    bench.happens(1, arrives=True)
    ids = [row.id for row in bench.rows("SELECT id FROM inbox ORDER BY id")]
    for row_id, status in zip(ids, ("dead", "dead", "dismissed", "deferred", "retrying"), strict=False):
        change(bench, "UPDATE inbox SET status = :status WHERE id = :id", status=status, id=row_id)

    proof = bench.prove()

    assert told(proof) == {"listed": 9, "applied": 1, "ignored": 2, "open": 3, "dead": 2, "dismissed": 1}
    assert json.loads(proof.details)["reasons"] == {"no request waits for a balance": 2}


def test_what_stripe_does_not_list_any_more_is_named(bench: Catcher) -> None:
    bench.happens(5, arrives=True)
    bench.happens(1, kind="charge.succeeded", arrives=True)  # a type that is not walked
    gone = bench.stripe.events[ACCOUNT].pop(2)
    proof = bench.prove()
    assert told(proof) == {"listed": 4, "open": 4, "unlisted": 1}
    assert json.loads(proof.details)["unlisted"] == [gone["id"]]


def test_days_that_follow_each_other_count_every_event_once(bench: Catcher) -> None:
    midnight_s = (bench.now_s // DAY_S + 1) * DAY_S
    for second in (midnight_s - 1, midnight_s - 1, midnight_s, midnight_s + DAY_S - 1, midnight_s + DAY_S):
        bench.clock.now_ms = second * 1000
        bench.happens(1, arrives=True)

    first = bench.prove(since_s=midnight_s - DAY_S, until_s=midnight_s - 1)
    second_day = bench.prove(since_s=midnight_s, until_s=midnight_s + DAY_S - 1)

    assert (first.listed, second_day.listed) == (2, 2)
    assert (first.number, second_day.number) == (1, 2)
    assert second_day.previous == first.digest


def test_an_event_that_cannot_be_added_makes_the_proof_incomplete(bench: Catcher) -> None:
    bench.happens(1, arrives=True)
    bad = ListedEvent("evt_bad", "payout.paid", bench.now_s, b'{"id": "evt_bad"}')
    bench.stripe.events_page = lambda *_: Page([bad], None)  # type: ignore[method-assign]

    proof = bench.prove()

    assert (proof.missing, proof.healed, proof.is_complete) == (1, 0, False)
    assert proof.verdict == "incomplete: 1 events cannot be added"
    assert json.loads(proof.details)["not_healed"] == ["evt_bad"]


def test_a_proof_says_what_it_cannot_know(bench: Catcher) -> None:
    bench.clock.pass_(hours=24 * 31)
    proof = bench.prove(since_s=bench.now_s - 40 * DAY_S)
    details = json.loads(proof.details)
    assert details["cut"]
    said = " | ".join(not_known(proof, details["types"], cut=True))
    for part in ("30 days", "last minutes", "other types than the 16", "--compare", "thin events"):
        assert part in said
    later = bench.prove(until_s=bench.now_s - 3_600)
    assert "last minutes" not in " | ".join(not_known(later, None, cut=False))


def chain_of_four(bench: Catcher) -> list[Proof]:
    made = []
    for _ in range(4):
        bench.happens(1, arrives=True)
        made.append(bench.prove())
        bench.clock.pass_(minutes=1)
    bench.prove("acct_2")
    head, fault = verified(bench)
    assert (head, fault) == (Head(4, made[-1].digest), None)
    return made


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE proofs SET missing = 1 WHERE account = 'acct_1' AND number = 2", "entry 2 was changed"),
        ("UPDATE proofs SET details = '{}' WHERE account = 'acct_1' AND number = 4", "entry 4 was changed"),
        ("DELETE FROM proofs WHERE account = 'acct_1' AND number = 3", "entry 3 is missing"),
        ("DELETE FROM proofs WHERE account = 'acct_1' AND number = 4", "entry 4 is missing"),
        ("UPDATE proofs SET number = 9 WHERE account = 'acct_1' AND number = 2", "entry 2 is missing"),
        ("UPDATE proofs SET account = 'acct_1', number = 5 WHERE account = 'acct_2'", "entry 5 is behind"),
    ],
    ids=["changed", "details changed", "removed", "last one removed", "moved", "from another chain"],
)
def test_a_proof_that_was_changed_removed_or_moved_is_found(bench: Catcher, sql: str, said: str) -> None:
    chain_of_four(bench)
    change(bench, sql)
    assert str(verified(bench)[1]).startswith(said)


def test_a_proof_is_made_whole_or_not_at_all_where_its_walk_is_cut_short(bench: Catcher) -> None:
    from payouts.walk import Cause
    from payouts.walks import PROOF

    bench.stripe.page_size = 2
    lost = bench.happens(5)
    walk = bench.wish(since_s=bench.now_s - 60, cause=Cause.PROOF, open_key=PROOF)
    bench.walker.step(walk.id)
    assert bench.value("SELECT COUNT(*) FROM proofs") == 0

    done = bench.go_on(walk)

    with reading(bench.engine) as connection:
        proof = proof_rows.proof_of_walk(connection, ACCOUNT, done.id)
    assert proof is not None
    assert (proof.missing, proof.healed) == (5, 5)
    assert sorted(json.loads(proof.details)["missing"]) == sorted(lost)
