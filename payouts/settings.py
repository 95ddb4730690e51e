"""Settings: read once from the environment, checked, and handed on by the composition root."""

from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from payouts.errors import SettingsError
from payouts.identity import RoleRules, parse_role_rules
from payouts.safe_url import why_no_issuer
from payouts.sealing import check_key

_SECRET_LISTS = {
    "stripe_webhook_secret": "whsec_…",
    "stripe_connect_webhook_secret": "whsec_…",
    "payload_keys": "keys",
}


class Settings(BaseSettings):
    """Every setting of the service. Each is an environment variable of the same name in capitals.

    Secrets are `SecretStr`: they never show in a `repr`, a log line or an error.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    environment: str = "development"

    database_url: SecretStr = Field(min_length=1)
    database_timeout_s: float = Field(default=10.0, gt=0)
    database_pool_size: int = Field(default=5, ge=1)

    database_replica_url: SecretStr = SecretStr("")
    """A replica of the database, for lists of the console and the API alone. Empty: none."""
    database_replica_lag_s: float = Field(default=5.0, gt=0)
    """Behind by more than this, a replica is not asked. The scheduler must run, for it is measured by it."""

    redis_url: SecretStr = Field(min_length=1)
    redis_timeout_s: float = Field(default=5.0, ge=2)
    """Longer than the second that an idle worker waits inside Redis."""
    queue_namespace: str = "payouts"
    queue_url: SecretStr = SecretStr("")
    """RabbitMQ as the queue in place of Redis, as amqp://user:password@host:5672/vhost. Each deployment has a
    virtual host of its own. Redis is needed all the same, for the spill, limits and sessions."""

    stripe_api_key: SecretStr = SecretStr("")
    stripe_api_base: str = ""
    stripe_webhook_secret: SecretStr = SecretStr("")
    stripe_connect_webhook_secret: SecretStr = SecretStr("")
    stripe_livemode: bool | None = None
    stripe_calls_per_s: float | None = Field(default=None, gt=0)
    """Of all workers together. Not set: a bit under what Stripe allows for the key's mode."""
    stripe_payouts_per_s: float = Field(default=14.0, gt=0)
    """Of these, how many may create a payout."""
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
    receiver_port: int = Field(default=8080, ge=0, le=65535)
    receiver_store_timeout_s: float = Field(default=0.8, gt=0, le=1.0)
    """How long a flush waits for the database, then for Redis. Both together stay under 3 s."""
    receiver_max_waiting: int = Field(default=4096, ge=1)
    receiver_max_waiting_bytes: int = Field(default=32 * 1024 * 1024, ge=1024 * 1024)
    receiver_max_connections: int = Field(default=4096, ge=1)
    redis_spill: Literal["auto", "trusted", "off"] = "auto"
    """`auto`: spill only where Redis itself says that it keeps what it takes. `trusted`: the operator
    vouches for it (a hosted Redis that hides its configuration). `off`: never spill."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8081, ge=0, le=65535)

    console_host: str = "127.0.0.1"
    console_port: int = Field(default=8082, ge=0, le=65535)
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
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_roles: str = ""
    """Which group gives which role, as admin=payouts-admins,approver=finance,operator=support,viewer=*."""
    oidc_scopes: str = "openid profile email"
    oidc_groups_claim: str = Field(default="groups", min_length=1)
    """Where the provider says somebody's groups, as groups or https://example.com/groups."""
    oidc_client_auth: Literal["auto", "basic", "post"] = "auto"
    """How the secret is sent. `auto`: `basic`, but where the provider says that it takes `post` alone."""
    oidc_name: str = Field(default="single sign-on", min_length=1, max_length=40)
    """What the button says after `Sign in with`."""

    worker_threads: int = Field(default=8, ge=1)
    sender_threads: int = Field(default=8, ge=1, le=30)
    """For payouts alone: slow answers of Stripe's hold up no events. Stripe takes 30 at once, from all."""
    apply_batch_max: int = Field(default=500, ge=1, le=2000)
    event_max_attempts: int = Field(default=15, ge=1)

    replay_confirm_above: int = Field(default=1_000, ge=0)
    """A replay of more events than this begins when a second person has confirmed it."""
    dead_alert_age_s: float = Field(default=3_600.0, gt=0)
    """After so long without a decision dead events are an alert, once a day."""
    blocked_alert_age_s: float = Field(default=3_600.0, gt=0)
    """The same for events that wait for something outside themselves."""

    notice_folder: str = ""
    """Where notices are written, a file each. Empty: they go to the log alone."""
    notice_max_attempts: int = Field(default=15, ge=1, le=1000)
    notice_keep_days: int = Field(default=90, ge=31)
    """Of those delivered. Longer than the 30 days for which Stripe keeps events: what is gone could be told
    again if such an event is replayed."""

    payload_keys: SecretStr = SecretStr("")
    """Fernet keys, comma-separated: the first one seals payloads, all of them open. Empty: they are kept as
    they came."""
    archive_url: str = ""
    """Where payloads go that are old: a folder, or an address of fsspec's as s3://bucket/prefix. Empty: they
    stay in the database."""
    archive_after_days: int = Field(default=90, ge=31)
    """Of finished events. Longer than the 30 days for which Stripe can be asked for them."""
    archive_interval_s: float = Field(default=86_400.0, ge=0)
    """How often old payloads are looked for. 0: only by command."""

    sweep_interval_s: float = Field(default=2.0, gt=0)
    sweep_grace_s: float = Field(default=10.0, gt=0)
    sweep_max_queued: int = Field(default=200, ge=1)

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
    log_format: Literal["json", "console"] = "json"
    log_events: bool = False
    """One log line for every event received and applied, not only one for every batch."""

    @field_validator("stripe_livemode", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _secrets_are_whole(self) -> Self:
        for name, what in _SECRET_LISTS.items():
            raw = getattr(self, name).get_secret_value()
            if raw and any(not part.strip() for part in raw.split(",")):
                raise ValueError(f"{name.upper()} has an empty entry: it is a comma-separated list of {what}")
        try:
            for key in self.sealing_keys:
                check_key(key)
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _no_practice_with_live_money(self) -> Self:
        if self.practice_failure and (self.livemode or self._has_live_key):
            raise ValueError(
                "PRACTICE_FAILURE makes events die on purpose and is never for live mode: unset it"
            )
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
        return self.stripe_api_key.get_secret_value().startswith(("sk_live_", "rk_live_"))

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
    def role_rules(self) -> RoleRules:
        """Which group gives which role, where an identity provider is set."""
        return parse_role_rules(self.oidc_roles)

    @property
    def sealing_keys(self) -> list[str]:
        """The keys of payloads at rest, the one that seals first."""
        return _listed(self.payload_keys)


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment; `overrides` win. Raises SettingsError in plain words."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in problem["loc"]).upper()
            what = (
                "is not set" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
            )
            lines.append(
                f"{name} {what}" if problem["type"] == "missing" else f"{name}: {what}".removeprefix(": ")
            )
        raise SettingsError("; ".join(lines)) from None


def _listed(secret: SecretStr) -> list[str]:
    return [part.strip() for part in secret.get_secret_value().split(",") if part.strip()]
