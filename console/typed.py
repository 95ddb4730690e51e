"""Commands as a person types them, to be shown and copied."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from console.data_dir import DEFAULT, DataDir


def typed(words: Sequence[str], folder: DataDir) -> str:
    """A `payouts` command on `folder`, as it can be pasted into a terminal in the present folder."""
    where = [] if folder.path == DEFAULT else ["--data", str(folder.path)]
    return f"{_program()} {shlex.join([*words, *where])}"


def _program() -> str:
    if shutil.which("payouts"):
        return "payouts"
    beside = Path(sys.executable).with_name("payouts")
    return (
        os.path.relpath(beside) if beside.exists() else f"{os.path.relpath(sys.executable)} -m console.main"
    )
