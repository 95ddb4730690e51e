"""Settings: wrong ones are named in one plain line, and no secret shows."""

import traceback

import pytest

from payouts.errors import SettingsError
from payouts.settings import Settings, load_settings
from payouts.stores import open_engine, open_redis

HIDDEN = "never_shown_1"
GOOD = {"DATABASE_URL": "sqlite:////tmp/never.db", "REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture(autouse=True)
def _only_what_the_test_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_two_addresses_are_enough() -> None:
    settings = load_settings()
    assert settings.database_url.get_secret_value() == GOOD["DATABASE_URL"]
    assert settings.livemode is False


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_missing_address_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == f"{name} is not set"


def test_several_faults_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("RECEIVER_PORT", "many")
    with pytest.raises(SettingsError, match=r"DATABASE_URL is not set; RECEIVER_PORT: ") as caught:
        load_settings()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("REDIS_URL", ""),
        ("RECEIVER_PORT", "65536"),
        ("RECEIVER_PORT", HIDDEN),
        ("METRICS_PORT", "-1"),
        ("TRACES_RATIO", "1.5"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"grpc://{HIDDEN}:4317"),
        ("DATABASE_TIMEOUT_S", "0"),
        ("RECEIVER_STORE_TIMEOUT_S", "1.5"),
        ("STRIPE_LIVEMODE", HIDDEN),
        ("REDIS_SPILL", HIDDEN),
        ("LOG_LEVEL", HIDDEN),
        ("APPLY_BATCH_MAX", "2001"),
        ("EVENT_MAX_ATTEMPTS", "0"),
        ("STRIPE_WEBHOOK_SECRET", f"whsec_{HIDDEN},"),
        ("STRIPE_WEBHOOK_SECRET", f",whsec_{HIDDEN}"),
        ("STRIPE_WEBHOOK_SECRET", " "),
        ("STRIPE_CONNECT_WEBHOOK_SECRET", f"whsec_{HIDDEN}, ,whsec_b"),
    ],
)
def test_a_wrong_value_is_one_plain_line_with_its_name_and_without_itself(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)
    assert HIDDEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", [f"mysql//me:{HIDDEN}@host/name", f"postgresql://me:{HIDDEN}@host/name"])
def test_an_address_of_no_database_is_named_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as caught:
        open_engine(load_settings(database_url=url))
    assert HIDDEN not in "".join(traceback.format_exception(caught.value))


def test_an_address_of_no_redis_is_named_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL") as caught:
        open_redis(load_settings(redis_url=f"http://me:{HIDDEN}@host"), 1)
    assert HIDDEN not in "".join(traceback.format_exception(caught.value))


def test_engines_and_clients_do_not_show_passwords() -> None:
    settings = load_settings(
        database_url=f"mysql://me:{HIDDEN}@127.0.0.1/name", redis_url=f"redis://:{HIDDEN}@127.0.0.1:1/0"
    )
    engine, client = open_engine(settings), open_redis(settings, 1)
    assert "127.0.0.1" in repr(engine) + repr(client)
    assert HIDDEN not in repr(engine) + str(engine.url) + repr(client) + repr(settings) + str(settings)


def test_lists_of_secrets_are_cut_at_commas_and_trimmed() -> None:
    settings = load_settings(
        stripe_webhook_secret="whsec_a, whsec_b", stripe_connect_webhook_secret="whsec_c"
    )
    assert settings.platform_secrets == ["whsec_a", "whsec_b"]
    assert settings.connect_secrets == ["whsec_c"]
    assert load_settings().platform_secrets == []


