"""The receiver's door: blocks first, floods of rubbish refused cheaply, no good signature ever limited."""

import asyncio
import json
from typing import Any

import fakeredis
import pytest
from structlog.testing import capture_logs

from payouts.addresses import parse_networks
from payouts.blocks import Block, Decided
from payouts.guard import Guard
from payouts.ids import IdMaker
from payouts.rate_limiter import RateLimiter
from payouts.rates import RouteGroup
from payouts.stripe_addresses import SNAPSHOT
from tests.support.lives import event_body
from tests.support.stack import SECRET, signature
from webhooks import endpoint
from webhooks.doorkeeper import Doorkeeper
from webhooks.endpoint import Endpoint
from webhooks.signature import signing_secrets

NOW_MS = 1_790_000_000_000
STRIPE = str(next(iter(SNAPSHOT)).network_address)
SENDER, PROXY = "203.0.113.9", "10.0.0.1"
BODY = event_body("evt_1", "payout.paid", {"id": "po_1", "object": "payout"})


class Takes:
    """An intake that takes all it is given."""

    def __init__(self) -> None:
        self.taken = 0

    async def accept(self, event: object) -> None:
        self.taken += 1


class Receiver:
    def __init__(self, limit: int = 3, trusted: str = "", **decided: Any) -> None:
        self.guard = Guard(
            "receiver",
            parse_networks(trusted),
            {RouteGroup.RECEIVER_REFUSED: limit},
            RateLimiter(fakeredis.FakeRedis(), "payouts"),
            lambda _: Decided(),
            lambda: NOW_MS,
            Decided.of(decided.get("blocks", ()), (), decided.get("stripe")),
        )
        self.intake = Takes()
        doorkeeper = Doorkeeper(self.guard, self.guard.rejections(RouteGroup.RECEIVER_REFUSED))
        self.endpoint = Endpoint(
            self.intake,  # type: ignore[arg-type]
            lambda: signing_secrets([SECRET], []),
            False,
            IdMaker(),
            lambda: NOW_MS,
            doorkeeper=doorkeeper,
        )

    def post(
        self, sender: str = SENDER, *, good: bool = False, via: str | None = None, parts: int = 1
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        size = -(-len(BODY) // parts)
        coming = [BODY[at : at + size] for at in range(0, len(BODY), size)]

        async def receive() -> Any:
            return {"type": "http.request", "body": coming.pop(0), "more_body": bool(coming)}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"stripe-signature", signature(BODY).encode() if good else b"t=1,v1=00")]
        if via is not None:
            headers.append((b"x-forwarded-for", via.encode()))
        scope: Any = {"type": "http", "client": (sender, 4711), "headers": headers}
        asyncio.run(self.endpoint(scope, receive, send))
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], told, json.loads(sent[1]["body"])

    def statuses(self, times: int, sender: str = SENDER, **more: Any) -> list[int]:
        return [self.post(sender, **more)[0] for _ in range(times)]


def block(network: str, until_ms: int = NOW_MS + 1) -> Block:
    return Block(1, "platform", network, network, until_ms, "a flood", NOW_MS, "anna")


def test_who_sends_rubbish_is_refused_with_429_and_when_to_come_back() -> None:
    receiver = Receiver()
    assert receiver.statuses(5) == [400, 400, 400, 429, 429]
    status, headers, said = receiver.post()
    assert status == 429
    assert headers["connection"] == "close"
    assert headers["ratelimit-limit"] == "3"
    assert headers["ratelimit-remaining"] == "0"
    assert 0 < int(headers["retry-after"]) <= 60
    assert headers["ratelimit-policy"] == '"receiver-refused";q=3;w=60'
    assert "try again in" in said["error"]
    assert receiver.statuses(1, "203.0.113.10") == [400]


def test_a_flood_over_the_limit_leaves_no_lines_in_the_log_and_is_counted() -> None:
    receiver = Receiver()
    receiver.statuses(3)
    with capture_logs() as logged:
        receiver.statuses(20)
    assert logged == []
    assert receiver.endpoint.counts.rejected == 23
    assert receiver.endpoint.meter.totals()["limited", "receiver"] == 20
    assert receiver.guard.totals() == {("limits", "receiver", "receiver-refused"): 20}


def test_what_stripe_itself_sends_unsigned_is_told_from_what_anybody_may_send() -> None:
    receiver = Receiver(trusted="10.0.0.0/8")
    receiver.statuses(2)
    receiver.statuses(3, STRIPE)
    receiver.statuses(1, PROXY, via=STRIPE)
    totals = receiver.endpoint.counts.totals()
    assert (totals["signatures", "stripe"], totals["signatures", "other"]) == (4, 2)


def test_a_good_signature_is_taken_whatever_its_address_has_sent_before() -> None:
    receiver = Receiver()
    assert receiver.statuses(4) == [400, 400, 400, 429]
    assert receiver.statuses(50, good=True) == [200] * 50
    assert receiver.intake.taken == 50


