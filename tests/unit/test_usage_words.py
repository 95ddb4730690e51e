"""Words that a command cannot use are refused in plain ones."""

from pathlib import Path

import pytest

from tests.support.commands import run_here as run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--port", "abc"), "Invalid value for '--port': it takes a whole number"),
        (("up", "--port", "99999"), "Invalid value for '--port': it takes 65535 at the most"),
        (("event", "list", "--limit", "0"), "Invalid value for '--limit': it takes 1 or more"),
        (("token", "revoke", "nope", "--reason", "x"), "Invalid value for 'ID': it takes a whole number"),
        (("credit", "nord", "-3", "--reference", "a"), "-3 is less than nothing"),
        (("credit", "nord", "--nope", "a"), "No such option: --nope"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_that_leads_to_the_help(words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"payouts: {said}")
    assert done.stderr.endswith("--help)\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["a-file", "a-file/below"])
def test_a_folder_that_nothing_can_be_kept_in_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    done = run("up", "--data", str(tmp_path / name))
    assert done.returncode == 1
    assert f"nothing can be kept in {tmp_path / name}: " in done.stderr
    assert "choose another folder with --data" in done.stderr
