"""Letters to partners: which notice makes which, and how each reads, whatever the names in it are."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from payouts.errors import PayloadError
from payouts.failures import _BY_CODE as KNOWN_CODES
from payouts.letters.advice import _WHY, advice_on
from payouts.letters.letter import NAMES, Kind, Letter, letter_of
from payouts.letters.rendering import TEMPLATES, House, Mail, Renderer
from payouts.notices import Notice
from tests.support.requests import a_partner

PAYOUT = {
    "account": "acct_1",
    "request_id": "pay_250809727085759488",
    "amount_minor": 123_456,
    "currency": "eur",
    "reference": "invoice 7",
    "arrival_date_s": 1_796_169_600,
}
WINDOW = {
    "starts_at": "2026-12-01T22:00:00.000Z",
    "ends_at": "2026-12-01T23:30:00.000Z",
    "window_text": "We move to a new database.",
}
BANK = {"lacks": "missing", "currency": "eur", "bank_label": None}
BODIES: dict[Kind, dict[str, Any]] = {
    Kind.PAYOUT_SENT: PAYOUT,
    Kind.PAYOUT_COMPLETED: PAYOUT,
    Kind.PAYOUT_FAILED: {**PAYOUT, "status_before": "sent", "failure_code": "no_account"},
    Kind.PAYOUT_RETURNED: {**PAYOUT, "status_before": "paid", "failure_code": "no_account"},
    Kind.BANK_ACCOUNT_NEEDED: BANK,
    Kind.MAINTENANCE_PLANNED: WINDOW,
    Kind.MAINTENANCE_CALLED_OFF: WINDOW,
}
HOUSE = House("Partners Portal")
AWKWARD = {
    "script": "<script>alert(1)</script> & Söhne",
    "template": "{{ house.url }} {% raw %}",
    "long": "Donaudampfschifffahrtsgesellschaft" * 7,
    "right to left": "شركة المدينة للتجارة",
    "quotes": '"O\'Brien" <b>bold</b>',
}


def notice(name: str, body: Any) -> Notice:
    text = body if isinstance(body, str) else json.dumps(body)
    return Notice(5, "acct_1", name, None, 7, text, 1_790_000_000_000)


def rendered(kind: Kind, house: House = HOUSE, **partner: Any) -> Mail:
    about = {**BODIES[kind]}
    return Renderer(house).render(Letter(kind, about), a_partner(**partner), "email-5")


class Words(HTMLParser):
    """What a page shows, and the tags that it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.shown, self.tags = "", set[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.shown += data


@pytest.mark.parametrize(
    ("name", "more", "kind"),
    [
        ("payout.sent", {}, Kind.PAYOUT_SENT),
        ("payout.completed", {}, Kind.PAYOUT_COMPLETED),
        ("payout.completed", {"request_id": None}, None),
        ("payout.completed", {"amount_minor": -100}, None),
        ("payout.returned", {"status_before": "sent"}, Kind.PAYOUT_FAILED),
        ("payout.returned", {"status_before": "sending"}, Kind.PAYOUT_FAILED),
        ("payout.returned", {"status_before": "paid"}, Kind.PAYOUT_RETURNED),
        ("payout.created", {}, None),
        ("alert.paid_twice", {}, None),
    ],
)
def test_a_notice_makes_at_most_one_letter(name: str, more: dict[str, Any], kind: Kind | None) -> None:
    made = letter_of(notice(name, {**PAYOUT, **more}))
    assert (made.kind if made else None) == kind


def test_every_letter_has_a_notice_and_both_its_templates() -> None:
    made = {letter.kind for name in NAMES if (letter := letter_of(notice(name, PAYOUT)))}
    made.add(Kind.PAYOUT_RETURNED)
    assert made == set(Kind)
    files = {path.name for path in TEMPLATES.iterdir()}
    assert {f"{kind}.{form}" for kind in Kind for form in ("txt", "html")} <= files


def test_a_body_that_does_not_read_is_named() -> None:
    with pytest.raises(PayloadError, match="notice 5"):
        letter_of(notice("payout.sent", "no json"))


@pytest.mark.parametrize("name", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("kind", Kind)
def test_a_name_is_shown_as_it_is_and_does_nothing(kind: Kind, name: str) -> None:
    mail = rendered(kind, name=name, bank_label=f"{name} ···6789"[:128])
    page = Words(mail.html)
    assert name in page.shown
    assert f"Hello {name}," in mail.text
    assert page.tags & {"script", "b", "img", "form"} == set()
    assert "\n" not in mail.subject
    assert name not in mail.subject


@pytest.mark.parametrize("kind", Kind)
def test_a_letter_says_what_to_do_and_gives_nothing_away(kind: Kind) -> None:
    partner = {"bank_account": "ba_secret1", "bank_fingerprint": "fp_secret2", "account": "acct_secret3"}
    mail = rendered(kind, House("Partners Portal", "https://portal.example.com/?a=1&b=2"), **partner)
    for form in (mail.text, Words(mail.html).shown):
        assert "What to do" in form or "You do not need to do anything" in form
        assert not re.search(r"secret|\bNone\b|Undefined|\{[{%]|\[\]", form)
    assert mail.to == "pay@nord.example"
    assert mail.text.endswith("by e-mail.\n")
    assert "\n\n\n" not in mail.text


def test_amounts_are_written_in_the_form_of_their_currency_and_days_in_words() -> None:
    yen = Letter(Kind.PAYOUT_SENT, {**PAYOUT, "amount_minor": 5_000, "currency": "jpy"})
    mail = Renderer(House("Us")).render(yen, a_partner(), "email-5")
    assert mail.subject == "Your payout of 5,000 JPY is on its way"
    assert "2 December 2026" in mail.text
    dinar = Letter(Kind.PAYOUT_COMPLETED, {**PAYOUT, "amount_minor": 12_340, "currency": "kwd"})
    assert "12.340 KWD" in Renderer(House("Us")).render(dinar, a_partner(), "email-5").html


def test_a_planned_maintenance_says_when_in_utc() -> None:
    mail = rendered(Kind.MAINTENANCE_PLANNED)
    assert mail.subject == "Maintenance on 1 December 2026: payouts will pause"
    assert "1 December 2026, 23:30 UTC" in mail.text
    assert "takes the place" not in mail.text


def test_a_maintenance_that_moved_says_instead_of_which() -> None:
    moved = Letter(Kind.MAINTENANCE_PLANNED, {**WINDOW, "instead_of": "2026-12-01T20:00:00.000Z"})
    mail = Renderer(House("Us")).render(moved, a_partner(), "email-5")
    for text in (mail.text, mail.html):
        assert "takes the place of the maintenance" in text
        assert "from 1 December 2026, 20:00 UTC" in text


def test_the_same_letter_reads_the_same_each_time() -> None:
    partner = a_partner()
    letter = Letter(Kind.PAYOUT_FAILED, BODIES[Kind.PAYOUT_FAILED])
    renderers = (Renderer(House("Us")), Renderer(House("Us")))
    first, second = (renderer.render(letter, partner, "email-5") for renderer in renderers)
    assert first == second


def test_each_failure_code_of_stripes_has_a_reason_in_words_and_something_to_do() -> None:
    assert set(KNOWN_CODES) == set(_WHY)
    for code in (*KNOWN_CODES, None, "a_new_code"):
        advice = advice_on(code)
        assert advice.steps
        assert "_" not in advice.why


def test_without_a_code_no_reason_is_made_up() -> None:
    about = {**BODIES[Kind.PAYOUT_FAILED], "failure_code": None}
    mail = Renderer(House("Us")).render(Letter(Kind.PAYOUT_FAILED, about), a_partner(), "email-5")
    assert "could not be paid." in mail.text
    assert "because" not in mail.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_minor": "many"},
        {"currency": None},
        {"currency": 5},
        {"arrival_date_s": 10**20},
        {"starts_at": "soon"},
    ],
)
def test_a_notice_that_says_what_cannot_be_makes_no_letter_and_says_so(wrong: dict[str, Any]) -> None:
    letter = Letter(Kind.PAYOUT_SENT, {**PAYOUT, **wrong})
    with pytest.raises(PayloadError, match="no payout_sent can be written"):
        Renderer(HOUSE).render(letter, a_partner(), "email-5")
