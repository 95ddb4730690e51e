"""The portal asks for payouts: each is made once, whatever is repeated, and every no is plain."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from payouts.ids import IdMaker
from payouts.limiting import LimitKey, set_limit
from payouts.limits import LimitKind
from payouts.partner import Partner, PartnerState
from payouts.people import Role
from payouts.repeating import KEPT_DAYS, forget_answers
from payouts.storage.idempotency_rows import Key, claim
from payouts.storage.unit import in_transaction
from tests.support.portal import Ask, Portal, portal_on, problem
from tests.support.requests import actor

DAY_MS = 86_400_000


@pytest.fixture
def portal(database_url: str) -> Iterator[Portal]:
    with portal_on(database_url) as portal:
        yield portal


def wish(partner: Partner, **more: Any) -> dict[str, Any]:
    return {"partner": partner.reference, "currency": "eur", "amount_minor": 1_000, **more}


def requests_made(portal: Portal) -> int:
    return int(portal.value("SELECT COUNT(*) FROM payout_requests"))


def test_a_payout_is_requested_and_can_be_looked_up(portal: Portal) -> None:
    partner = portal.partner(5_000)

    made = portal.post("/payouts", wish(partner, reference="invoice-7"), key="k-1")

    assert made.status_code == 201, made.text
    payout = made.json()
    assert (payout["partner"], payout["amount_minor"], payout["currency"]) == (
        *(partner.reference, 1_000, "eur"),
    )
    assert (payout["status"], payout["reference"]) == ("queued", "invoice-7")
    assert payout["requested_by"] == "program:portal"
    assert portal.get(f"/payouts/{payout['id']}").json() == payout
    assert [f"pay_{row_id}" for row_id in portal.hints] == [payout["id"]]
    actions = portal.value("SELECT actor FROM audit WHERE action = 'request.create'")
    assert actions == "program:portal"


def test_all_that_is_due_can_be_asked_for(portal: Portal) -> None:
    partner = portal.partner(5_000)
    asked = {"partner": partner.account, "currency": "EUR", "all_due": True}

    made = portal.post("/payouts", asked, key="k")

    assert made.json()["amount_minor"] == 5_000
    assert portal.get(f"/partners/{partner.reference}/balance").json() == {
        "partner": partner.reference,
        "currency": "eur",
        "owed_minor": 0,
        "payable_minor": 0,
        "in_transit_minor": 5_000,
        "paid_minor": 0,
        "returned_minor": 0,
    }
    assert problem(portal.post("/payouts", asked, key="another")) == (409, "nothing_due")


def test_a_repeated_request_gets_the_first_answer_again_and_makes_nothing(portal: Portal) -> None:
    partner = portal.partner(5_000)
    first = portal.post("/payouts", wish(partner), key="k")

    again = portal.post("/payouts", wish(partner), key="k")

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert requests_made(portal) == 1
    assert len(portal.hints) == 1


def test_the_same_request_written_otherwise_is_the_same_request(portal: Portal) -> None:
    partner = portal.partner(5_000)
    one = f'{{"partner":"{partner.reference}","currency":"eur","amount_minor":7}}'
    two = f'{{ "amount_minor": 7, "currency": "eur",  "partner": "{partner.reference}" }}'

    first = portal.post("/payouts", None, key="k", raw=one.encode())
    again = portal.post("/payouts", None, key="k", raw=two.encode())

    assert again.json() == first.json()
    assert requests_made(portal) == 1


def test_a_key_of_another_request_is_refused(portal: Portal) -> None:
    partner = portal.partner(5_000)
    portal.post("/payouts", wish(partner), key="k")

    other = portal.post("/payouts", wish(partner, amount_minor=2_000), key="k")
    credit = {"amount_minor": 1, "currency": "eur", "reference": "c"}
    elsewhere = portal.post(f"/partners/{partner.reference}/credits", credit, key="k")

    assert problem(other) == (422, "idempotency_key_reused")
    assert problem(elsewhere) == (422, "idempotency_key_reused")
    assert requests_made(portal) == 1


def test_two_tokens_may_use_the_same_key(portal: Portal) -> None:
    partner = portal.partner(5_000)
    portal.post("/payouts", wish(partner), key="k")

    other = portal.post("/payouts", wish(partner), key="k", token=portal.new_token("other"))

    assert other.status_code == 201
    assert requests_made(portal) == 2


def test_a_refusal_is_not_kept_so_the_same_key_works_once_nothing_is_in_the_way(portal: Portal) -> None:
    partner = portal.partner()
    refused = portal.post("/payouts", wish(partner), key="k")
    credit = {"amount_minor": 1_000, "currency": "eur", "reference": "c"}
    portal.post(f"/partners/{partner.reference}/credits", credit, key="c")

    made = portal.post("/payouts", wish(partner), key="k")

    assert problem(refused) == (409, "not_enough_owed")
    assert made.status_code == 201
    assert "idempotent-replayed" not in made.headers


def test_fifty_at_once_with_one_key_make_one_payout(portal: Portal) -> None:
    partner = portal.partner(100_000)
    asked: list[Ask] = [(("POST", "/payouts", wish(partner), "k"), {})] * 50

    answers = portal.ask_all(asked)

    made = [answer for answer in answers if answer.status_code == 201]
    others = [problem(answer) for answer in answers if answer.status_code != 201]
    assert requests_made(portal) == 1
    assert made
    assert len({answer.content for answer in made}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in made) == 1
    assert set(others) <= {(409, "idempotency_key_in_use")}


def test_two_processes_with_the_same_keys_make_one_payout_for_each(database_url: str, portal: Portal) -> None:
    partner = portal.partner(100_000)
    asked: list[Ask] = [(("POST", "/payouts", wish(partner), f"k-{number}"), {}) for number in range(10)]
    with portal_on(database_url) as other, ThreadPoolExecutor(2) as threads:
        other.token = portal.token
        both = [threads.submit(one.ask_all, asked) for one in (portal, other)]
        answers = [answer for done in both for answer in done.result()]

    refused = [problem(answer) for answer in answers if answer.status_code != 201]
    assert requests_made(portal) == 10
    assert set(refused) <= {(409, "idempotency_key_in_use")}


def test_a_key_that_another_process_holds_is_in_use(mariadb_url: str) -> None:
    with portal_on(mariadb_url) as portal:
        partner = portal.partner(5_000)
        token_id = int(portal.value("SELECT id FROM tokens"))
        with portal.engine.begin() as connection:
            claim(connection, Key(token_id, "k", "0" * 64), 1, 1)
            refused = portal.post("/payouts", wish(partner), key="k")
            connection.rollback()
        made = portal.post("/payouts", wish(partner), key="k")

    assert problem(refused) == (409, "idempotency_key_in_use")
    assert refused.headers["retry-after"] == "1"
    assert made.status_code == 201


def test_fifty_at_once_with_keys_of_their_own_never_take_more_than_is_owed(portal: Portal) -> None:
    partner = portal.partner(10_000)

    answers = portal.ask_all([(("POST", "/payouts", wish(partner), f"k-{n}"), {}) for n in range(50)])

    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 40
    assert portal.get(f"/partners/{partner.reference}/balance").json()["owed_minor"] == 0


def test_a_payout_needs_a_key_that_can_be_kept(portal: Portal) -> None:
    partner = portal.partner(5_000)

    for key in (None, " ", "k" * 256, "schlüssel"):
        refused = portal.post("/payouts", wish(partner), key=key)
        assert problem(refused)[0] == 400
        assert refused.json()["errors"][0]["field"] == "Idempotency-Key"

    assert requests_made(portal) == 0


def test_a_payout_over_the_threshold_waits_and_is_not_sent(portal: Portal) -> None:
    partner = portal.partner(5_000)
    admin = actor("admin", Role.ADMIN)
    limit = LimitKey(LimitKind.APPROVAL, "eur")
    in_transaction(
        portal.engine, lambda c: set_limit(c, limit, 1_000, 0, admin, IdMaker(), 1_790_000_000_000)
    )

    made = portal.post("/payouts", wish(partner), key="k").json()

    assert (made["status"], made["needs_approval"]) == ("awaiting_approval", True)
    assert portal.hints == []


def test_a_redis_that_is_down_costs_nothing_but_seconds(database_url: str) -> None:
    def down(_: int) -> None:
        raise redis.ConnectionError("nobody there")

    with portal_on(database_url, send_soon=down) as portal:
        partner = portal.partner(5_000)
        made = portal.post("/payouts", wish(partner), key="k")

    assert made.status_code == 201
    assert made.json()["status"] == "queued"


def test_a_payout_not_sent_yet_is_called_off_once(portal: Portal) -> None:
    partner = portal.partner(5_000)
    made = portal.post("/payouts", wish(partner), key="k").json()

    canceled = portal.post(f"/payouts/{made['id']}/cancel", {"reason": "wrong invoice"})
    again = portal.post(f"/payouts/{made['id']}/cancel", {"reason": "wrong invoice"})

    assert canceled.json()["status"] == "canceled"
    assert problem(again) == (409, "not_cancelable")
    assert portal.get(f"/partners/{partner.reference}/balance").json()["owed_minor"] == 5_000
    assert portal.value("SELECT reason FROM audit WHERE action = 'request.cancel'") == "wrong invoice"


def test_a_list_is_paged_by_key_newest_first_and_narrowed(portal: Portal) -> None:
    one, two = portal.partner(5_000), portal.partner(5_000)
    made = [portal.post("/payouts", wish(one, amount_minor=n), key=f"k{n}").json()["id"] for n in (1, 2, 3)]
    portal.post("/payouts", wish(two), key="other")
    portal.post(f"/payouts/{made[0]}/cancel", {"reason": "no"})

    first = portal.get(f"/payouts?partner={one.reference}&limit=2").json()
    rest = portal.get(f"/payouts?partner={one.reference}&limit=2&before={first['next']}").json()
    canceled = portal.get("/payouts?status=canceled").json()

    assert [payout["id"] for payout in first["data"]] == made[:0:-1]
    assert first["has_more"] is True
    assert [payout["id"] for payout in rest["data"]] == made[:1]
    assert (rest["has_more"], rest["next"]) == (False, None)
    assert [payout["id"] for payout in canceled["data"]] == made[:1]


def test_what_cannot_be_requested_is_refused_in_plain_words(portal: Portal) -> None:
    partner = portal.partner(5_000)
    expected: list[tuple[dict[str, Any], tuple[int, str]]] = [
        ({"currency": "usd"}, (422, "wrong_currency")),
        ({"amount_minor": 5_001}, (409, "not_enough_owed")),
        ({"statement_descriptor": "a<b"}, (422, "bad_descriptor")),
        ({"reference": " \t "}, (422, "bad_reference")),
        ({"partner": "nobody"}, (404, "not_found")),
        ({"partner": "acct_ä"}, (404, "not_found")),
        ({"amount_minor": 0}, (422, "wrong_fields")),
        ({"amount_minor": True}, (422, "wrong_fields")),
        ({"amount_minor": "10"}, (422, "wrong_fields")),
        ({"amount_minor": 10**40}, (422, "wrong_fields")),
        ({"all_due": True}, (422, "wrong_fields")),
        ({"amount": 10}, (422, "wrong_fields")),
    ]

    asked: list[Ask] = [
        (("POST", "/payouts", {**wish(partner), **more}, f"k{n}"), {}) for n, (more, _) in enumerate(expected)
    ]
    refused = portal.ask_all(asked)

    assert [problem(answer) for answer in refused] == [what for _, what in expected]
    assert requests_made(portal) == 0


def test_a_word_in_an_address_is_never_taken_for_nothing(portal: Portal) -> None:
    portal.post("/payouts", wish(portal.partner(5_000)), key="k")

    assert problem(portal.get("/payouts?partner=null")) == (404, "not_found")
    assert problem(portal.get("/payouts?status=null")) == (422, "wrong_fields")
    assert problem(portal.get("/payouts?limit=2&limit=3")) == (422, "wrong_parameters")
    assert problem(portal.get("/payouts?partners=nord")) == (422, "wrong_fields")


def test_a_refusal_names_the_field(portal: Portal) -> None:
    partner = portal.partner(5_000)

    typo = portal.post("/payouts", wish(partner, all_deu=True), key="k").json()
    kind = portal.post("/payouts", wish(partner, amount_minor="10"), key="k").json()
    money = portal.post("/payouts", wish(partner, currency="usd"), key="k").json()

    assert [said["errors"][0]["field"] for said in (typo, kind, money)] == [
        *("all_deu", "amount_minor", "currency"),
    ]


def test_nothing_is_paid_to_a_blocked_partner(portal: Portal) -> None:
    partner = portal.partner(5_000, state=PartnerState.BLOCKED, state_reason="fraud")

    refused = portal.post("/payouts", wish(partner), key="k")

    assert problem(refused) == (409, "partner_blocked")
    assert portal.get(f"/partners/{partner.reference}/balance").json()["payable_minor"] == 0


def test_a_reference_stands_for_one_payout_whatever_the_key(portal: Portal) -> None:
    partner = portal.partner(5_000)
    first = portal.post("/payouts", wish(partner, reference="r"), key="k-1").json()

    same = portal.post("/payouts", wish(partner, reference="r"), key="k-2")
    other = portal.post("/payouts", wish(partner, reference="r", amount_minor=1), key="k-3")

    assert same.json()["id"] == first["id"]
    assert problem(other) == (409, "reference_taken")


def test_a_payout_that_does_not_exist_is_not_found(portal: Portal) -> None:
    names = ("pay_1", "po_1", "1", "pay_", "pay_99999999999999999999", "pay_9223372036854775808")

    for name in names:
        assert problem(portal.get(f"/payouts/{name}")) == (404, "not_found")
        assert problem(portal.post(f"/payouts/{name}/cancel", {"reason": "x"})) == (404, "not_found")


def test_answers_are_forgotten_after_thirty_days_and_not_before(portal: Portal) -> None:
    partner = portal.partner(5_000)
    portal.post("/payouts", wish(partner), key="k")
    made_ms = int(portal.value("SELECT created_at_ms FROM idempotency_keys"))

    early = forget_answers(portal.engine, made_ms + KEPT_DAYS * DAY_MS)
    late = forget_answers(portal.engine, made_ms + KEPT_DAYS * DAY_MS + 1)

    assert (early, late) == (0, 1)
    assert portal.value("SELECT COUNT(*) FROM idempotency_keys") == 0
