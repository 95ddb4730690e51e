"""The README as a newcomer follows it, from the first command on."""

import re
import sys
from pathlib import Path

from tests.support.demo import up_with_demo
from tests.support.handbook import Reader, blocks_of, surroundings
from tests.support.sandbox import ROOT

README = ROOT / "README.md"


def test_its_commands_work_beside_a_running_demonstration(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("tests", ".venv"):
        (clone / name).symlink_to((ROOT / "tests") if name == "tests" else Path(sys.prefix))
    env = surroundings(Path(sys.executable).parent, HOME=str(tmp_path))
    with up_with_demo(clone / "data"):
        Reader(README, env, clone, {}).follow(blocks_of(README))


def test_what_is_not_typed_here_is_run_elsewhere() -> None:
    elsewhere = {block.not_run for block in blocks_of(README)} - {None}
    assert elsewhere
    assert [name for name in elsewhere if name and not (ROOT / name).exists()] == []


def test_every_target_of_make_that_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        "".join(found)
        for found in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", README.read_text(), re.MULTILINE)
    }
    assert named <= targets
