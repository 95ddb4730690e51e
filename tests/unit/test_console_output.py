"""What commands print of errors comes from outside: it is shown as it is."""

import pytest

from console.output import say


def test_brackets_in_an_error_are_no_markup_and_a_long_line_stays_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "KeyError: [/red] [bold]evt_1[/bold] " + "x" * 300
    say(text)
    assert capsys.readouterr().out == text + "\n"
