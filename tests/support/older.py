"""The version before: the code as it was when the schema lacked its newest migration, from the history."""

import io
import subprocess
import tarfile
from pathlib import Path

from payouts.storage.revisions import SCRIPTS, newest

REPOSITORY = Path(__file__).resolve().parents[2]


def commit_before_newest_migration() -> str | None:
    """The commit; None where the history is not there, or does not go back that far."""
    [file] = (SCRIPTS / "versions").glob(f"{newest()}_*.py")
    added = _git(
        *("log", "--first-parent", "-m", "--diff-filter=A", "--format=%H", "HEAD", "--"),
        str(file.relative_to(REPOSITORY)),
    ).split()
    return _git("rev-parse", "--verify", "--quiet", f"{added[-1]}^1").strip() or None if added else None


def check_out(commit: str, folder: Path) -> Path:
    """The code of `commit`, in `folder`."""
    packed = subprocess.run(
        ["git", "archive", commit], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
