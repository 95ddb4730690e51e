"""Settings: read once from the environment, checked, and handed on by the composition root."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from payouts.addresses import Networks, parse_networks
from payouts.channel_settings import channel_faults, secret_fault
from payouts.errors import SettingsError
from payouts.identity import RoleRules, parse_role_rules
from payouts.rates import RateLimits, RouteGroup
from payouts.safe_url import why_no_issuer
from payouts.sealing import check_key
from payouts.secret_files import find_secrets, with_password
from payouts.secret_source import SecretSource
from payouts.strange_settings import LINK, strange
from payouts.vendor_status import read_pages

_SECRET_LISTS = {
    "stripe_webhook_secret": "whsec_…",
    "stripe_connect_webhook_secret": "whsec_…",
    "payload_keys": "keys",
    "resend_webhook_secret": "whsec_…",
    "portal_webhook_secret": "whsec_…",
}


class Settings(BaseSettings):
    """Every setting of the service. Each is an environment variable of the same name in capitals.

    Secrets are `SecretStr`: they never show in a `repr`, a log line or an error, and `NAME_FILE` may name a
    file that holds one. The line under each field is its meaning: docs/settings.md is made of them.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    environment: str = "development"
    """What this installation is called, as production or staging, where people and programs ask how it is."""
    other_variables: str = ""
    """Environment variables of other programs that look like settings of this one, comma-separated: they do
    not stop the start."""

    secrets_dir: str = ""
    """Folders of secrets, comma-separated, as Docker and Kubernetes mount them: a file in one that is called
    as a secret, in small letters, is read as if `NAME_FILE` named it. Empty: none."""

    vendor_status_pages: str = (
        "Stripe=https://www.stripestatus.com/api/v2/status.json,"
        "PlanetScale=https://www.planetscalestatus.com/api/v2/status.json,"
        "Upstash=https://status.upstash.com/api/v2/status.json,"
        "Resend=https://resend-status.com/api/v2/status.json,"
        "Vercel=https://www.vercel-status.com/api/v2/status.json"
    )
    """Whose status pages `payouts status` asks, comma-separated, each as Name=https://…/api/v2/status.json.
    Empty: nobody's."""

    database_url: SecretStr = Field(min_length=1)
    """Where the database is: mysql://user:password@host/name (MySQL 8, MariaDB 10.6, PlanetScale) or
    sqlite:////path/to/file.db."""
    database_password: SecretStr = SecretStr("")
    """The password of DATABASE_URL's user, where the address itself has none: alone it can be any text, and a
    file of its own that the database reads as well."""
    database_timeout_s: float = Field(default=10.0, gt=0)
    """How long connecting, each answer, and waiting for a connection of the pool may take."""
    database_pool_size: int = Field(default=5, ge=1)
    """Connections that one worker, scheduler, API or command opens at the most; an API works at so many
    requests at once. `payouts pools` says what fits the server's limit."""

    database_replica_url: SecretStr = SecretStr("")
    """A replica of the database, for lists of the console and the API alone. Empty: none."""
    database_replica_lag_s: float = Field(default=5.0, gt=0)
    """Behind by more than this, a replica is not asked. The scheduler must run, for it is measured by it."""

    redis_url: SecretStr = Field(min_length=1)
    """Where Redis (6.2) or Valkey is: redis://… or rediss://…."""
    redis_timeout_s: float = Field(default=5.0, ge=2)
    """How long an answer of Redis may take. Longer than the second that an idle worker waits inside it."""
    queue_namespace: str = "payouts"
    """What all keys in Redis begin with: several installations may share one."""
    queue_url: SecretStr = SecretStr("")
    """RabbitMQ as the queue in place of Redis, as amqp://user:password@host:5672/vhost. Each deployment has a
    virtual host of its own. Redis is needed all the same, for the spill, limits and sessions."""

    stripe_api_key: SecretStr = SecretStr("")
    """Pays, and asks Stripe about what an event alone cannot settle; without it both wait."""
    stripe_api_base: str = ""
    """Where Stripe's API is, if not at api.stripe.com: a sandbox of one's own."""
    stripe_webhook_secret: SecretStr = SecretStr("")
    """Signing secrets of the platform's endpoint, comma-separated while one is rolled."""
    stripe_connect_webhook_secret: SecretStr = SecretStr("")
    """The same for the Connect endpoint. The receiver needs one of the two."""
    stripe_livemode: bool | None = None
    """Whether this is live money. Not set: by the API key's prefix, else test. Events of the other mode are
    acknowledged and not stored."""
    stripe_calls_per_s: float | None = Field(default=None, gt=0)
    """Calls a second to Stripe, of all workers together. Not set: a bit under what Stripe allows for the
    key's mode."""
    stripe_payouts_per_s: float = Field(default=14.0, gt=0)
    """How many of these may create a payout."""
    stripe_timeout_s: float = Field(default=20.0, gt=0, le=60)
    """How long an answer of Stripe's is waited for. What came of a call without one is found out later."""
    send_lease_s: float = Field(default=60.0, gt=0)
    """How long a payout waits for a worker that died over it. Longer than a call with its time limits."""
    doubt_minutes: float = Field(default=15.0, gt=0)
    """How long an object is looked for that may have been made, before a person is asked to decide."""
    shadow_mode: bool = False
    """Decide and post, but call nothing that moves money: to run beside the system before."""
    practice_failure: bool = False
    """For trying the service out only: the first `payout.paid` of each payout whose statement descriptor is
    PRACTICE dies on purpose, so that a replay can be practised. Refused in live mode."""

    maintenance_mode: bool = False
    """Maintenance by configuration: nothing is sent, and the API answers 503, until it is off again."""
    enable_mock_data: bool = False
    """Emergency mode by configuration, under the name of the runbook. No data is made up: nothing is paid,
    webhooks go to the spill, and the API reads from what it knew last."""

    bank_cooling_off_hours: float = Field(default=24.0, ge=0)
    """A bank account is not paid to before it was known for so long, the first one included."""
    bank_account_approval: bool = True
    """A person must approve each new bank account."""

    public_webhook_url: str = ""
    """The address that Stripe is to deliver to, as https://pay.example.com/api/webhooks/stripe, for
    `payouts doctor` alone: it tells this service's endpoints from others of the same Stripe account."""
    receiver_host: str = "127.0.0.1"
    """The address that the receiver listens at; 0.0.0.0: at all of them."""
    receiver_port: int = Field(default=8080, ge=0, le=65535)
    """The port that the receiver listens at."""
    receiver_store_timeout_s: float = Field(default=0.8, gt=0, le=1.0)
    """How long a flush waits for the database, then for Redis. Both together stay under 3 s."""
    receiver_max_waiting: int = Field(default=4096, ge=1)
    """Deliveries that wait to be stored at once; those on top are answered 503, and Stripe sends them
    again."""
    receiver_max_waiting_bytes: int = Field(default=32 * 1024 * 1024, ge=1024 * 1024)
    """The same, by their size in bytes."""
    receiver_max_connections: int = Field(default=4096, ge=1)
    """Connections to the receiver at once; on top of them it answers 503."""
    redis_spill: Literal["auto", "trusted", "off"] = "auto"
    """`auto`: spill only where Redis itself says that it keeps what it takes. `trusted`: the operator
    vouches for it (a hosted Redis that hides its configuration). `off`: never spill."""

    api_host: str = "127.0.0.1"
    """The address that the API listens at; 0.0.0.0: at all of them."""
    api_port: int = Field(default=8081, ge=0, le=65535)
    """The port that the API listens at."""

    console_host: str = "127.0.0.1"
    """The address that the console listens at; 0.0.0.0: at all of them."""
    console_port: int = Field(default=8082, ge=0, le=65535)
    """The port that the console listens at."""
    console_url: str = ""
    """Where people reach the console, as https://console.example.com; empty: by host and port. With https
    its cookies are sent over TLS alone."""
    console_threads: int = Field(default=8, ge=1, le=100)
    """Pages that are made at once; each uses one connection to the database."""
    console_token_sign_in: bool = True
    """People may sign in by a token of theirs. `false`: only by the provider."""
    session_idle_minutes: float = Field(default=60.0, gt=0)
    """A session that is not used for so long is over."""
    session_hours: float = Field(default=12.0, gt=0)
    """A session is over after so long, used or not."""
    sign_in_tries: int = Field(default=10, ge=1)
    """Failed sign-ins that one address may make in five minutes, and twenty times as many all together."""
    oidc_issuer: str = ""
    """The identity provider that operators sign in at, as https://example.eu.auth0.com. Empty: by token only.
    With it the next three must be set."""
    oidc_client_id: str = ""
    """What the provider calls this service's application."""
    oidc_client_secret: SecretStr = SecretStr("")
    """The application's secret."""
    oidc_roles: str = ""
    """Which group gives which role, as admin=payouts-admins,approver=finance,operator=support,viewer=*."""
    oidc_scopes: str = "openid profile email"
    """What the provider is asked for, separated by spaces; openid is among it."""
    oidc_groups_claim: str = Field(default="groups", min_length=1)
    """Where the provider says somebody's groups, as groups or https://example.com/groups."""
    oidc_client_auth: Literal["auto", "basic", "post"] = "auto"
    """How the secret is sent. `auto`: `basic`, but where the provider says that it takes `post` alone."""
    oidc_name: str = Field(default="single sign-on", min_length=1, max_length=40)
    """What the button says after `Sign in with`."""

    trusted_proxies: str = ""
    """Addresses and networks of the proxies in front, separated by commas, as 10.0.0.5,10.1.0.0/16. They are
    believed what they say in X-Forwarded-For. Empty: the other end of a connection is the caller."""
    api_reads_per_minute: int = Field(default=6_000, ge=0, le=1_000_000)
    """What a token may look at through the API. 0 here and below, up to the receiver's: no limit."""
    api_writes_per_minute: int = Field(default=3_000, ge=0, le=1_000_000)
    """What a token may change through the API."""
    api_open_per_minute: int = Field(default=600, ge=0, le=1_000_000)
    """Requests of an address that need no token."""
    api_refused_per_minute: int = Field(default=60, ge=0, le=1_000_000)
    """Requests of an address whose token is missing or lets nobody in."""
    console_per_minute: int = Field(default=6_000, ge=0, le=1_000_000)
    """Pages and forms of the console that an address asks for: an open page does up to once a second."""
    receiver_refused_per_minute: int = Field(default=120, ge=0, le=1_000_000)
    """Deliveries of an address without a good signature. One with a good signature is never limited."""
    stripe_addresses_url: str = "https://stripe.com/files/ips/ips_webhooks.json"
    """Where Stripe publishes the addresses that its webhooks come from. They are never limited or blocked."""
    stripe_addresses_interval_s: float = Field(default=6 * 3600.0, ge=0)
    """How often that list is read, where the service talks to the real Stripe. 0: never."""

    worker_threads: int = Field(default=8, ge=1)
    """Batches of events that one worker works on at once."""
    sender_threads: int = Field(default=8, ge=1, le=30)
    """Threads of one worker for payouts alone: slow answers of Stripe's hold up no events. Stripe takes 30 at
    once, from all."""
    apply_batch_max: int = Field(default=500, ge=1, le=2000)
    """Events that a worker applies in one transaction at the most."""
    event_max_attempts: int = Field(default=15, ge=1)
    """After so many failed attempts an event is dead: it waits for a person."""

    replay_confirm_above: int = Field(default=1_000, ge=0)
    """A replay of more events than this begins when a second person has confirmed it."""
    dead_alert_age_s: float = Field(default=3_600.0, gt=0)
    """After so long without a decision dead events are an alert, once a day."""
    blocked_alert_age_s: float = Field(default=3_600.0, gt=0)
    """As DEAD_ALERT_AGE_S, for events that wait for something outside themselves."""

    notice_folder: str = ""
    """Where notices are written, a file each. Empty: they go to the log alone."""
    notice_max_attempts: int = Field(default=90, ge=1, le=1000)
    """After so many failed attempts a channel is not tried again for a notice: it waits for a person. The
    default spans about three days. E-mail gives up after 26 attempts, within 20 hours."""
    notice_keep_days: int = Field(default=90, ge=31)
    """How long notices that were delivered are kept. Longer than the 30 days for which Stripe keeps events:
    what is gone could be told again if such an event is replayed."""

    channel_timeout_s: float = Field(default=5.0, gt=0, le=12)
    """How long Resend, Slack, PagerDuty and the portal are waited for, from connecting to the end of their
    answer. Calls end before somebody else takes the notice for abandoned."""
    resend_api_key: SecretStr = SecretStr("")
    """For e-mail to partners, by Resend. Empty: none is sent. With it EMAIL_FROM must be set."""
    resend_api_base: str = ""
    """Where Resend is, if not at its own address: for tests."""
    resend_webhook_secret: SecretStr = SecretStr("")
    """Signing secrets of Resend's webhook, whsec_…, comma-separated: the receiver then takes its reports at
    /api/webhooks/resend, and addresses that mail comes back from are not written to. Empty: it takes none."""
    email_from: str = ""
    """Who writes, as Payouts <payouts@example.com>; the domain must be verified at Resend."""
    email_reply_to: str = ""
    """Where answers to e-mails go; empty: to EMAIL_FROM."""
    email_folder: str = ""
    """Where mail goes without RESEND_API_KEY: a folder, a file each, for development. Empty: nowhere."""
    portal_name: str = Field(default="Partners Portal", min_length=1, max_length=80)
    """How e-mails call the one who writes."""
    portal_url: str = ""
    """Where partners sign in, for the button in e-mails; empty: there is none."""
    slack_warning_url: SecretStr = SecretStr("")
    """A Slack incoming webhook for what operators are told; also for what is critical, without the next."""
    slack_critical_url: SecretStr = SecretStr("")
    """Another one, for what is critical: perhaps of another Slack channel."""
    pagerduty_routing_key: SecretStr = SecretStr("")
    """Of an Events API v2 integration: what is critical calls somebody. Empty: nobody is called."""
    pagerduty_api_base: str = "https://events.pagerduty.com"
    """Where PagerDuty takes events; its European region has an address of its own."""
    portal_webhook_url: str = ""
    """Where the portal takes signed events, https (or http on this very machine). Empty: it gets none."""
    portal_webhook_secret: SecretStr = SecretStr("")
    """What they are signed with, whsec_… and base64; comma-separated during a rotation: all of them sign."""
    maintenance_email_payouts: int = Field(default=4, ge=0)
    """Partners with so many payouts in the last 30 days get e-mail about maintenance. 0: nobody does."""

    payload_keys: SecretStr = SecretStr("")
    """Fernet keys, comma-separated: the first one seals payloads, all of them open. Empty: they are kept as
    they came."""
    archive_url: str = ""
    """Where payloads go that are old: a folder, or an address of fsspec's as s3://bucket/prefix. Empty: they
    stay in the database."""
    archive_after_days: int = Field(default=90, ge=31)
    """How old a finished event is when its payload is moved. Longer than the 30 days for which Stripe can be
    asked for them."""
    archive_interval_s: float = Field(default=86_400.0, ge=0)
    """How often old payloads are looked for. 0: only by command."""

    sweep_interval_s: float = Field(default=2.0, gt=0)
    """How often the scheduler looks for what is due and in no queue."""
    sweep_grace_s: float = Field(default=10.0, gt=0)
    """How long a message may be under way before what it asks for is sent to a queue again."""
    sweep_max_queued: int = Field(default=200, ge=1)
    """Messages that the scheduler lets wait in a queue; while there are more it adds none."""

    reconcile_interval_s: float = Field(default=3600.0, ge=0)
    """How often a round of comparing with Stripe begins. 0: only by command."""
    reconcile_reads_most: int = Field(default=2_000, ge=2)
    """Answers that one round may ask of Stripe; where that is not enough, the next round goes on."""

    catch_up_interval_s: float = Field(default=6 * 3600.0, ge=0)
    """How often the events that Stripe lists of an account are walked. 0: only by command."""
    catch_up_reads_per_hour: int = Field(default=1_000, ge=1)
    """Pages of 100 events that Stripe may be asked for in an hour, for all accounts together. Commands are
    counted, and not held back."""
    catch_up_gap_s: float = Field(default=3600.0, ge=0)
    """Without the scheduler, or without an event where they are usual, for so long: all accounts are walked
    at once. 0: never."""
    proof_daily: bool = True
    """Prove for each account that the events of the day before are complete."""

    ledger_check_interval_s: float = Field(default=3600.0, ge=0)
    """How often the books are checked. 0: only by command."""

    alive_file: str = ""
    """A file that every process touches while it works, for `python -m payouts.alive`, the health check of a
    container. Empty: none. The image sets it."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are logged."""
    log_format: Literal["json", "console"] = "json"
    """`json` for programs that read it, `console` for people."""
    log_events: bool = False
    """One log line for every event received and applied, not only one for every batch."""

    metrics_host: str = "127.0.0.1"
    """Where this process serves its metrics. Anybody who reaches it reads them: never a public address."""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """The port of `GET /metrics`, apart from what the process serves to others. 0: no metrics. Processes on
    one machine need a port each."""
    otel_exporter_otlp_endpoint: str = ""
    """Where traces go, by OTLP over HTTP, as http://collector:4318. Empty: nothing is traced."""
    traces_ratio: float = Field(default=1.0, ge=0, le=1)
    """Which share of events is traced; every process traces the same ones."""
    sentry_dsn: SecretStr = SecretStr("")
    """Where errors are reported to. Empty: they go to the log alone."""

    _files: dict[str, Path] = PrivateAttr(default_factory=dict)
    _sources: dict[tuple[str, str], SecretSource] = PrivateAttr(default_factory=dict)

    @field_validator("stripe_livemode", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _secrets_are_whole(self) -> Self:
        for name in _SECRET_LISTS:
            why = why_no_list(name, getattr(self, name).get_secret_value())
            if why:
                raise ValueError(why)
        try:
            for key in self.sealing_keys:
                check_key(key)
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return self

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _is_a_web_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must be an address as http://collector:4318: traces go by OTLP over HTTP")
        return value

    @field_validator("vendor_status_pages")
    @classmethod
    def _pages_read(cls, value: str) -> str:
        read_pages(value)
        return value

    @model_validator(mode="after")
    def _proxies_are_some(self) -> Self:
        try:
            trusted = self.proxies
        except ValueError as error:
            raise ValueError(f"TRUSTED_PROXIES: {error}") from None
        wide = next((each for each in trusted if each.prefixlen == 0), None)
        if wide is not None:
            raise ValueError(f"TRUSTED_PROXIES: {wide} is everybody: name the proxies' own addresses")
        return self

    @model_validator(mode="after")
    def _no_practice_with_live_money(self) -> Self:
        if self.practice_failure and (self.livemode or self._has_live_key):
            raise ValueError(
                "PRACTICE_FAILURE makes events die on purpose and is never for live mode: unset it"
            )
        return self

    @model_validator(mode="after")
    def _channels_are_whole(self) -> Self:
        fault = next(channel_faults(self), None)
        if fault is not None:
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _oidc_is_whole(self) -> Self:
        needed = {
            "OIDC_ISSUER": self.oidc_issuer,
            "OIDC_CLIENT_ID": self.oidc_client_id,
            "OIDC_CLIENT_SECRET": self.oidc_client_secret.get_secret_value(),
            "OIDC_ROLES": self.oidc_roles,
        }
        missing = [name for name, value in needed.items() if not value.strip()]
        if len(missing) == len(needed):
            return self
        if missing:
            raise ValueError(
                f"{' and '.join(missing)} must be set: signing in by OpenID Connect takes all of "
                f"{', '.join(needed)}, or none of them"
            )
        why = why_no_issuer(self.oidc_issuer)
        if why:
            raise ValueError(f"OIDC_ISSUER {why}")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("OIDC_SCOPES must have openid among its words, separated by spaces")
        try:
            parse_role_rules(self.oidc_roles)
        except ValueError as error:
            raise ValueError(f"OIDC_ROLES: {error}") from None
        return self

    @property
    def livemode(self) -> bool:
        """The mode this environment handles: STRIPE_LIVEMODE, else by the API key's prefix, else test."""
        if self.stripe_livemode is not None:
            return self.stripe_livemode
        return self._has_live_key

    @property
    def _has_live_key(self) -> bool:
        return _is_live_key(self.stripe_api_key.get_secret_value())

    @property
    def calls_per_s(self) -> float:
        """How many calls a second all workers together make to Stripe. It allows 100 live, 25 in tests."""
        return self.stripe_calls_per_s or (80.0 if self.livemode else 20.0)

    @property
    def platform_secrets(self) -> list[str]:
        """Signing secrets of the platform's own endpoint, all of those valid during a rotation."""
        return _listed(self.stripe_webhook_secret)

    @property
    def connect_secrets(self) -> list[str]:
        """Signing secrets of the Connect endpoint."""
        return _listed(self.stripe_connect_webhook_secret)

    @property
    def resend_secrets(self) -> list[str]:
        """Signing secrets of Resend's webhook."""
        return _listed(self.resend_webhook_secret)

    @property
    def portal_secrets(self) -> list[str]:
        """What events for the portal are signed with, all at once."""
        return _listed(self.portal_webhook_secret)

    @property
    def role_rules(self) -> RoleRules:
        """Which group gives which role, where an identity provider is set."""
        return parse_role_rules(self.oidc_roles)

    def file_of(self, name: str) -> Path | None:
        """The file that a secret was read from, by the field's name; None where it was set itself."""
        return self._files.get(name)

    def source(self, name: str) -> SecretSource:
        """A secret that may change while the process runs, by the field's name. The same one for all who ask:
        what one of them has read, the cleaning of texts knows."""
        value: str = getattr(self, name).get_secret_value()

        def refuse(new: str) -> str | None:
            why = secret_fault(name.upper(), new)
            if why is None and name in _SECRET_LISTS:
                why = why_no_list(name, new)
            if why is not None:
                return why
            if name == "stripe_api_key" and _is_live_key(new) != _is_live_key(value):
                return "STRIPE_API_KEY is now one of the other mode (test, live): that takes a restart"
            return None

        made = SecretSource(name.upper(), value, self.file_of(name), refuse)
        return self._sources.setdefault((name, value), made)

    @property
    def proxies(self) -> Networks:
        """The proxies in front whose word on the caller's address is believed."""
        return parse_networks(self.trusted_proxies)

    @property
    def rate_limits(self) -> RateLimits:
        """How many requests a minute allows, by route group; 0: any number."""
        return {
            RouteGroup.API_READ: self.api_reads_per_minute,
            RouteGroup.API_WRITE: self.api_writes_per_minute,
            RouteGroup.API_OPEN: self.api_open_per_minute,
            RouteGroup.API_REFUSED: self.api_refused_per_minute,
            RouteGroup.CONSOLE: self.console_per_minute,
            RouteGroup.RECEIVER_REFUSED: self.receiver_refused_per_minute,
        }

    @property
    def sealing_keys(self) -> list[str]:
        """The keys of payloads at rest, the one that seals first."""
        return _listed(self.payload_keys)


def load_settings(environment: Mapping[str, str] | None = None, /, **overrides: object) -> Settings:
    """Settings from `environment`, else the process's; `overrides` win. Raises SettingsError in plain words.

    Secrets are read from their files here, once; `Settings.source` follows them from then on.
    """
    given = os.environ if environment is None else environment
    values = {name: given[name.upper()] for name in Settings.model_fields if name.upper() in given}
    secrets = [name for name in secret_names() if name not in overrides]
    found = find_secrets(given, secrets, str(overrides.get("secrets_dir", given.get("SECRETS_DIR", ""))))
    values |= {name: text for name, (_, text) in found.files.items()}
    unreadable, wrong = found.wrong, list(found.wrong.values())
    try:
        made = Settings(**_whole({**values, **overrides}))  # type: ignore[arg-type]  # pydantic checks them
    except SettingsError as error:
        wrong.append(str(error))
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in problem["loc"])
            if name not in unreadable:  # else it is said already what is wrong with it
                wrong.append(
                    _said(name.upper(), problem["type"], problem["msg"], given.get(name.upper(), ""))
                )
    wrong += _strange(given)
    if wrong:
        raise SettingsError("; ".join(wrong))
    made._files.update({name: path for name, (path, _) in found.files.items()})
    return made


