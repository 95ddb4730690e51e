"""Signing secrets and the API key: are they there, real, of one mode, and does anything come by them?

No secret is shown, nor a part of one: each by its list and fingerprint, as the inbox records it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from payouts.doctor.finding import Check, Finding, bad, for_people, ok, warning
from payouts.fingerprint import Role, fingerprint, label

PREFIX = "whsec_"
LEAST_CHARS = 24
"""Behind the prefix. Stripe's have 32 or more."""

_PLACEHOLDER = re.compile(
    r"\.\.\.|…|xxxx|\*\*\*|<|>|change_?me|example|placeholder|replace|your|dummy|todo", re.I
)
_LIVE, _TEST = ("sk_live_", "rk_live_"), ("sk_test_", "rk_test_")
_SETTING: dict[Role, str] = {
    "platform": "STRIPE_WEBHOOK_SECRET",
    "connect": "STRIPE_CONNECT_WEBHOOK_SECRET",
}


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What is set."""

    platform: Sequence[str] = field(repr=False)
    connect: Sequence[str] = field(repr=False)
    api_key: str = field(repr=False)
    livemode: bool

    @property
    def named(self) -> list[tuple[Role, str]]:
        platform: list[tuple[Role, str]] = [("platform", secret) for secret in self.platform]
        return platform + [("connect", secret) for secret in self.connect]


@dataclass(frozen=True, slots=True)
class SecretUse:
    """What the newest events were signed with."""

    by_label: Mapping[str, int]
    """How many of them, by the name of the secret."""
    since_ms: int | None
    """When the oldest of them came; None where there is none."""


def judge_secrets(facts: SecretFacts) -> list[Finding]:
    """Findings on what is set, by itself."""
    return [*_there(facts), *_forms(facts), *_repeats(facts), _mode(facts)]


def judge_use(facts: SecretFacts, use: SecretUse, now_ms: int) -> list[Finding]:
    """Findings on what the events of late were signed with."""
    check = Check.SECRET_USE
    if not facts.named:
        return []
    if use.since_ms is None:
        text = "no signed event has come yet: nothing shows that the secrets are right"
        return [
            warning(check, text, "have Stripe send one: `stripe trigger payout.created`, or the Dashboard")
        ]
    since, total = for_people(now_ms - use.since_ms), sum(use.by_label.values())
    unused = [label(*each) for each in facts.named if not use.by_label.get(label(*each))]
    if unused:
        text = f"none of the {total} newest events ({since}) was signed with {', '.join(unused)}"
        remedy = (
            "take it out if no endpoint has it any more; else look in the Dashboard for failed deliveries"
        )
        return [warning(check, text, remedy)]
    return [ok(check, f"each secret signed some of the {total} newest events ({since})")]


def _there(facts: SecretFacts) -> Iterator[Finding]:
    counts = {"platform": len(facts.platform), "connect": len(facts.connect)}
    if not facts.named:
        yield bad(
            Check.SECRETS,
            "no signing secret is set: no receiver starts",
            "set STRIPE_WEBHOOK_SECRET and STRIPE_CONNECT_WEBHOOK_SECRET: Stripe shows them at its endpoints",
        )
        return
    for role, setting in _SETTING.items():
        if not counts[role]:
            text = f"{setting} is not set"
            yield warning(Check.SECRETS, text, "set it, unless there is no such endpoint on purpose")
    if all(counts.values()):
        yield ok(Check.SECRETS, ", ".join(label(*each) for each in facts.named))


def _forms(facts: SecretFacts) -> Iterator[Finding]:
    check, good = Check.SECRET_FORM, True
    for role, secret in facts.named:
        name, setting = label(role, secret), _SETTING[role]
        right = f"set {setting} to the whole whsec_… that Stripe shows at the endpoint"
        if not secret.startswith(PREFIX):
            good = False
            yield bad(
                check, f"{name} in {setting} does not begin with whsec_: it is no signing secret", right
            )
        elif _PLACEHOLDER.search(secret) or len(set(secret.removeprefix(PREFIX))) < 5:
            good = False
            yield bad(check, f"{name} in {setting} is a placeholder: anybody can sign with it", right)
        elif len(secret) < len(PREFIX) + LEAST_CHARS:
            good = False
            yield warning(check, f"{name} in {setting} is shorter than Stripe's are", right)
    if good and facts.named:
        yield ok(check, "all begin with whsec_ and are as long as Stripe's")


def _repeats(facts: SecretFacts) -> Iterator[Finding]:
    check = Check.SECRET_REPEATS
    twice = [secret for secret, count in Counter(secret for _, secret in facts.named).items() if count > 1]
    for secret in twice:
        lists = " and ".join(dict.fromkeys(_SETTING[role] for role, each in facts.named if each == secret))
        text = f"the secret {fingerprint(secret)} is set more than once, in {lists}"
        yield warning(check, text, "each endpoint has a secret of its own: leave it where it belongs")
    if facts.named and not twice:
        yield ok(check, "none is set twice")


def _mode(facts: SecretFacts) -> Finding:
    check, key = Check.KEY_MODE, facts.api_key
    mode = "live" if facts.livemode else "test"
    if not key:
        return warning(
            check, f"STRIPE_API_KEY is not set; the mode is {mode}", "set it: nothing is paid without it"
        )
    if not key.startswith(_LIVE + _TEST):
        text = "STRIPE_API_KEY is no secret or restricted key (sk_…, rk_…)"
        return bad(check, text, "set it to one from Stripe's Dashboard, Developers → API keys")
    if key.startswith(_LIVE) != facts.livemode:
        other = "live" if key.startswith(_LIVE) else "test"
        text = f"STRIPE_API_KEY is of {other} mode, and STRIPE_LIVEMODE says {mode}: events are put aside"
        return bad(check, text, "set both to the same mode, or leave STRIPE_LIVEMODE out")
    return ok(check, f"key and mode agree: {mode}")
