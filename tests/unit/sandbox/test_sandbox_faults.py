"""What goes wrong on demand: what each fault leaves behind, and that the same seed tells the same story."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import stripe

from sandbox.app import Options
from sandbox.faults import OF_CALLS, Faults, strike
from sandbox.names import Names
from tests.support.sandbox import KEY, Sandbox, sandbox_here, sandbox_process

SHORT_S = 0.3
TRANSFERS = "POST /v1/transfers"


def transfer(sandbox: Sandbox, partner: str, key: str | None = "key", timeout_s: float = 5.0) -> Any:
    client = sandbox.client(timeout_s)
    options: stripe.RequestOptions = {"idempotency_key": key} if key else {}
    return client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": partner}, options)


def outcome(sandbox: Sandbox, partner: str, key: str | None = None) -> str:
    """`done`, or the code of the error."""
    try:
        transfer(sandbox, partner, key)
    except stripe.StripeError as error:
        return code_of(error)
    return "done"


def code_of(error: stripe.StripeError) -> str:
    body: Any = error.json_body
    return str(body["error"].get("code", error.http_status))


def transfers(sandbox: Sandbox) -> int:
    return len(sandbox.client().v1.transfers.list().data)


@pytest.mark.parametrize(
    ("fault", "error", "done", "again"),
    [
        ("refuse_429", stripe.RateLimitError, 0, "new"),
        ("cut_before", stripe.APIConnectionError, 0, "new"),
        ("timeout_before", stripe.APIConnectionError, 0, "new"),
        ("error_before", stripe.APIError, 0, "the same error"),
        ("error_after", stripe.APIError, 1, "the same error"),
        ("cut_after", stripe.APIConnectionError, 1, "replayed"),
        ("timeout_after", stripe.APIConnectionError, 1, "replayed"),
    ],
)
def test_after_a_fault_the_same_key_gives(
    sandbox: Sandbox, fault: str, error: type[Exception], done: int, again: str
) -> None:
    partner = sandbox.account()
    sandbox.set_faults(timeout_s=SHORT_S)
    sandbox.plan(TRANSFERS, fault)

    with pytest.raises(error):
        transfer(sandbox, partner, timeout_s=SHORT_S / 2)

    assert transfers(sandbox) == done
    time.sleep(SHORT_S)
    if again == "the same error":
        with pytest.raises(error) as raised:
            transfer(sandbox, partner)
        assert isinstance(raised.value, stripe.StripeError)
        assert raised.value.headers is not None
        assert raised.value.headers["Idempotent-Replayed"] == "true"
        assert transfers(sandbox) == done
    else:
        made = transfer(sandbox, partner)
        assert ("Idempotent-Replayed" in made.last_response.headers) == (again == "replayed")
        assert transfers(sandbox) == 1


def test_a_slow_call_holds_its_key_until_it_is_done(sandbox: Sandbox) -> None:
    partner = sandbox.account()
    sandbox.set_faults(timeout_s=SHORT_S)
    sandbox.plan(TRANSFERS, "slow")
    with pytest.raises(stripe.APIConnectionError):
        transfer(sandbox, partner, timeout_s=SHORT_S / 3)

    with pytest.raises(stripe.APIError) as raised:
        transfer(sandbox, partner)

    assert raised.value.http_status == 409
    assert code_of(raised.value) == "idempotency_key_in_use"
    assert transfers(sandbox) == 0
    time.sleep(SHORT_S)
    assert transfers(sandbox) == 1
    assert transfer(sandbox, partner).last_response.headers["Idempotent-Replayed"] == "true"


def test_the_sdk_repeats_a_cut_call_by_itself_with_its_key(sandbox: Sandbox) -> None:
    partner = sandbox.account()
    sandbox.plan(TRANSFERS, "cut_after")

    sandbox.client(max_network_retries=1).v1.transfers.create(
        {"amount": 100, "currency": "usd", "destination": partner}
    )

    assert transfers(sandbox) == 1
    calls = sandbox.books()["calls"]
    assert (calls[f"{TRANSFERS} cut"], calls[f"{TRANSFERS} replayed"]) == (1, 1)


def test_a_planned_refusal_has_its_code(sandbox: Sandbox) -> None:
    partner = sandbox.account()
    sandbox.plan(
        TRANSFERS, status=424, code="external_dependency", kind="api_error", times=2, account=partner
    )

    for _ in range(2):
        with pytest.raises(stripe.APIError) as raised:
            transfer(sandbox, partner, key=None)
        assert raised.value.http_status == 424
    assert transfer(sandbox, partner, key=None).id
    assert sandbox.stats()["planned"] == []


def test_other_parameters_with_a_used_key_are_refused(sandbox: Sandbox) -> None:
    transfer(sandbox, sandbox.account())

    with pytest.raises(stripe.IdempotencyError):
        transfer(sandbox, sandbox.account())


def test_a_key_belongs_to_one_account(sandbox: Sandbox) -> None:
    one, two = sandbox.account(available_minor=100), sandbox.account(available_minor=100)
    client = sandbox.client()
    made = {
        client.v1.payouts.create(
            {"amount": 100, "currency": "usd"}, {"stripe_account": partner, "idempotency_key": "a"}
        ).id
        for partner in (one, two)
    }
    assert len(made) == 2


def test_a_key_is_new_again_after_a_day_of_the_sandbox(sandbox: Sandbox) -> None:
    partner = sandbox.account()
    first = transfer(sandbox, partner).id
    sandbox.advance(24 * 3600 - 60)
    assert transfer(sandbox, partner).id == first

    sandbox.advance(61)

    assert transfer(sandbox, partner).id != first


def test_calls_beyond_the_rate_are_refused_and_their_key_stays_new(sandbox: Sandbox) -> None:
    partner = sandbox.account()
    sandbox.set_settings(requests_per_s=3)

    outcomes = [outcome(sandbox, partner, key=str(number)) for number in range(10)]

    assert outcomes[:2] == ["done", "done"]
    assert "rate_limit" in outcomes
    sandbox.set_settings()
    refused = str(outcomes.index("rate_limit"))
    assert "Idempotent-Replayed" not in transfer(sandbox, partner, key=refused).last_response.headers


def test_two_calls_at_once_for_one_account_meet_its_lock(sandbox: Sandbox) -> None:
    sandbox.set_settings(one_call_per_account=True, work_s=SHORT_S)
    one, two = sandbox.account(), sandbox.account()

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda partner: outcome(sandbox, partner), [one, one, two]))

    assert sorted(outcomes) == ["done", "done", "lock_timeout"]
    assert outcomes[2] == "done"


@pytest.mark.parametrize(
    ("faults", "status", "sound"),
    [
        ({"payout_failed": 1}, "failed", 100),
        ({"payout_returned": 1}, "failed", 100),
        ({"payout_reversed": 1}, "paid", 100),
        ({}, "paid", 0),
    ],
)
def test_a_payout_meets_its_fate(sandbox: Sandbox, faults: Any, status: str, sound: int) -> None:
    partner = sandbox.account(available_minor=100)
    sandbox.set_faults(**faults, failure_codes=["no_account"])
    client = sandbox.client()
    payout = client.v1.payouts.create({"amount": 100, "currency": "usd"}, {"stripe_account": partner})

    sandbox.advance(20)

    after = client.v1.payouts.retrieve(payout.id, None, {"stripe_account": partner})
    assert after.status == status
    assert after.failure_code == ("no_account" if status == "failed" else None)
    assert bool(after.reversed_by) == ("payout_reversed" in faults)
    books = sandbox.books()
    assert books["sound"]
    assert books["accounts"][partner]["balance_minor"] == {"usd": sound}


def test_a_returned_payout_was_paid_before(sandbox: Sandbox) -> None:
    partner = sandbox.account(available_minor=100)
    sandbox.set_faults(payout_returned=1)
    sandbox.client().v1.payouts.create({"amount": 100, "currency": "usd"}, {"stripe_account": partner})

    sandbox.advance(20)

    events = sandbox.client().v1.events.list({"type": "payout.*"}, {"stripe_account": partner}).data
    assert [event.type for event in events][:2] == ["payout.failed", "payout.paid"]


def test_draws_come_near_their_probability() -> None:
    faults = Faults(error_after=0.2)
    struck = [strike(faults, Names(3), TRANSFERS, "acct", number) for number in range(2000)]

    assert set(struck) == {None, "error_after"}
    assert 320 < struck.count("error_after") < 480


def test_a_draw_depends_on_seed_route_account_and_number_only() -> None:
    faults = msgspec.convert(dict.fromkeys(OF_CALLS, 0.3), Faults)

    def story(seed: int, route: str, account: str) -> list[str | None]:
        return [strike(faults, Names(seed), route, account, number) for number in range(50)]

    first = story(1, TRANSFERS, "a")
    assert story(1, TRANSFERS, "a") == first
    assert first not in (
        story(2, TRANSFERS, "a"),
        story(1, "POST /v1/payouts", "a"),
        story(1, TRANSFERS, "b"),
    )


def outcomes_of(run: Callable[[list[str], Sandbox], None]) -> dict[str, tuple[str, ...]]:
    """What each partner's calls came to, by partner, where `run` makes them in some order."""
    faults = Faults(error_after=0.2, error_before=0.2, refuse_429=0.2)
    with sandbox_here(Options(seed=5, api_key=KEY, faults=faults)) as sandbox:
        sandbox.top_up(1_000_000)
        partners = [sandbox.account() for _ in range(4)]
        run(partners, sandbox)
        made = sandbox.books()["by_value"].get("", {}).get("transfers", [])
        return {
            partner: tuple(each["id"] for each in made if each["destination"] == partner)
            for partner in partners
        }


