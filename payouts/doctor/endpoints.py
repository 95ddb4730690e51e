"""Webhook endpoints at Stripe: does each event that this service acts on come to it, once, as it reads it?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from payouts.doctor.finding import Check, Finding, bad, ok, warning
from payouts.gateway import API_VERSION
from payouts.handled import HANDLED_CONNECT_TYPES, HANDLED_PLATFORM_TYPES
from payouts.webhook_endpoint import EVERY_TYPE, EndpointObject

WEBHOOK_PATH = "/api/webhooks/stripe"
DASHBOARD = "Stripe's Dashboard, Developers → Webhooks"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two kinds of endpoints. Stripe tells them apart by `application` alone."""

    name: str
    setting: str
    """Of its signing secrets."""
    handled: tuple[str, ...]
    accounts: str

    def of(self, endpoints: Sequence[EndpointObject]) -> list[EndpointObject]:
        return [each for each in endpoints if each.is_connect == (self is CONNECT)]


PLATFORM = Kind("account", "STRIPE_WEBHOOK_SECRET", HANDLED_PLATFORM_TYPES, "your account")
CONNECT = Kind("Connect", "STRIPE_CONNECT_WEBHOOK_SECRET", HANDLED_CONNECT_TYPES, "connected accounts")


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """What Stripe has, and what is set here."""

    endpoints: Sequence[EndpointObject]
    livemode: bool
    public_url: str
    platform_secrets: int
    connect_secrets: int


def judge_endpoints(facts: EndpointFacts) -> list[Finding]:
    """Findings on the endpoints that are this service's own; others of the account are left alone."""
    ours = own(facts.endpoints, facts.public_url)
    findings = [*_urls(facts, ours), *_status(ours), *_duplicates(facts.endpoints)]
    enabled = [each for each in ours if each.is_enabled]
    enough = facts.platform_secrets + facts.connect_secrets >= len(enabled)
    for kind, secrets in ((PLATFORM, facts.platform_secrets), (CONNECT, facts.connect_secrets)):
        mine = kind.of(enabled)
        if not mine:
            findings.append(_none_of(kind))
            continue
        findings += _events(kind, mine)
        findings += _versions(kind, mine)
        findings += _secrets(kind, mine, secrets, enough)
    return findings


def own(endpoints: Sequence[EndpointObject], public_url: str) -> list[EndpointObject]:
    """This service's endpoints: by the address that is set, else by its path, else all there are."""
    if public_url:
        return [each for each in endpoints if _same_url(each.url, public_url)]
    by_path = [each for each in endpoints if urlsplit(each.url).path.rstrip("/") == WEBHOOK_PATH]
    return by_path or list(endpoints)


def _urls(facts: EndpointFacts, ours: Sequence[EndpointObject]) -> Iterator[Finding]:
    check = Check.ENDPOINT_URL
    if facts.public_url and not ours:
        there = ", ".join(sorted({each.url for each in facts.endpoints})) or "none"
        yield bad(
            check,
            f"no endpoint delivers to PUBLIC_WEBHOOK_URL {facts.public_url}; there are: {there}",
            f"make one for it in {DASHBOARD}, or correct the setting",
        )
        return
    open_ones = [each for each in ours if urlsplit(each.url).scheme != "https"]
    if facts.livemode and open_ones:
        yield bad(
            check,
            f"{_named(open_ones)} would deliver without TLS",
            f"give it an https:// address in {DASHBOARD}",
        )
    elif ours:
        yield ok(check, ", ".join(sorted({each.url for each in ours})))


def _status(ours: Sequence[EndpointObject]) -> Iterator[Finding]:
    check = Check.ENDPOINT_STATUS
    for kind in (PLATFORM, CONNECT):
        mine = kind.of(ours)
        off = [each for each in mine if not each.is_enabled]
        if off:
            # With another one of its kind enabled it may be off on purpose.
            judge = bad if len(off) == len(mine) else warning
            yield judge(
                check,
                f"{_named(off)} ({kind.name}) is {off[0].status}: Stripe sends nothing to it",
                f"enable it in {DASHBOARD}, then fetch what it missed; or delete it",
            )
        elif mine:
            yield ok(check, f"{_named(mine)} ({kind.name}) is enabled")


