"""Secrets of the channels follow their files while a process runs, and texts are cleaned of old and new."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from standardwebhooks import Webhook

from payouts.cleaning import Secrets
from payouts.notices import Closes, Notice
from payouts.open_channels import open_channels
from payouts.settings import Settings, load_settings
from tests.support.stand_in import Says, standing_in

OLD_SIGNS, NEW_SIGNS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_bmV4dC1zZWNyZXQtb2YtdGhlLXBvcnRhbA=="
OLD = {"portal_webhook_secret": OLD_SIGNS, "pagerduty_routing_key": "key-before"}
NEW = {"portal_webhook_secret": NEW_SIGNS, "pagerduty_routing_key": "key-now"}


def test_channels_follow_files_and_what_was_in_use_is_known(
    tmp_path: Path, shared_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payouts.secret_source.LOOK_EVERY_S", 0)
    with standing_in() as there:
        there.usually = Says(202)
        slack = {"slack_warning_url": f"{there.url}/slack-before"}
        write(tmp_path, {**OLD, **slack})
        settings = settings_of(tmp_path, there.url)
        channels, secrets = open_channels(settings, shared_engine), Secrets(settings)
        notice = Notice(5, "platform", "alert.emergency_on", None, None, json.dumps({"text": "x"}), 0)
        for values in (OLD, NEW):
            write(tmp_path, values)
            for name in ("portal", "pagerduty", "slack"):
                channels[name].deliver(notice)
            write(tmp_path, {"slack_warning_url": f"{there.url}/slack-now"})
        for channel in channels.values():
            if isinstance(channel, Closes):
                channel.close()
    portal, pages, slack_paths = (there.got[at::3] for at in range(3))
    for got, values in zip(portal, (OLD, NEW), strict=True):
        Webhook(values["portal_webhook_secret"]).verify(got.body, got.headers)
    assert [got.json["routing_key"] for got in pages] == ["key-before", "key-now"]
    assert [got.path for got in slack_paths] == ["/slack-before", "/slack-now"]
    assert secrets.out_of("from key-before to key-now") == "from *** to ***"


def test_a_channels_secret_that_is_none_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payouts.secret_source.LOOK_EVERY_S", 0)
    write(tmp_path, {**OLD, "slack_warning_url": "https://hooks.example/a"})
    settings = settings_of(tmp_path, "https://portal.example")
    for name, wrong in (
        ("portal_webhook_secret", "whsec_x"),
        ("slack_warning_url", "http://hooks.example/b"),
    ):
        source = settings.source(name)
        before = source.read()
        write(tmp_path, {name: wrong})
        assert source.read() == before


def write(folder: Path, values: dict[str, str]) -> None:
    for name, value in values.items():
        new = folder / f"{name}.new"
        new.write_text(value)
        new.replace(folder / name)


def settings_of(folder: Path, url: str) -> Settings:
    files = {f"{path.name.upper()}_FILE": str(path) for path in folder.iterdir()}
    given = {"DATABASE_URL": "sqlite://", "REDIS_URL": "redis://127.0.0.1:1/0", "PORTAL_WEBHOOK_URL": url}
    return load_settings({**given, "PAGERDUTY_API_BASE": url, **files})
