"""Secrets are rotated without a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import migrated_file
from tests.support.lives import event_body, payout_object
from tests.support.servers import RedisServer, wait_until
from tests.support.stack import Stack, signature

OLD, NEW = "whsec_old", "whsec_new"


@pytest.fixture
def stack(tmp_path: Path, redis_server: RedisServer) -> Iterator[Stack]:
    (tmp_path / "secret").write_text(f"{OLD}\n")
    from_file = {"STRIPE_WEBHOOK_SECRET": "", "STRIPE_WEBHOOK_SECRET_FILE": str(tmp_path / "secret")}
    with Stack(tmp_path, migrated_file(tmp_path / "payouts.db"), redis_server.url, **from_file) as made:
        made.start("receiver")
        yield made


def status(stack: Stack, event_id: str, secret: str) -> int:
    body = event_body(event_id, "paid", payout_object("po_1", "paid"))
    return stack.post(body, **{"Stripe-Signature": signature(body, secret)}).status_code


def write(stack: Stack, text: str) -> None:
    part = stack.folder / "secret.part"
    part.write_text(text)
    part.replace(stack.folder / "secret")


def test_a_receiver_takes_a_new_secret_and_the_old_one_while_it_is_listed(stack: Stack) -> None:
    assert status(stack, "evt_1", OLD) == 200
    assert status(stack, "evt_2", NEW) == 400
    write(stack, f"{NEW},{OLD}\n")
    wait_until("the new secret is taken", lambda: status(stack, "evt_3", NEW) == 200, 15)
    assert status(stack, "evt_4", OLD) == 200
    write(stack, f"{NEW}\n")
    wait_until("the old secret is refused", lambda: status(stack, "evt_5", OLD) == 400, 15)
    assert status(stack, "evt_6", NEW) == 200
    assert "secret.changed" in stack.said("receiver")
    assert NEW not in stack.said("receiver")
