"""Blocks and raised limits: decided by people, with an end, on record, and never against ourselves."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from payouts import blocking
from payouts.addresses import Networks, network_text, parse_networks
from payouts.errors import NotFoundError, RefusedError
from payouts.ids import IdMaker
from payouts.people import Role
from payouts.rates import RouteGroup
from payouts.storage import guard_rows
from payouts.storage.unit import in_transaction
from payouts.stripe_addresses import SNAPSHOT
from tests.support.requests import ANNA, actor
from workers.stripe_addresses import StripeAddresses

NOW_MS = 1_790_000_000_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
LIMITS = {RouteGroup.API_READ: 100, RouteGroup.API_WRITE: 0}
PROXIES = parse_networks("10.0.0.0/24")


class Office:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.make_id = engine, IdMaker()

    def do(self, work: Callable[[Connection], Any]) -> Any:
        return in_transaction(self.engine, work)

    def block(
        self, text: str, until_ms: int = NOW_MS + HOUR_MS, by: Any = ANNA, reason: str = "a flood"
    ) -> Any:
        words = (text, until_ms, PROXIES, by, reason, self.make_id, NOW_MS)
        return self.do(lambda c: blocking.block(c, *words))

    def unblock(self, text: str, now_ms: int = NOW_MS) -> Any:
        return self.do(lambda c: blocking.unblock(c, text, ANNA, "mended", self.make_id, now_ms))

    def raised(
        self, most: int, until_ms: int = NOW_MS + HOUR_MS, group: RouteGroup = RouteGroup.API_READ
    ) -> Any:
        words = (group, most, until_ms, LIMITS, ANNA, "a launch", self.make_id, NOW_MS)
        return self.do(lambda c: blocking.raise_limit(c, *words))

    def lower(self, now_ms: int = NOW_MS) -> Any:
        words = (RouteGroup.API_READ, ANNA, "over", self.make_id, now_ms)
        return self.do(lambda c: blocking.lower_again(c, *words))

    def blocked(self, now_ms: int = NOW_MS) -> list[str]:
        return [each.network for each in guard_rows.decided(self.engine, now_ms).blocks]

    def raises(self, now_ms: int = NOW_MS) -> list[int]:
        return [each.most for each in guard_rows.decided(self.engine, now_ms).raises]

    def audit(self) -> list[tuple[str, str]]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT action, subject FROM audit ORDER BY id"))
            return [(row.action, row.subject) for row in rows]


@pytest.fixture
def office(shared_engine: Engine) -> Office:
    return Office(shared_engine)


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(RefusedError) as caught:
        work()
    return caught.value.code


def test_a_block_has_an_end_and_is_lifted_before_it_or_over_by_itself(office: Office) -> None:
    office.block("203.0.113.0/24")
    office.block("2001:DB8::1", NOW_MS + 2 * HOUR_MS)
    assert office.blocked() == ["203.0.113.0/24", "2001:db8::1"]
    assert office.blocked(NOW_MS + HOUR_MS) == ["2001:db8::1"]
    office.unblock("2001:db8::1")
    assert office.blocked() == ["203.0.113.0/24"]
    with pytest.raises(NotFoundError):
        office.unblock("2001:db8::1")
    with pytest.raises(NotFoundError):
        office.unblock("203.0.113.0/24", NOW_MS + HOUR_MS)
    assert office.do(lambda c: guard_rows.close_over(c, NOW_MS + HOUR_MS)) == 1
    assert office.audit() == [
        ("address.block", "address 203.0.113.0/24"),
        ("address.block", "address 2001:db8::1"),
        ("address.unblock", "address 2001:db8::1"),
    ]


def test_what_is_blocked_already_gets_the_new_end(office: Office) -> None:
    office.block("203.0.113.7")
    office.block("203.0.113.7", NOW_MS + DAY_MS)
    assert office.blocked() == ["203.0.113.7"]
    assert office.blocked(NOW_MS + 2 * HOUR_MS) == ["203.0.113.7"]
    office.unblock("203.0.113.7")
    assert office.blocked() == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (network_text(next(iter(SNAPSHOT))), "not_blockable"),
        ("54.187.0.0/16", "not_blockable"),
        ("127.0.0.1", "not_blockable"),
        ("::1", "not_blockable"),
        ("10.0.0.7", "not_blockable"),
        ("10.0.0.0/8", "not_blockable"),
        ("172.18.0.1", "not_blockable"),
        ("fd00::1", "not_blockable"),
        ("0.0.0.0/0", "bad_address"),
        ("::/0", "bad_address"),
        ("203.0.113.7/24", "bad_address"),
        ("example.com", "bad_address"),
    ],
)
def test_neither_stripe_nor_a_proxy_nor_this_machine_can_be_blocked(
    office: Office, text: str, code: str
) -> None:
    assert refusal(lambda: office.block(text)) == code
    assert office.blocked() == []


def test_a_proxy_that_nobody_named_is_not_blocked_for_all_who_stand_behind_it(office: Office) -> None:
    with pytest.raises(RefusedError, match="TRUSTED_PROXIES"):
        office.block("192.168.7.20")


def test_an_address_that_stripe_published_later_cannot_be_blocked_either(office: Office) -> None:
    known = [network_text(each) for each in SNAPSHOT]
    said = ('{"WEBHOOKS": ["' + '", "'.join([*known[1:], "52.21.26.131"]) + '"]}').encode()
    reader = StripeAddresses(office.engine, "here", office.make_id, lambda: NOW_MS, lambda _: said)
    assert reader.refresh()
    assert refusal(lambda: office.block("52.21.26.131")) == "not_blockable"
    assert refusal(lambda: office.block(known[0])) == "not_blockable"
    stripe = guard_rows.decided(office.engine, NOW_MS).stripe
    assert stripe is not None
    assert stripe.cover("52.21.26.131")
    assert not stripe.cover(known[0])


def test_a_list_that_cannot_be_read_or_believed_leaves_what_is_known(office: Office) -> None:
    def away(_: str) -> bytes:
        raise OSError("no route to host")

    for ask in (away, lambda _: b'{"WEBHOOKS": ["0.0.0.0/0", "1.1.1.1", "1.1.1.2", "1.1.1.3"]}'):
        assert not StripeAddresses(office.engine, "x", office.make_id, lambda: NOW_MS, ask).refresh()
    assert guard_rows.decided(office.engine, NOW_MS).stripe is None


def test_a_limit_is_raised_for_a_while_and_lowered_again(office: Office) -> None:
    office.raised(500)
    office.raised(900, NOW_MS + 2 * HOUR_MS)
    assert office.raises() == [900]
    assert office.raises(NOW_MS + 2 * HOUR_MS) == []
    office.lower()
    assert office.raises() == []
    with pytest.raises(NotFoundError):
        office.lower()
    assert [action for action, _ in office.audit()] == [
        *("rate_limit.raise", "rate_limit.raise", "rate_limit.reset")
    ]


def test_what_makes_no_sense_is_refused_with_its_cause(office: Office) -> None:
    assert refusal(lambda: office.raised(100)) == "bad_limit"
    assert refusal(lambda: office.raised(2_000_000)) == "bad_limit"
    assert refusal(lambda: office.raised(500, group=RouteGroup.API_WRITE)) == "bad_limit"
    assert refusal(lambda: office.raised(500, NOW_MS)) == "bad_time"
    assert refusal(lambda: office.raised(500, NOW_MS + 8 * DAY_MS)) == "bad_time"
    assert refusal(lambda: office.block("203.0.113.7", NOW_MS)) == "bad_time"
    assert refusal(lambda: office.block("203.0.113.7", NOW_MS + 91 * DAY_MS)) == "bad_time"
    assert refusal(lambda: office.block("203.0.113.7", reason=" ")) == "reason_missing"


def test_who_only_looks_blocks_and_raises_nothing(office: Office) -> None:
    assert refusal(lambda: office.block("203.0.113.7", by=actor("vera", Role.VIEWER))) == "not_allowed"
    assert office.audit() == []


def test_without_anything_decided_nothing_is(office: Office) -> None:
    found = guard_rows.decided(office.engine, NOW_MS)
    assert (list(found.blocks), list(found.raises), found.stripe) == ([], [], None)
    assert not Networks().cover("203.0.113.7")
