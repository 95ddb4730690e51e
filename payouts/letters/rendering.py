"""Letters as e-mails: a subject, a text and a page of HTML, made from templates beside this file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payouts.errors import PayloadError
from payouts.letters.advice import advice_on
from payouts.letters.letter import Kind, Letter
from payouts.money import format_money
from payouts.partner import Partner

if TYPE_CHECKING:
    from jinja2 import Environment, Template

TEMPLATES = Path(__file__).parent / "templates"
SUBJECTS = {
    Kind.PAYOUT_SENT: "Your payout of {amount} is on its way",
    Kind.PAYOUT_COMPLETED: "Your payout of {amount} has been paid",
    Kind.PAYOUT_FAILED: "Your payout of {amount} could not be paid",
    Kind.PAYOUT_RETURNED: "Your payout of {amount} came back",
    Kind.BANK_ACCOUNT_NEEDED: "We need your bank details to pay you",
    Kind.MAINTENANCE_PLANNED: "Maintenance on {day}: payouts will pause",
    Kind.MAINTENANCE_CALLED_OFF: "The maintenance on {day} does not take place",
}


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail to one person. `key`: the same for the same mail, however often it is tried."""

    key: str
    to: str
    subject: str
    text: str
    html: str
    tags: Mapping[str, str] = field(default_factory=dict)
    """Come back with what is told about this mail later."""


@dataclass(frozen=True, slots=True)
class House:
    """Who writes. `url`: where partners sign in, empty where they are not led there."""

    name: str
    url: str = ""


class Renderer:
    """Makes e-mails of letters. The templates are read at the first."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._environments: tuple[Environment, Environment] | None = None

    def render(self, letter: Letter, partner: Partner, key: str) -> Mail:
        """The e-mail for a letter to `partner`. Raises PayloadError where the notice says what cannot be."""
        try:
            facts = _facts(letter, partner)
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise PayloadError(
                f"no {letter.kind} can be written: {type(error).__name__}: {error}"[:300]
            ) from None
        page = {**facts, "house": self._house, "partner": partner}
        subject = SUBJECTS[letter.kind].format_map(facts)
        page["subject"] = subject
        text = self._template(letter.kind, "txt").render(page)
        html = self._template(letter.kind, "html").render(page)
        return Mail(key, partner.email, subject, text.strip() + "\n", html, {"partner": str(partner.id)})

    def _template(self, kind: Kind, form: str) -> "Template":
        if self._environments is None:
            self._environments = _environments()
        return self._environments[form == "html"].get_template(f"{kind}.{form}")


def _environments() -> "tuple[Environment, Environment]":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(TEMPLATES)
    rules: dict[str, Any] = {
        "loader": loader,
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }
    # Text is text: what looks like a tag in a name is written as it is.
    return Environment(autoescape=False, **rules), Environment(autoescape=True, **rules)  # noqa: S701


def _facts(letter: Letter, partner: Partner) -> dict[str, Any]:
    """All that templates may say; what a notice does not tell is empty, as in one of an earlier version."""
    about = letter.about
    starts, ends = _time(about.get("starts_at")), _time(about.get("ends_at"))
    advice = advice_on(about.get("failure_code"))
    amount_minor = about.get("amount_minor")
    return {
        "amount": format_money(amount_minor, about["currency"]) if amount_minor is not None else "",
        "currency": str(about.get("currency") or "").upper(),
        "payout": about.get("request_id") or "",
        "reference": about.get("reference") or "",
        "is_reversal": bool(about.get("is_reversal")),
        "bank": partner.bank_label or "",
        "bank_then": about.get("bank_label") or "",
        "lacks": about.get("lacks") or "",
        "work": about.get("window_text") or "",
        "arrival": _day(about.get("arrival_date_s")),
        "why": advice.why,
        "steps": advice.steps,
        "starts": _moment(starts),
        "instead_of": _moment(_time(about.get("instead_of"))),
        "ends": _moment(ends),
        "day": _date(starts),
    }


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _day(at_s: int | None) -> str:
    return _date(datetime.fromtimestamp(at_s, UTC)) if at_s is not None else ""


def _date(at: datetime | None) -> str:
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}" if at else ""


def _moment(at: datetime | None) -> str:
    return f"{_date(at)}, {at:%H:%M} UTC" if at else ""


_MONTHS = (  # whatever the locale of the process says
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
