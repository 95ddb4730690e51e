"""Which token a command acts by."""

import stat
from pathlib import Path

import pytest

from console.acting import find_token, token_of
from console.data_dir import DataDir
from payouts.errors import RefusedError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of `payouts up` with two people, and an environment that names nobody."""
    monkeypatch.delenv("PAYOUTS_TOKEN", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    made = DataDir(tmp_path / "made")
    made.path.mkdir()
    made.make()
    made.keep_people({"operator-1": "first", "operator-2": "second"})
    return made.path


def test_a_folder_acts_as_its_first_person_unless_told_otherwise(folder: Path) -> None:
    assert token_of(folder) == "first"
    assert token_of(folder, "operator-2") == "second"


def test_the_environment_says_who_unless_a_person_of_the_folder_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYOUTS_TOKEN", "mine")
    assert token_of(folder) == "mine"
    assert token_of(folder, "operator-2") == "second"


def test_a_name_that_the_folder_does_not_know_is_refused_with_those_it_has(folder: Path) -> None:
    with pytest.raises(RefusedError, match="it has operator-1 and operator-2"):
        token_of(folder, "anna")


def test_without_a_folder_and_a_token_it_says_how_to_make_the_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///x.db")
    assert find_token(None) is None
    with pytest.raises(RefusedError, match="payouts people add NAME --role admin"):
        token_of(None)
    with pytest.raises(RefusedError, match="elsewhere, set PAYOUTS_TOKEN"):
        token_of(None, "operator-1")


def test_the_tokens_of_a_folder_are_readable_by_its_owner_only(folder: Path) -> None:
    assert stat.S_IMODE((folder / "settings.json").stat().st_mode) == 0o600
    assert DataDir(folder).people() == {"operator-1": "first", "operator-2": "second"}
    assert DataDir(folder).environment()["STRIPE_WEBHOOK_SECRET"].startswith("whsec_")
