"""Sealed and plain payloads stand beside each other; a key that is missing is named, never shown."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.errors import PayloadError, PayloadUnavailableError, SettingsError
from payouts.sealing import MARK, Sealer, archive_file_of, archived, new_key
from payouts.settings import load_settings

OLD, NEW, OTHER = new_key(), new_key(), new_key()
EVENT = b'{"id":"evt_1","object":"event"}'


@given(st.binary() | st.binary().map(lambda tail: MARK + tail))
def test_whatever_is_sealed_or_left_plain_comes_back_byte_for_byte(payload: bytes) -> None:
    for sealer in (Sealer(), Sealer([NEW])):
        assert sealer.open(sealer.seal(payload)) == payload


def test_without_keys_an_event_is_stored_as_it_came() -> None:
    assert Sealer().seal(EVENT) is EVENT


def test_a_sealed_event_shows_nothing_of_itself() -> None:
    stored = Sealer([NEW]).seal(EVENT)
    assert b"evt_1" not in stored
    assert stored != Sealer([NEW]).seal(EVENT), "the same event sealed twice must not look the same"


def test_a_new_key_in_front_opens_what_the_old_one_sealed_and_what_was_plain() -> None:
    old, both = Sealer([OLD]), Sealer([NEW, OLD])
    assert both.open(old.seal(EVENT)) == EVENT
    assert both.open(EVENT) == EVENT
    assert [both.is_current(stored) for stored in (EVENT, old.seal(EVENT), both.seal(EVENT))] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("keys", "said"),
    [([], "PAYLOAD_KEYS is empty"), ([OLD, OTHER], "none of the 2 keys in PAYLOAD_KEYS")],
    ids=["no key", "other keys"],
)
def test_a_key_that_is_missing_is_asked_for_by_the_settings_name(keys: list[str], said: str) -> None:
    stored = Sealer([NEW]).seal(EVENT)
    with pytest.raises(PayloadUnavailableError, match=said) as caught:
        Sealer(keys).open(stored)
    shown = "".join(traceback.format_exception(caught.value))
    assert all(key not in shown for key in keys)


def test_a_changed_byte_opens_no_more() -> None:
    stored = Sealer([NEW]).seal(EVENT)
    with pytest.raises(PayloadUnavailableError):
        Sealer([NEW]).open(stored[:-6] + bytes([stored[-6] ^ 1]) + stored[-5:])


def test_what_a_later_version_may_store_is_no_payload_to_this_one() -> None:
    with pytest.raises(PayloadError, match="does not know"):
        Sealer([NEW]).open(MARK + b"Z" + EVENT)


def test_a_reference_into_the_archive_names_its_file_and_is_no_payload() -> None:
    assert archive_file_of(archived(2**62)) == 2**62
    assert archive_file_of(EVENT) is None
    with pytest.raises(PayloadUnavailableError, match="archive file 7"):
        Sealer([NEW]).open(archived(7))


@pytest.mark.parametrize(
    "keys",
    ["short", f"{NEW},", f"{NEW},{NEW[:-4]}", f"{NEW} {OLD}"],
    ids=["short", "empty entry", "cut short", "no comma"],
)
def test_a_setting_with_no_key_in_it_is_refused_and_not_shown(keys: str) -> None:
    with pytest.raises(SettingsError, match="PAYLOAD_KEYS has an") as caught:
        load_settings(database_url="sqlite://", redis_url="redis://127.0.0.1:1/0", payload_keys=keys)
    assert NEW[:20] not in "".join(traceback.format_exception(caught.value))


def test_keys_are_shown_by_nothing_that_holds_them() -> None:
    settings = load_settings(
        database_url="sqlite://", redis_url="redis://127.0.0.1:1/0", payload_keys=f"{NEW}, {OLD}"
    )
    assert settings.sealing_keys == [NEW, OLD]
    assert NEW not in f"{settings!r}{Sealer([NEW])!r}"
