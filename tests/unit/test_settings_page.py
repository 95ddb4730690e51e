"""The page of settings is that of the code, and says what each is."""

from pathlib import Path

import pytest

from payouts.settings_facts import setting_facts
from payouts.settings_page import settings_page
from tests.support.commands import run_here

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
HIDDEN = "NeverShown1"


def test_the_page_in_docs_is_current() -> None:
    assert PAGE.read_text() == settings_page(), "run `payouts settings --markdown > docs/settings.md`"


def test_every_setting_says_what_it_means() -> None:
    assert [each.name for each in setting_facts() if len(each.meaning.split()) < 3] == []


def test_kinds_defaults_and_bounds_are_told() -> None:
    facts = {each.name: each for each in setting_facts()}
    port, mode, url = facts["RECEIVER_PORT"], facts["REDIS_SPILL"], facts["DATABASE_URL"]
    assert (port.kind, port.default) == ("whole number, ≥ 0, ≤ 65,535", "8080")
    assert mode.kind == "`auto` or `trusted` or `off`"
    assert (url.required, url.secret, url.default) == (True, True, "")
    assert facts["STRIPE_LIVEMODE"].kind == "`true` or `false`"
    assert facts["BANK_ACCOUNT_APPROVAL"].default == "true"


def test_the_command_shows_values_and_where_they_come_from_and_no_secret(tmp_path: Path) -> None:
    kept = tmp_path / "key"
    kept.write_text(f"sk_test_{HIDDEN}\n")
    environment = {
        "DATABASE_URL": f"mysql://me:{HIDDEN}/@db.example:3306/payouts?ssl_ca={HIDDEN}",
        "REDIS_URL": f"redis://cache.example?password=1@{HIDDEN}",
        "STRIPE_WEBHOOK_SECRET": f"whsec_{HIDDEN}, whsec_b",
        "STRIPE_API_KEY_FILE": str(kept),
        "ARCHIVE_URL": f"s3://key:{HIDDEN}@bucket",
    }
    done = run_here("settings", "--json", **environment)
    assert done.returncode == 0, done.stderr
    assert HIDDEN not in done.stdout
    said = {line.split('"')[3]: line for line in done.stdout.splitlines()}
    assert '"mysql://db.example:3306/payouts","from":"environment"' in said["DATABASE_URL"]
    assert '"redis://…"' in said["REDIS_URL"]
    # sha256 of whsec_b begins so
    assert said["STRIPE_WEBHOOK_SECRET"].endswith('2452bb85","from":"environment"}')
    assert f'"from":"file {kept}"' in said["STRIPE_API_KEY"]
    assert '"not set","from":"default"' in said["OIDC_CLIENT_SECRET"]
    assert '"value":"8080","from":"default"' in said["RECEIVER_PORT"]


@pytest.mark.parametrize("words", [("settings",), ("payout", "list")])
def test_a_command_says_what_is_misspelt_in_one_line(words: tuple[str, ...]) -> None:
    done = run_here(*words, DATABASE_URL="sqlite://", RECEIVR_PORT="1")
    assert done.returncode == 1
    assert done.stderr == "payouts: RECEIVR_PORT is not a setting: did you mean RECEIVER_PORT?\n"
