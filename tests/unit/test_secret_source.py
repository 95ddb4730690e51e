"""A secret in a file is followed, and a file that is wrong for a moment changes nothing."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from payouts.errors import SettingsError
from payouts.secret_source import LOOK_EVERY_S, MAX_BYTES, Derived, SecretSource, read_secret
from payouts.settings import load_settings

GOOD = {"DATABASE_URL": "sqlite:////tmp/never.db", "REDIS_URL": "redis://127.0.0.1:1/0"}


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def next_look(self) -> None:
        self.now_s += LOOK_EVERY_S


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("one\n")
    return file


def write(file: Path, text: str) -> None:
    """As it ought to be done: whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text(text)
    part.replace(file)


def test_a_changed_file_is_read_again_after_a_while_and_not_before(file: Path, clock: Clock) -> None:
    source = SecretSource("KEY", "one", file, monotonic=clock)
    assert source.read() == "one"
    write(file, "two\n")
    assert source.read() == "one"  # it was looked at a moment ago
    clock.next_look()
    with capture_logs() as lines:
        assert source.read() == "two"
    assert [line["event"] for line in lines] == ["secret.changed"]
    assert "two" not in str(lines) + repr(source)


def test_what_changed_between_start_and_first_use_is_seen(file: Path, clock: Clock) -> None:
    source = SecretSource("KEY", "one", file, monotonic=clock)
    write(file, "two\n")
    assert source.read() == "two"


def test_a_secret_swapped_by_a_link_is_seen(tmp_path: Path, clock: Clock) -> None:
    for version in ("a", "b"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "key").write_text(version)
    (tmp_path / "data").symlink_to("a")
    source = SecretSource("KEY", "a", tmp_path / "data" / "key", monotonic=clock)
    assert source.read() == "a"
    (tmp_path / "next").symlink_to("b")
    (tmp_path / "next").replace(tmp_path / "data")
    clock.next_look()
    assert source.read() == "b"


def test_a_file_that_is_wrong_for_a_while_is_told_of_once_and_the_secret_stays(
    file: Path, clock: Clock
) -> None:
    def refuse(value: str) -> str | None:
        return "it is no key" if value == "bad" else None

    source = SecretSource("KEY", "one", file, refuse, clock)
    source.read()
    for wrong in ("", "bad", b"\xff", None):
        if wrong is None:
            file.unlink()
        elif isinstance(wrong, bytes):
            file.write_bytes(wrong)
        else:
            write(file, wrong)
        with capture_logs() as lines:
            for _ in range(3):
                clock.next_look()
                assert source.read() == "one"
        assert [line["event"] for line in lines] == ["secret.not_read"], wrong
    write(file, "two")
    clock.next_look()
    assert source.read() == "two"


def test_without_a_file_a_secret_stays(clock: Clock) -> None:
    source = SecretSource("KEY", "one", monotonic=clock)
    clock.next_look()
    assert source.read() == "one"


def test_a_file_too_large_to_be_a_secret_is_not_read(file: Path) -> None:
    file.write_text("x" * (MAX_BYTES + 1))
    with pytest.raises(SettingsError, match="is no secret"):
        read_secret(file)


def test_what_is_made_of_a_secret_is_made_again_only_when_it_changes(file: Path, clock: Clock) -> None:
    made: list[str] = []
    source = SecretSource("KEY", "one", file, monotonic=clock)
    derived = Derived((source,), lambda value: made.append(value) or value.upper())  # type: ignore[func-returns-value]
    assert [derived.get() for _ in range(3)] == ["ONE"] * 3
    write(file, "two")
    clock.next_look()
    assert [derived.get() for _ in range(3)] == ["TWO"] * 3
    assert made == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "first", "wrong", "right"),
    [
        ("stripe_webhook_secret", "whsec_a", "whsec_a,", "whsec_b,whsec_a"),
        ("stripe_api_key", "rk_test_a", "rk_live_b", "sk_test_b"),
    ],
)
def test_a_new_value_is_checked_as_at_the_start(
    name: str, first: str, wrong: str, right: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, first)
    source = load_settings({**GOOD, f"{name.upper()}_FILE": str(file)}).source(name)
    assert source.read() == first
    monkeypatch.setattr("payouts.secret_source.LOOK_EVERY_S", 0)
    source._look_at_s = 0  # as if its time had come
    write(file, wrong)
    assert source.read() == first
    write(file, right)
    assert source.read() == right
