"""docs/settings.md, made of the code: `payouts settings --markdown`."""

from payouts.settings_facts import SettingFacts, setting_facts

_HEAD = """\
# Settings

[All pages](../README.md#read-on)

<!-- Made by `payouts settings --markdown`: change the code instead. -->

Each is an environment variable. One that is wrong stops the start with a line that names it and says what
to do; several are all named. `payouts settings` shows what a process would use: each value, and whether it
comes from the environment, a file or the default.

## Secrets

They never show in logs, errors or `payouts settings`, which tells them apart by a fingerprint: the first 8
hex digits of the SHA-256 of each, the same by which [the doctor](doctor.md) and events name a signing
secret. The addresses of database and Redis are shown without user, password and options.

Where the table says *secret*, `NAME_FILE` may name a file that holds it, as Docker and Kubernetes mount
secrets. The end of its last line is left out. It is an error where the file cannot be read or is empty, or
where `NAME` is set as well. Or name a folder by `SECRETS_DIR`: each file in it that is called as a secret, as
`stripe_api_key`, is taken; one that is called as none stops the start.

These are read again when their file changes, within a few seconds and without a restart:

| secret | to rotate it |
|---|---|
| `STRIPE_WEBHOOK_SECRET`, `STRIPE_CONNECT_WEBHOOK_SECRET` | roll it at Stripe, write `new,old`; later `new` |
| `STRIPE_API_KEY` | write the new key: the next call uses it. One of the other mode is not taken |
| `PORTAL_WEBHOOK_SECRET`, `RESEND_WEBHOOK_SECRET` | write `new,old`; later `new` |
| `RESEND_API_KEY`, `PAGERDUTY_ROUTING_KEY` | write the new one: the next notice goes by it |
| `SLACK_WARNING_URL`, `SLACK_CRITICAL_URL` | the same |
| `OIDC_CLIENT_SECRET` | write the new secret; the next sign-in uses it. Those who are signed in stay so |

A file that is away, empty or wrong for that moment changes nothing: what was in use stays, and the log says
`secret.not_read`; a change that is taken is logged as `secret.changed`. Write the new file beside the old
one and rename it, so that nobody reads half of it; Kubernetes does so by itself, but not for a file mounted
by `subPath`. All other secrets are read once, at the start. `PAYLOAD_KEYS` have [a rotation of their
own](retention.md).

## What is no setting

A name that looks like a setting and is none stops the start as well:

- one that is nearly that of a setting which is not set: `STRIPE_WEBHOK_SECRET is not a setting: did you
  mean STRIPE_WEBHOOK_SECRET?` Where the setting is set too, the other name is taken for somebody else's.
- one that begins as only settings of this service do: {ours}.
- `NAME_FILE` of a setting that is no secret.

An environment is full of names that belong to others, so no other one counts: `DATABASE_…`, `REDIS_…`,
`API_…` and most of `STRIPE_…` are also set by platforms, portals and tools. Left alone are what Kubernetes
sets for each service (`…_SERVICE_HOST`, `…_PORT_8080_TCP_ADDR`; switch it off by `enableServiceLinks:
false`, for it also sets `RECEIVER_PORT` where a service is called `receiver`), and names of Stripe's own
tools. Whatever else must stay goes into `OTHER_VARIABLES`.

## All of them

| setting | what it takes | default | meaning |
|---|---|---|---|
"""


def settings_page() -> str:
    """The whole page."""
    from payouts.strange_settings import OURS

    head = _HEAD.format(ours=", ".join(f"`{prefix}…`" for prefix in OURS))
    return head + "".join(_row(each) for each in setting_facts())


def _row(each: SettingFacts) -> str:
    default = "**must be set**" if each.required else f"`{each.default}`" if each.default else ""
    cells = (f"`{each.name}`", each.kind, default, each.meaning.replace("|", "\\|"))
    return f"| {' | '.join(cells)} |\n"
