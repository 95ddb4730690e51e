"""Templates, and the words they share: money, times, states, links."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from console.web.navigation import SECTIONS
from console.web.states_shown import tone_of
from payouts.clock import Clock, iso
from payouts.money import format_money
from payouts.request import public_id
from payouts.settings import Settings
from payouts.version import VERSION

if TYPE_CHECKING:
    from console.web.call import Call

STATIC = Path(__file__).parent / "static"


class Renderer:
    """Makes HTML of a template and a page's values. Everything is escaped; what is missing is an error."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock

    def render(self, template: str, call: "Call | None", *, title: str, **context: Any) -> str:
        """The page. `call`: whose page it is; None: nobody is signed in."""
        return self._environment.get_template(template).render(
            {"call": call, "title": title, "now_ms": self._clock(), **context}
        )

    @cached_property
    def _environment(self) -> Environment:
        made = Environment(
            loader=PackageLoader("console.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self.equip(made)
        return made

    def equip(self, environment: Environment) -> None:
        """Give an environment of templates the words that all pages share."""
        environment.filters |= {
            "money": format_money,
            "when": when,
            "moment": moment,
            "age": lambda at_ms: age(at_ms, self._clock()),
            "span": span,
            "pay": public_id,
            "tone": tone_of,
            "words": lambda text: str(text).replace("_", " "),
            "pretty": pretty,
            "quoted": lambda text: quote(str(text), safe=""),
            "query": query,
        }
        environment.globals |= {
            "sections": SECTIONS,
            "version": VERSION,
            "environment": self._settings.environment,
            "livemode": self._settings.livemode,
            "asset": self._asset,
            "dashboard": self._dashboard,
        }

    def _asset(self, name: str) -> str:
        return f"/static/{name}?v={_digest(STATIC / name)}"

    def _dashboard(self, object_id: str, account: str | None = None) -> str:
        """Where Stripe's own Dashboard shows an object or event, of a connected account or the platform."""
        mode = "" if self._settings.livemode else "test/"
        of = f"{account}/" if account and account.startswith("acct_") else ""
        kinds = {"evt": "events", "po": "payouts", "tr": "connect/transfers", "acct": "connect/accounts"}
        kind = kinds.get(object_id.partition("_")[0], "search?query=")
        joined = f"{kind}{quote(object_id)}" if kind.endswith("=") else f"{kind}/{quote(object_id)}"
        return f"https://dashboard.stripe.com/{of}{mode}{joined}"


def when(at_ms: int | None, *, date_only: bool = False) -> Markup:
    """A time in UTC, to the second; the script adds the reader's own."""
    if at_ms is None:
        return Markup("–")
    shown = datetime.fromtimestamp(at_ms / 1000, UTC).strftime(
        "%Y-%m-%d" if date_only else "%Y-%m-%d %H:%M:%S"
    )
    text = Markup('<time datetime="{}">{}</time>')
    return text.format(iso(at_ms), shown if date_only else f"{shown}Z")


def moment(at_ms: int) -> str:
    """A time in a drawing: UTC, to the minute."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%m-%d %H:%MZ")


def age(at_ms: int | None, now_ms: int) -> str:
    """How long ago `at_ms` was, in two words at most."""
    return "–" if at_ms is None else span(max(0, now_ms - at_ms))


def span(ms: int | float | None) -> str:
    """A length of time as people say it: `450 ms`, `12 s`, `3 min`, `5 h`, `2 days`."""
    if ms is None:
        return "–"
    for unit, size, most in _SPANS:
        if ms < most:
            return f"{ms / size:.0f} {unit}"
    days = ms / 86_400_000
    return f"{days:.0f} days"


def pretty(value: Any) -> str:
    """A mapping as JSON on lines of its own."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def query(parameters: Mapping[str, Any]) -> str:
    """Parameters of an address, the empty ones left out."""
    kept = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"?{urlencode(kept)}" if kept else ""


def _digest(path: Path) -> str:
    found = _DIGESTS.get(path)
    if found is None:
        found = _DIGESTS[path] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return found


_DIGESTS: dict[Path, str] = {}
_SPANS = (
    ("ms", 1, 1_000),
    ("s", 1_000, 120_000),
    ("min", 60_000, 7_200_000),
    ("h", 3_600_000, 172_800_000),
)
