"""The database is lost and restored to an earlier moment while payments are under way: the service stops by
itself, finds at Stripe what was done, and nobody is paid twice."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from payouts import ledger
from payouts.ledger import Entry
from payouts.storage.ledger_rows import post
from tests.conftest import server_to_break
from tests.support.databases import Databases
from tests.support.operator import Operator
from tests.support.payments import Payments, wait_at_rest
from tests.support.point_in_time import PointInTime
from tests.support.sandbox import Sandbox, sandbox_process
from tests.support.servers import RedisServer, SqlServer, wait_until
from tests.support.stack import Stack

ROLES = ("receiver", "worker", "scheduler")
BEFORE, AFTER, PARTNERS = 24, 3, 4
SLOWLY = {"STRIPE_CALLS_PER_S": "15"}
"""So that the moment that is restored lies in the middle."""


@pytest.fixture
def logging_mariadb(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[SqlServer]:
    """A MariaDB of the test's own that keeps a binary log."""
    folder = Path(tempfile.mkdtemp(prefix="log-", dir=server_folder))
    server = server_to_break(request, folder, durable=False, logs=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stack(tmp_path: Path, logging_mariadb: SqlServer, redis_server: RedisServer) -> Iterator[Stack]:
    with Stack(tmp_path, Databases(logging_mariadb).take(), redis_server.url) as made:
        yield made


def test_a_database_restored_to_an_earlier_moment_pays_nobody_twice(
    stack: Stack, logging_mariadb: SqlServer, tmp_path: Path
) -> None:
    with sandbox_process() as sandbox:
        # given payments under way, a backup, and a moment after it
        payments = Payments(stack, sandbox, PARTNERS)
        stack.env["SEND_LEASE_S"] = "3"
        anna = Operator(stack, "anna")
        ben = Operator(stack, "ben", anna)
        backup = PointInTime(logging_mariadb, str(stack.engine.url.database), tmp_path)
        payments.ask_for(BEFORE)
        stack.start(*ROLES, **SLOWLY)
        wait_until("a payment is through", lambda: made(sandbox) >= 2)
        backup.back_up()
        wait_until("more of them are", lambda: made(sandbox) >= 6)
        moment, made_then = backup.now(), made(sandbox)

        # when they go on, others are asked for, and then the database is lost with the machine
        known = set(payments.requests)
        payments.ask_for(AFTER)
        lost = set(payments.requests) - known
        wait_at_rest(payments, 60)
        made_by_all = made(sandbox)
        assert made_by_all == BEFORE + AFTER > made_then
        for role in ROLES:
            stack.kill(role)
        stack.engine.dispose()
        backup.restore(moment)
        assert payments.states()["queued"], "nothing was left to be paid: the test proves too little"
        stack.start(*ROLES)

        # then the service stops by itself, and sends nothing
        wait_until("a recovery is open", lambda: status(anna)["recovery"], 30)
        begun = status(anna)["recovery"]
        assert (begun["open"], begun["began_by"]) == (True, "system:lookout")
        assert "the gap is not closed" in ben.refused("recovery", "finish", "--reason", "too early")

        # and once the gap is closed, and another person has looked at it, all goes on
        anna.types("recovery", "run")
        assert "another person" in anna.refused("recovery", "finish", "--reason", "by myself")
        found = status(anna)
        assert (found["recovery"]["step"], found["queued"]) == ("done", [])
        assert {each["kind"] for each in found["differences"]} == {"missing_here", "platform_balance"}
        assert made(sandbox) == made_by_all
        ben.types("recovery", "finish", "--reason", "all that differs are the lost ones")
        wait_at_rest(payments, 60)
        stack.wait_applied(120)

        # with each of them paid once; the lost ones are known to Stripe alone, and named
        assert payments.states() == {"paid": BEFORE}
        assert set(payments._ids("paid")) == known
        transfers = [each["subject"] for each in found["differences"] if each["subject"].startswith("tr_")]
        assert len(transfers) == AFTER

        # what the portal asks for in their place waits for a person, who books them and lets the others go
        payments.ask_for(PARTNERS)
        held = {each["scope_key"]: each["id"] for each in anna.rows("hold", "list")}
        wait_until("it waits", lambda: blocked(stack, "held") == len(held) == AFTER, 30)
        credit_again(payments, lost)
        for transfer in transfers:
            anna.types("recovery", "adopt", transfer, "--reason", "the portal knows it")
        for hold_id in held.values():
            anna.types("hold", "release", str(hold_id), "--reason", "all of it is booked")
        wait_at_rest(payments, 60)

        # and by Stripe's own books everything was paid once
        payments.judge()
        assert payments.states() == {"paid": BEFORE + AFTER + PARTNERS}


def status(operator: Operator) -> dict[str, Any]:
    [row] = operator.rows("recovery", "status")
    return row


def made(sandbox: Sandbox) -> int:
    """How many payouts there are at Stripe."""
    entries = sandbox.books()["by_value"].values()
    return sum(len(entry["payouts"]) for entry in entries)


def credit_again(payments: Payments, lost: set[int]) -> None:
    """The portal says once more what the partners were owed for."""
    payer, order = payments.payer, list(payments.requests)
    for request_id in lost:
        partner = payments.partners[order.index(request_id) % PARTNERS]
        of = (partner.account, partner.id, partner.currency)
        amount_minor = payments.requests[request_id]
        credit = Entry("credit", f"again:{request_id}", *of, ledger.credit(amount_minor), payer.clock())
        with payer.engine.begin() as connection:
            post(connection, [credit], payer.make_id, payer.clock())


def blocked(stack: Stack, code: str) -> int:
    """How many requests wait for `code`."""
    return stack.count("SELECT COUNT(*) FROM payout_requests WHERE blocked = :code", code=code)
