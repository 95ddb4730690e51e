"""Secrets from files, and names that are no settings."""

from pathlib import Path

import pytest

from payouts.errors import SettingsError
from payouts.settings import Settings, load_settings, secret_names
from payouts.strange_settings import OURS, strange

GOOD = {"DATABASE_URL": "sqlite:////tmp/never.db", "REDIS_URL": "redis://127.0.0.1:1/0"}
NAMES = [name.upper() for name in Settings.model_fields]
SECRETS = [name.upper() for name in secret_names()]


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environment)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def secret_file(folder: Path, text: str) -> str:
    file = folder / "secret"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("name", secret_names())
def test_every_secret_may_come_from_a_file(name: str, tmp_path: Path) -> None:
    # Some of these are checked for their form, and some take others with them.
    form = {"database_url": "sqlite:////a.db", "redis_url": "redis://a", "payload_keys": "A" * 43 + "="}
    form |= dict.fromkeys(("slack_warning_url", "slack_critical_url"), "https://hooks.example.com/hidden")
    form |= dict.fromkeys(("resend_webhook_secret", "portal_webhook_secret"), "whsec_" + "A" * 32)
    oidc = {"OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "x", "OIDC_ROLES": "viewer=*"}
    more = {
        "oidc_client_secret": oidc,
        "database_password": {"DATABASE_URL": "mysql://payouts@mysql/payouts"},
        "resend_api_key": {"EMAIL_FROM": "p@example.com"},
        "slack_critical_url": {"SLACK_WARNING_URL": "https://hooks.example.com/"},
        "portal_webhook_secret": {"PORTAL_WEBHOOK_URL": "https://portal.example.com/hooks"},
    }
    text = form.get(name, "hidden")
    given = {**GOOD, **more.get(name, {})}
    given.pop(name.upper(), None)
    settings = load_settings({**given, f"{name.upper()}_FILE": secret_file(tmp_path, f"{text}\r\n")})
    assert getattr(settings, name).get_secret_value() == text
    assert settings.file_of(name) == tmp_path / "secret"
    assert settings.file_of("environment") is None


def test_a_folder_holds_secrets_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "stripe_webhook_secret").write_text("whsec_a,whsec_b\n")
    (tmp_path / ".gitignore").write_text("*")
    (tmp_path / "mysql").mkdir()
    (tmp_path / "mysql" / "database_password").write_text("p@ss/word")
    folders = f"{tmp_path}, {tmp_path}/mysql, {tmp_path}/not-there"
    given = {**GOOD, "DATABASE_URL": "mysql://payouts@mysql/payouts?ssl=1", "SECRETS_DIR": folders}
    settings = load_settings(given)
    assert settings.platform_secrets == ["whsec_a", "whsec_b"]
    assert settings.file_of("stripe_webhook_secret") == tmp_path / "stripe_webhook_secret"
    assert settings.database_url.get_secret_value() == "mysql://payouts:p%40ss%2Fword@mysql/payouts?ssl=1", (
        "as the engine reads it"
    )

    named = secret_file(tmp_path / "mysql", "whsec_named")
    assert refusal({**given, "STRIPE_WEBHOOK_SECRET_FILE": named}).startswith("SECRETS_DIR: ")
    Path(named).rename(tmp_path / ".named")
    given["STRIPE_WEBHOOK_SECRET_FILE"] = str(tmp_path / ".named")
    assert load_settings(given).platform_secrets == ["whsec_named"], "one that is named comes first"


def test_what_is_wrong_in_a_folder_is_named(tmp_path: Path) -> None:
    given = {**GOOD, "SECRETS_DIR": str(tmp_path)}
    kept = tmp_path / "stripe_api_key"
    kept.write_text("sk_test_hidden")
    both = refusal({**given, "STRIPE_API_KEY": "sk_test_other"})
    assert both == f"STRIPE_API_KEY and {kept} are both set: leave one of them out"
    kept.write_text("")
    assert refusal(given) == f"SECRETS_DIR: {kept} is empty"
    kept.rename(tmp_path / "stripe_apikey")
    assert refusal(given).startswith(f"SECRETS_DIR: {tmp_path}/stripe_apikey is called as no secret")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://payouts:other@mysql/payouts", "DATABASE_URL has a password, and DATABASE_PASSWORD another"),
        ("mysql://mysql/payouts", "DATABASE_PASSWORD is set, and DATABASE_URL names no user"),
        ("sqlite:////a.db", "DATABASE_PASSWORD is set, and DATABASE_URL names no user"),
    ],
)
def test_a_password_fits_its_address(url: str, said: str) -> None:
    answer = refusal({**GOOD, "DATABASE_URL": url, "DATABASE_PASSWORD": "hidden"})
    assert answer.startswith(said)
    assert "hidden" not in answer
    same = {**GOOD, "DATABASE_URL": "mysql://payouts:hid%2Fden@mysql/payouts"}
    load_settings({**same, "DATABASE_PASSWORD": "hid/den"})


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    file = secret_file(tmp_path, "whsec_a")
    given = {**GOOD, "STRIPE_WEBHOOK_SECRET": "whsec_b", "STRIPE_WEBHOOK_SECRET_FILE": file}
    said = refusal(given)
    assert said == "STRIPE_WEBHOOK_SECRET and STRIPE_WEBHOOK_SECRET_FILE are both set: leave one of them out"
    # As compose hands on what is not set.
    assert load_settings({**given, "STRIPE_WEBHOOK_SECRET": ""}).platform_secrets == ["whsec_a"]
    assert load_settings({**given, "STRIPE_WEBHOOK_SECRET_FILE": ""}).platform_secrets == ["whsec_b"]