def _none_of(kind: Kind) -> Finding:
    return bad(
        Check.ENDPOINT_KINDS,
        f"no {kind.name} endpoint is enabled for this service: events on {kind.accounts} do not come",
        f"in {DASHBOARD} add one that listens to events on {kind.accounts}, and set {kind.setting}",
    )


def _events(kind: Kind, mine: Sequence[EndpointObject]) -> Iterator[Finding]:
    missing = [type_ for type_ in kind.handled if not any(each.hears(type_) for each in mine)]
    if missing:
        yield bad(
            Check.ENDPOINT_EVENTS,
            f"{_named(mine)} ({kind.name}) does not get {', '.join(missing)}",
            f"enable these types in {DASHBOARD}",
        )
    else:
        yield ok(
            Check.ENDPOINT_EVENTS,
            f"the {kind.name} endpoint gets all {len(kind.handled)} types that are acted on",
        )
    sent = {type_ for each in mine for type_ in each.enabled_events}
    ignored = sorted(sent - {*kind.handled, EVERY_TYPE})
    if ignored:
        yield warning(
            Check.ENDPOINT_IGNORED,
            f"{_named(mine)} ({kind.name}) also gets what is only stored: {', '.join(ignored)}",
            f"leave these types out in {DASHBOARD}, unless something else reads them from the inbox",
        )


def _versions(kind: Kind, mine: Sequence[EndpointObject]) -> Iterator[Finding]:
    remedy = (
        f"an endpoint's version cannot be changed: make a new one with {API_VERSION}, add its secret to "
        f"{kind.setting}, and delete the old one once events come by the new one"
    )
    for each in mine:
        if each.api_version is None:
            yield warning(
                Check.ENDPOINT_VERSION,
                f"{each.id} ({kind.name}) sends events as the account's default version, which may change",
                remedy,
            )
        elif each.api_version != API_VERSION:
            yield bad(
                Check.ENDPOINT_VERSION,
                f"{each.id} ({kind.name}) sends events as {each.api_version}, this code reads {API_VERSION}",
                remedy,
            )
        else:
            yield ok(Check.ENDPOINT_VERSION, f"{each.id} ({kind.name}) sends events as {API_VERSION}")


def _duplicates(endpoints: Sequence[EndpointObject]) -> Iterator[Finding]:
    groups: dict[tuple[str, bool], list[EndpointObject]] = {}
    for each in endpoints:
        if each.is_enabled:
            groups.setdefault((each.url.rstrip("/"), each.is_connect), []).append(each)
    for (url, _), same in groups.items():
        if len(same) > 1:
            yield warning(
                Check.ENDPOINT_DUPLICATES,
                f"{_named(same)} deliver the same events to {url}: each comes {len(same)} times",
                f"delete all but one in {DASHBOARD}, and its secret here",
            )


def _secrets(kind: Kind, mine: Sequence[EndpointObject], secrets: int, enough: bool) -> Iterator[Finding]:
    check, there = Check.ENDPOINT_SECRETS, f"{len(mine)} enabled {kind.name} endpoint(s)"
    if secrets < len(mine):
        # Every secret is tried on every delivery: one in the wrong list works all the same.
        judge = warning if enough else bad
        yield judge(
            check,
            f"{there}, and {secrets} secret(s) in {kind.setting}: what an endpoint signs whose secret is not "
            "there is refused",
            f"show the secret in {DASHBOARD} and add it to {kind.setting}, comma-separated",
        )
    elif secrets > len(mine):
        yield warning(
            check,
            f"{secrets} secrets in {kind.setting} for {there}: a rotation that was not finished?",
            f"take out of {kind.setting} what no endpoint uses any more (`secrets.use` names it)",
        )
    else:
        yield ok(check, f"as many secrets in {kind.setting} as enabled endpoints: {secrets}")


def _same_url(one: str, other: str) -> bool:
    a, b = urlsplit(one), urlsplit(other)
    return (a.scheme, a.netloc.lower(), a.path.rstrip("/"), a.query) == (
        *(b.scheme, b.netloc.lower(), b.path.rstrip("/"), b.query),
    )


def _named(endpoints: Sequence[EndpointObject]) -> str:
    return " and ".join(each.id for each in endpoints)