def test_the_same_seed_tells_the_same_story_in_whatever_order_accounts_take_turns() -> None:
    def in_turn(partners: list[str], sandbox: Sandbox) -> None:
        for partner in partners:
            for _ in range(6):
                outcome(sandbox, partner)

    def at_once(partners: list[str], sandbox: Sandbox) -> None:
        def all_of(partner: str) -> None:
            for _ in range(6):
                outcome(sandbox, partner)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(all_of, partners[::-1]))

    one, other = outcomes_of(in_turn), outcomes_of(at_once)

    assert one == other
    assert 0 < sum(map(len, one.values())) < 24


def test_wrong_faults_are_refused_by_name(sandbox: Sandbox) -> None:
    for wrong in ({"erorr_after": 0.1}, {"error_after": 2}):
        with pytest.raises(AssertionError, match="400"):
            sandbox.set_faults(**wrong)
    with pytest.raises(AssertionError, match="fault: one of"):
        sandbox.plan(TRANSFERS, "unheard_of")


def test_faults_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('{"refuse_429": 1, "routes": ["GET /v1/balance"]}')

    with sandbox_process("--faults", str(path), "--seed", "9") as sandbox:
        assert sandbox.about()["seed"] == 9
        with pytest.raises(stripe.RateLimitError):
            sandbox.client().v1.balance.retrieve()
        assert sandbox.client().v1.payouts.list().data == []