def test_good_signatures_are_never_counted() -> None:
    receiver = Receiver(limit=1)
    assert receiver.statuses(100, good=True) == [200] * 100
    assert receiver.statuses(1) == [400]


def test_stripes_addresses_are_never_limited() -> None:
    assert Receiver(limit=1).statuses(5, STRIPE) == [400] * 5
    published = Receiver(limit=1, stripe=parse_networks("52.1.1.0/28"))
    assert published.statuses(3, "52.1.1.7") == [400] * 3
    assert published.statuses(2, STRIPE) == [400, 429], "no longer on the list"


def test_behind_a_proxy_of_ours_each_sender_is_counted_by_itself() -> None:
    receiver = Receiver(limit=1, trusted="10.0.0.0/8")
    assert receiver.statuses(2, PROXY, via=SENDER) == [400, 429]
    assert receiver.statuses(1, PROXY, via="203.0.113.10") == [400]
    assert receiver.statuses(1, PROXY, via=f"203.0.113.77, {SENDER}") == [429], "what it wrote itself counted"
    assert receiver.statuses(2, PROXY, via=STRIPE) == [400, 400]


def test_a_blocked_address_is_answered_403_which_is_counted_as_nothing_else() -> None:
    receiver = Receiver(limit=1, blocks=[block("203.0.113.0/24")])
    with capture_logs() as logged:
        status, headers, said = receiver.post()
        assert receiver.statuses(20) == [403] * 20
    assert status == 403
    assert headers["connection"] == "close"
    assert said["error"].startswith(f"requests from {SENDER} are not answered, until 2026-")
    assert receiver.post("203.0.114.1")[0] == 400
    assert receiver.guard.totals() == {("blocked", "receiver"): 21}
    assert (receiver.endpoint.counts.rejected, receiver.endpoint.counts.bad_signatures) == (1, 1)
    assert logged == []


def test_a_good_signature_is_taken_from_a_blocked_address_and_that_is_said_once() -> None:
    receiver = Receiver(blocks=[block("203.0.113.0/24")])
    with capture_logs() as logged:
        assert receiver.statuses(3, good=True) == [200] * 3
        assert receiver.statuses(1, "203.0.113.10", good=True) == [200]
    assert receiver.intake.taken == 4
    assert [line["event"] for line in logged] == ["webhook.signed_though_blocked"]
    assert logged[0]["network"] == "203.0.113.0/24"
    assert "TRUSTED_PROXIES" in logged[0]["next"]
    assert receiver.guard.totals() == {}


def test_blocked_senders_take_no_room_from_the_bodies_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MAX_BLOCKED_READING_BYTES", 100)
    receiver = Receiver(blocks=[block(SENDER)])
    assert receiver.post(good=True, parts=4)[0] == 403, "more than blocked senders may have at once"
    assert receiver.post("203.0.113.10", good=True, parts=4)[0] == 200
    assert receiver.post(good=True)[0] == 200
    assert receiver.endpoint.counts.unavailable == 0


def test_without_a_signature_nothing_is_read_from_who_is_blocked() -> None:
    receiver = Receiver(blocks=[block(SENDER)])

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    sent: list[Any] = []
    scope: Any = {"type": "http", "client": (SENDER, 4711), "headers": []}
    asyncio.run(receiver.endpoint(scope, receive, send))
    assert sent[0]["status"] == 403


def test_a_block_whose_end_has_come_blocks_nobody() -> None:
    assert Receiver(blocks=[block(SENDER, until_ms=NOW_MS)]).post()[0] == 400


def test_of_blocks_that_overlap_the_one_that_still_counts_blocks() -> None:
    blocks = [block("203.0.113.0/24", until_ms=NOW_MS), block(f"{SENDER}/32"), block("198.51.100.0/24")]
    receiver = Receiver(blocks=blocks)
    assert receiver.post()[0] == 403
    assert receiver.post("203.0.113.10")[0] == 400


@pytest.mark.parametrize("sender", [STRIPE, "127.0.0.1", PROXY])
def test_a_block_that_should_not_be_there_keeps_out_neither_stripe_nor_ourselves(sender: str) -> None:
    receiver = Receiver(trusted=PROXY, blocks=[block(sender)])
    assert receiver.post(sender)[0] == 400


def test_a_forged_header_gets_nobody_around_a_block_and_puts_nobody_behind_one() -> None:
    receiver = Receiver(blocks=[block(SENDER)])
    assert receiver.post(via="203.0.113.77")[0] == 403
    assert receiver.post("203.0.113.10", via=SENDER)[0] == 400


def test_while_the_database_is_away_what_was_known_last_stays() -> None:
    receiver = Receiver()
    known = [Decided.of([block(SENDER)], (), None)]

    def read(_: int) -> Decided:
        if not known:
            raise OSError("the database is away")
        return known.pop()

    receiver.guard.read = read
    receiver.guard.look()
    with capture_logs() as logged:
        receiver.guard.look()
        receiver.guard.look()
    assert receiver.post()[0] == 403
    assert [line["event"] for line in logged] == ["guard.not_read"], "said once, not every few seconds"
