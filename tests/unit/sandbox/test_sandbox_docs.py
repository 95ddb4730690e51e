"""The page on the sandbox names every fault and setting, and the calls and the command that there are."""

import re
import shlex
from pathlib import Path

import pytest

from sandbox.__main__ import flags
from sandbox.faults import Faults
from sandbox.settings import Settings
from tests.support.sandbox import ROOT, Sandbox, sandbox_process

PAGE = (ROOT / "docs" / "sandbox.md").read_text()


@pytest.mark.parametrize("name", [*Faults.__struct_fields__, *Settings.__struct_fields__])
def test_the_page_names(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_command_of_the_page_starts_it(tmp_path: Path) -> None:
    [line] = re.findall(r"^python -m sandbox (--.+)$", PAGE, re.MULTILINE)
    named = flags().parse_args(shlex.split(line))
    (tmp_path / named.faults).write_text("{}")
    (tmp_path / named.settings).write_text('{"paid_after_s": 9}')
    paths = {"--file": named.file, "--faults": named.faults, "--settings": named.settings}
    given = [f"{flag}={tmp_path / path}" for flag, path in paths.items()]

    with sandbox_process(f"--seed={named.seed}", f"--pace={named.pace}", *given) as sandbox:
        assert sandbox.about()["seed"] == named.seed
        assert sandbox.ask("GET", "/settings")["paid_after_s"] == 9


def test_each_call_of_the_page_is_there(sandbox: Sandbox) -> None:
    calls = set(re.findall(r"`(GET|PUT|POST) (/[^ `{]*(?:\{id\})?[^ `{]*)", PAGE))
    assert len(calls) > 12
    for method, path in calls:
        answer = sandbox.status(method, path.partition("?")[0].replace("{id}", "nothing"))
        assert answer not in (405, 500), f"{method} {path}"
        assert answer != 404 or "{id}" in path, f"{method} {path}"
