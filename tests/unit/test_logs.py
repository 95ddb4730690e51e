"""No secret gets into a log line, whichever way it came."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from payouts.logs import configure_logging, get_logger, redact

SECRETS = {
    "signing secret": "whsec_Never+Shown/1=",
    "live key": "sk_live_NeverShown1",
    "test key": "sk_test_NeverShown1",
    "Resend key": "re_NeverSho_NeverShown1NeverShown1",
    "Slack address": "https://hooks.slack.com/services/T0/B0/NeverShown1",
    "restricted live key": "rk_live_NeverShown1",
    "restricted test key": "rk_test_NeverShown1",
    "password in an address": "mysql+pymysql://me:NeverShown1@db.example:3306/payouts",
    "password without a user": "rediss://:NeverShown1@cache.example:6379/0",
}


def hidden(secret: str) -> str:
    """The part that must not show."""
    return "NeverShown1" if "NeverShown1" in secret else "Never+Shown/1"


@pytest.fixture(params=["json", "console"])
def configured(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Logging as in a process, set up inside the test so that it writes to what is captured."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield lambda: configure_logging("debug", request.param)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def fail_with(secret: str) -> None:
    dsn = secret
    raise RuntimeError(f"cannot reach {dsn}, giving up")


def by_event_name(log: Any, secret: str) -> None:
    log.warning(f"said {secret} aloud")


def by_value(log: Any, secret: str) -> None:
    log.warning("said", error=f"cannot reach {secret}")


def by_bound_value(log: Any, secret: str) -> None:
    log.bind(error=f"cannot reach {secret}").warning("said")


def by_exception(log: Any, secret: str) -> None:
    try:
        fail_with(secret)
    except RuntimeError:
        log.exception("failed")


def by_exc_info(log: Any, secret: str) -> None:
    try:
        fail_with(secret)
    except RuntimeError as error:
        log.error("failed", exc_info=error)  # noqa: TRY400 - this way too


def by_chained_exception(log: Any, secret: str) -> None:
    try:
        try:
            fail_with(secret)
        except RuntimeError as error:
            raise ValueError("worse") from error
    except ValueError:
        log.exception("failed")


def by_exception_as_value(log: Any, secret: str) -> None:
    log.warning("said", error=RuntimeError(f"cannot reach {secret}"))


def by_list(log: Any, secret: str) -> None:
    log.warning("said", tried=[f"first {secret}", "second"])


def by_mapping(log: Any, secret: str) -> None:
    log.warning("said", config={"address": {"url": secret}})


def by_bytes(log: Any, secret: str) -> None:
    log.warning("said", body=secret.encode())


def by_library(_: Any, secret: str) -> None:
    logging.getLogger("some.library").error("cannot reach %s", secret)


def by_exception_in_library(_: Any, secret: str) -> None:
    try:
        fail_with(secret)
    except RuntimeError:
        logging.getLogger("some.library").exception("failed")


WAYS = [
    *(by_event_name, by_value, by_bound_value, by_exception, by_exc_info, by_chained_exception),
    *(by_library, by_exception_in_library),
]
WRAPPED = [by_exception_as_value, by_list, by_mapping, by_bytes]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_secret_does_not_show(
    way: Callable[[Any, str], None],
    secret: str,
    configured: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    configured()
    way(get_logger(), secret)
    said = "".join(capsys.readouterr())
    assert said.strip(), "nothing was logged"
    assert hidden(secret) not in said
    assert "***" in said


@pytest.mark.parametrize("way", WRAPPED, ids=lambda way: way.__name__)
def test_a_secret_inside_of_another_value_does_not_show(
    way: Callable[[Any, str], None], configured: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configured()
    for secret in SECRETS.values():
        way(get_logger(), secret)
    said = "".join(capsys.readouterr())
    assert said.count("***") >= len(SECRETS)
    assert not [secret for secret in SECRETS.values() if hidden(secret) in said]


@pytest.mark.parametrize("configured", ["json"], indirect=True)
def test_a_line_is_json_with_its_event_level_time_and_what_it_is_about(
    configured: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configured()
    get_logger().info("event.received", event_id="evt_1", attempt=2)
    logging.getLogger("some.library").warning("it is %s", "late")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (ours["event"], ours["level"], ours["event_id"], ours["attempt"]) == (
        *("event.received", "info", "evt_1"),
        2,
    )
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("it is late", "warning", "some.library")


@pytest.mark.parametrize("configured", ["json"], indirect=True)
def test_a_traceback_in_a_line_is_still_there_to_read(
    configured: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configured()
    by_exception(get_logger(), SECRETS["signing secret"])
    line = json.loads(capsys.readouterr().out)
    assert "in fail_with" in line["exception"]
    assert "cannot reach whsec_***" in line["exception"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key sk_live_abc123, then", "key sk_live_***, then"),
        ("whsec_a,whsec_b", "whsec_***,whsec_***"),
        ("redis://:pw@host/0", "redis://:***@host/0"),
        ("mysql://me:p%40w@host/x", "mysql://me:***@host/x"),
        ("from a://u:p@h to b://v:q@i", "from a://u:***@h to b://v:***@i"),
        ("http://host:8080/path?a=b@c", "http://host:8080/path?a=b@c"),
        ("evt_1 po_1 acct_1", "evt_1 po_1 acct_1"),
        ("", ""),
    ],
)
def test_only_the_secret_part_of_a_text_is_replaced(text: str, expected: str) -> None:
    assert redact(text) == expected


@given(text=st.text(st.sampled_from("abc:/@ _whsec_sk_live_*"), max_size=60))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)