@pytest.mark.parametrize(
    ("mode", "key", "expected"),
    [
        ("", "", False),
        ("", "sk_test_1", False),
        ("", "rk_test_1", False),
        ("", "sk_live_1", True),
        ("", "rk_live_1", True),
        ("true", "sk_test_1", True),
        ("false", "sk_live_1", False),
    ],
)
def test_the_mode_is_what_is_set_else_what_the_key_says_else_test(
    mode: str, key: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_LIVEMODE", mode)
    monkeypatch.setenv("STRIPE_API_KEY", key)
    assert load_settings().livemode is expected


@pytest.mark.parametrize(("mode", "key"), [("true", ""), ("", "sk_live_1"), ("false", "rk_live_1")])
def test_events_are_not_made_to_die_on_purpose_where_money_is_live(
    mode: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRACTICE_FAILURE", "true")
    assert load_settings(stripe_api_key="sk_test_1").practice_failure
    monkeypatch.setenv("STRIPE_LIVEMODE", mode)
    monkeypatch.setenv("STRIPE_API_KEY", key)
    with pytest.raises(SettingsError, match=r"^PRACTICE_FAILURE .* never for live mode: unset it$"):
        load_settings()


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().worker_threads = 5


OIDC = {
    "OIDC_ISSUER": "https://id.example.com/",
    "OIDC_CLIENT_ID": "payouts",
    "OIDC_CLIENT_SECRET": HIDDEN,
    "OIDC_ROLES": "admin=owners,viewer=*",
}


def test_a_whole_identity_provider_is_taken_and_its_secret_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OIDC.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.role_rules.role_of(["owners"]) == ("admin", "owners")
    assert HIDDEN not in repr(settings)


@pytest.mark.parametrize("missing", OIDC)
@pytest.mark.parametrize("how", ["", " ", None])
def test_half_an_identity_provider_is_refused_and_what_is_missing_named(
    missing: str, how: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OIDC.items():
        monkeypatch.setenv(name, value)
    if how is None:
        monkeypatch.delenv(missing)
    else:
        monkeypatch.setenv(missing, how)
    with pytest.raises(SettingsError, match=f"^{missing} must be set") as caught:
        load_settings()
    assert HIDDEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OIDC_ISSUER", "http://id.example.com", "OIDC_ISSUER must begin with https://"),
        ("OIDC_ISSUER", "id.example.com", "OIDC_ISSUER does not read as an address"),
        ("OIDC_ISSUER", "https://id.example.com?x=1", "OIDC_ISSUER must be an address without"),
        (
            "OIDC_ROLES",
            "boss=owners",
            "OIDC_ROLES: 'boss' is no role: they are viewer, operator, approver, admin",
        ),
        ("OIDC_ROLES", "admin=*", "OIDC_ROLES: admin=* would make everybody an admin"),
        ("OIDC_SCOPES", "profile email", "OIDC_SCOPES must have openid"),
        ("OIDC_CLIENT_AUTH", "none", "OIDC_CLIENT_AUTH: "),
        ("OIDC_GROUPS_CLAIM", "", "OIDC_GROUPS_CLAIM: "),
        ("OIDC_NAME", "", "OIDC_NAME: "),
    ],
)
def test_a_wrong_setting_of_the_identity_provider_stops_the_start(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, good in OIDC.items():
        monkeypatch.setenv(each, good)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


SIGNS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("set_to", "named"),
    [
        ({"RESEND_API_KEY": "re_x"}, "EMAIL_FROM"),
        ({"EMAIL_FROM": "nobody"}, "EMAIL_FROM"),
        ({"EMAIL_FROM": "A <a@b.example>\nBcc: c@d.example"}, "EMAIL_FROM"),
        ({"EMAIL_REPLY_TO": "<>"}, "EMAIL_REPLY_TO"),
        ({"SLACK_WARNING_URL": f"http://hooks.example/{HIDDEN}"}, "SLACK_WARNING_URL"),
        ({"SLACK_CRITICAL_URL": f"https://hooks.example/{HIDDEN}"}, "SLACK_WARNING_URL must be set"),
        ({"PORTAL_WEBHOOK_URL": "https://portal.example"}, "PORTAL_WEBHOOK_SECRET"),
        ({"PORTAL_WEBHOOK_SECRET": SIGNS}, "PORTAL_WEBHOOK_URL"),
        ({"PORTAL_WEBHOOK_URL": "http://10.0.0.1/x", "PORTAL_WEBHOOK_SECRET": SIGNS}, "PORTAL_WEBHOOK_URL"),
        (
            {"PORTAL_WEBHOOK_URL": "https://p.example", "PORTAL_WEBHOOK_SECRET": HIDDEN},
            "PORTAL_WEBHOOK_SECRET",
        ),
        ({"PORTAL_WEBHOOK_URL": "https://p.example", "PORTAL_WEBHOOK_SECRET": "whsec_AAAA"}, "16 bytes"),
        ({"RESEND_WEBHOOK_SECRET": f"{SIGNS},,{SIGNS}"}, "RESEND_WEBHOOK_SECRET has an empty entry"),
        ({"RESEND_WEBHOOK_SECRET": f"whsec_{HIDDEN}é"}, "RESEND_WEBHOOK_SECRET"),
        ({"PAGERDUTY_API_BASE": "ftp://events.example"}, "PAGERDUTY_API_BASE"),
    ],
)
def test_a_channel_that_cannot_work_is_named_at_the_start(
    set_to: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert named in str(caught.value)
    assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize("sender", ["Payouts <p@example.com>", "p@example.com", "Käthe's Payouts <p@b.c>"])
def test_channels_that_are_whole_are_taken(sender: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESEND_API_KEY", "re_x")
    monkeypatch.setenv("EMAIL_FROM", sender)
    monkeypatch.setenv("PORTAL_WEBHOOK_URL", "http://127.0.0.1:9/hooks")
    monkeypatch.setenv("PORTAL_WEBHOOK_SECRET", f"{SIGNS}, {SIGNS}")
    settings = load_settings()
    assert settings.portal_secrets == [SIGNS, SIGNS]
    assert "MfKQ9r8" not in repr(settings)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10.0.0.5, proxy.internal", "'proxy.internal' is no address or network"),
        ("10.0.0.5/8", "did you mean 10.0.0.0/8?"),
        ("0.0.0.0/0", "0.0.0.0/0 is everybody"),
        ("10.0.0.5,::/0", "::/0 is everybody"),
    ],
)
def test_proxies_that_cannot_be_trusted_stop_the_start(
    value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    with pytest.raises(SettingsError, match=r"^TRUSTED_PROXIES: ") as caught:
        load_settings()
    assert said in str(caught.value)


def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.5, 10.1.0.0/16,")
    proxies = load_settings().proxies
    assert [proxies.cover(each) for each in ("10.0.0.5", "10.1.2.3", "10.0.0.6")] == [True, True, False]