def _whole(values: dict[str, object]) -> dict[str, object]:
    """With the database's password in its address. Raises SettingsError."""
    password = values.get("database_password")
    if not password or "database_url" not in values:
        return values
    return {**values, "database_url": with_password(str(values["database_url"]), str(password))}


def secret_names() -> list[str]:
    """The fields that are secrets: each may come from a file."""
    return [name for name, field in Settings.model_fields.items() if field.annotation is SecretStr]


def _strange(given: Mapping[str, str]) -> list[str]:
    others = {name.strip() for name in given.get("OTHER_VARIABLES", "").split(",")}
    looked_at = {name: value for name, value in given.items() if name not in others}
    names = [name.upper() for name in Settings.model_fields]
    return list(strange(looked_at, names, [name.upper() for name in secret_names()]))


def _said(name: str, kind: str, message: str, given: str) -> str:
    if kind == "missing":
        return f"{name} is not set"
    if LINK.match(given):
        return (
            f"{name} is an address that Kubernetes sets where a service has this name: put "
            f"`enableServiceLinks: false` into the pod, or set {name}"
        )
    return f"{name}: {message.removeprefix('Value error, ')}".removeprefix(": ")


def why_no_list(name: str, raw: str) -> str | None:
    """Why `raw` is no list of secrets for this field; None: it is one, or empty."""
    if raw and any(not part.strip() for part in raw.split(",")):
        return f"{name.upper()} has an empty entry: it is a comma-separated list of {_SECRET_LISTS[name]}"
    return None


def _is_live_key(key: str) -> bool:
    return key.startswith(("sk_live_", "rk_live_"))


def _listed(secret: SecretStr) -> list[str]:
    return listed(secret.get_secret_value())


def listed(secret: str) -> list[str]:
    """The entries of a comma-separated secret."""
    return [part.strip() for part in secret.split(",") if part.strip()]