def test_a_file_that_cannot_be_used_is_named_once_and_its_text_not_shown(tmp_path: Path) -> None:
    away = tmp_path / "away"
    only = {"REDIS_URL": GOOD["REDIS_URL"]}
    said = refusal({**only, "DATABASE_URL_FILE": str(away)})
    assert said == f"DATABASE_URL_FILE: {away} cannot be read: No such file or directory"
    empty = secret_file(tmp_path, "\n")
    assert refusal({**only, "DATABASE_URL_FILE": empty}) == f"DATABASE_URL_FILE: {empty} is empty"
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe never shown")
    assert refusal({**only, "DATABASE_URL_FILE": str(binary)}).endswith("does not read as text")
    half = secret_file(tmp_path, "whsec_never,")
    said = refusal({**GOOD, "STRIPE_WEBHOOK_SECRET_FILE": half})
    assert said.startswith("STRIPE_WEBHOOK_SECRET has an empty entry")
    assert "never" not in said


def test_a_misspelt_setting_stops_the_start_and_says_what_was_meant() -> None:
    said = refusal({**GOOD, "STRIPE_WEBHOK_SECRET": "never shown"})
    assert said == "STRIPE_WEBHOK_SECRET is not a setting: did you mean STRIPE_WEBHOOK_SECRET?"
    said = refusal({**GOOD, "RECEIVER_PORT": "many", "OIDC_ISSUER_URL": "https://x"})
    assert "RECEIVER_PORT: " in said
    assert "OIDC_ISSUER_URL is not a setting" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("STRIPE_API_KEYS", "did you mean STRIPE_API_KEY?"),
        ("STRIPE_WEBHOK_SECRET_FILE", "did you mean STRIPE_WEBHOOK_SECRET_FILE?"),
        ("DATABASE_POOLSIZE", "did you mean DATABASE_POOL_SIZE?"),
        ("RECEIVR_PORT", "did you mean RECEIVER_PORT?"),
        ("MAINTENANCE_MOD", "did you mean MAINTENANCE_MODE?"),
        ("RECEIVER_THREADS", "name it in OTHER_VARIABLES"),
        ("CONSOLE_URL_FILE", "only secrets are read from files; set CONSOLE_URL itself"),
    ],
)
def test_what_looks_like_a_setting_and_is_none_is_named(name: str, said: str) -> None:
    (line,) = strange({name: "x"}, NAMES, SECRETS)
    assert line.startswith(f"{name} is not a setting")
    assert said in line


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "HOSTNAME", "LANG", "SHELL", "SESSION_MANAGER", "PORT", "APP_PORT", "APP_HOST"),
        *("MYSQL_PASSWORD", "MYSQL_DATABASE", "MYSQL_URL", "DATABASE_HOST", "DATABASE_USERNAME"),
        *("DATABASE_PASSWORD", "DATABASE_PRIVATE_URL", "REDIS_HOST", "REDIS_PASSWORD", "REDIS_TLS_URL"),
        *("UPSTASH_REDIS_REST_URL", "STRIPE_CLI_TELEMETRY_OPTOUT", "STRIPE_DEVICE_NAME"),
        *("STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "NEXT_PUBLIC_STRIPE_KEY", "STRIPE_PRICE_ID"),
        *("REDIS_SERVICE_HOST", "REDIS_SERVICE_PORT", "RECEIVER_SERVICE_PORT_HTTP", "API_SERVICE_HOST"),
        *("RECEIVER_PORT_8080_TCP", "RECEIVER_PORT_8080_TCP_ADDR", "CONSOLE_PORT_8082_TCP_PROTO"),
        *("PAYOUTS_TOKEN", "CRASH_AT", "OTEL_SERVICE_NAME", "LOG_DIR", "API_TOKEN", "ENV", "NODE_ENV"),
        *("WORKER_CONNECTIONS", "KUBERNETES_PORT", "GITHUB_API_URL", "VERCEL_URL", "ENVIRONMENT_ID"),
    ],
)
def test_names_of_others_are_left_alone(name: str) -> None:
    assert list(strange({name: "x"}, NAMES, SECRETS)) == []


def test_a_name_like_a_setting_that_is_set_is_somebody_elses() -> None:
    assert list(strange({"REDIS_URI": "x"}, NAMES, SECRETS)) != []
    assert list(strange({"REDIS_URI": "x", "REDIS_URL": "x"}, NAMES, SECRETS)) == []
    assert list(strange({"REDIS_URI": "x", "REDIS_URL_FILE": "x"}, NAMES, SECRETS)) == []


def test_what_another_program_needs_can_be_named() -> None:
    environment = {**GOOD, "CONSOLE_THEME": "dark", "OTHER_VARIABLES": "CONSOLE_THEME, CONSOLE_FONT"}
    assert load_settings(environment).other_variables
    assert "CONSOLE_THEME" in refusal({**environment, "OTHER_VARIABLES": "CONSOLE_FONT"})


def test_a_port_that_kubernetes_made_of_a_service_is_explained() -> None:
    said = refusal({**GOOD, "RECEIVER_PORT": "tcp://10.0.0.7:8080"})
    assert "enableServiceLinks: false" in said
    links = {"WORKERS_PORT": "tcp://10.0.0.7:80", "CONSOLE_WEB_PORT": "tcp://10.0.0.7:80"}
    assert load_settings({**GOOD, **links}).receiver_port == 8080


def test_each_name_that_counts_as_ours_still_begins_a_setting() -> None:
    assert [prefix for prefix in OURS if not any(name.startswith(prefix) for name in NAMES)] == []
