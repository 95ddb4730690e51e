"""A page of docs as a program: its commands are run as a reader would type them, one block after the other.

In the page, a block of `sh` is run by bash and must succeed. A block of `text` right below it shows what it
prints: each of its lines must be in there, in that order, where `…` stands for anything within a line. What a
reader doesn't see is in comments:

    <!-- scene: the database dies -->       the test makes it so before the next block
    <!-- rings: DatabaseDown -->            this alert fires by then, and its link leads to this heading
    <!-- fails with: 1 -->                  the next block ends with this code
    <!-- waits: 20 s -->                    the next block is run again until it prints what is shown
    <!-- not run: a cluster is needed -->   the next block is left alone, for this reason, unless the reader
                                            says that it does not hold for them
"""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_COMMENT = re.compile(r"<!-- (scene|rings|fails with|waits|not run): (.+?) -->")
_ANYTHING = "…"
AGAIN_AFTER_S = 0.5
BLOCK_WITHIN_S = 120


@dataclass(slots=True)
class Block:
    """Commands of a page. `line`: where they stand."""

    line: int
    heading: str
    script: str
    shows: list[str] = field(default_factory=list)
    code: int = 0
    wait_s: float = 0.0
    not_run: str | None = None
    scenes: list[str] = field(default_factory=list)
    rings: list[str] = field(default_factory=list)
    """Alerts that lead here."""


def blocks_of(page: Path) -> list[Block]:
    """The blocks of commands in a page, in order, each with what is said about it."""
    blocks: list[Block] = []
    notes: list[tuple[str, str]] = []
    heading, last_is_script = "", False
    for kind, line, text in _parts(page.read_text()):
        if kind == "heading":
            heading, last_is_script = text, False
        elif kind == "note":
            name, _, value = text.partition(": ")
            notes.append((name, value))
        elif kind == "sh":
            block = Block(line, heading, text)
            for name, value in notes:
                _note(block, name, value)
            notes.clear()
            blocks.append(block)
            last_is_script = True
        elif kind == "text" and last_is_script:
            blocks[-1].shows = [shown for shown in text.splitlines() if shown.strip()]
            last_is_script = False
    assert not notes, f"{page.name}: nothing follows {notes}"
    return blocks


def _note(block: Block, name: str, value: str) -> None:
    if name == "scene":
        block.scenes.append(value)
    elif name == "rings":
        block.rings.append(value)
    elif name == "fails with":
        block.code = int(value)
    elif name == "waits":
        block.wait_s = float(value.removesuffix(" s"))
    else:
        block.not_run = value


def _parts(text: str) -> Iterator[tuple[str, int, str]]:
    fence: tuple[str, int, list[str]] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if fence is not None:
            if line.strip() == "```":
                yield fence[0], fence[1], "\n".join(fence[2])
                fence = None
            else:
                fence[2].append(line.removeprefix("   ") if line.startswith("   ") else line)
        elif line.strip().startswith("```"):
            fence = (line.strip().removeprefix("```"), number + 1, [])
        elif line.startswith("#"):
            yield "heading", number, line.lstrip("# ")
        for found in _COMMENT.finditer(line):
            yield "note", number, f"{found[1]}: {found[2]}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for kind, _, text in _parts(page.read_text()):
        if kind == "heading":
            found.add(anchor(text))
    return found


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def missing_links(page: Path) -> list[str]:
    """Links of a page to files or headings that are not there. Those to other hosts are not followed."""
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        other = (page.parent / file).resolve() if file else page
        if not other.exists() or (anchor and other.suffix == ".md" and anchor not in anchors(other)):
            missing.append(target)
    return missing


@dataclass(slots=True)
class Reader:
    """Somebody who follows a page on a running service."""

    page: Path
    env: Mapping[str, str]
    folder: Path
    scenes: Mapping[str, Callable[[], object]]
    variables: dict[str, str] = field(default_factory=dict)
    """What blocks exported, for those that follow."""
    runs: frozenset[str] = frozenset()
    """Reasons to leave a block alone that do not hold here."""
    hears: Callable[[str, str], object] | None = None
    """Waits until an alert fires whose link leads to an anchor. None: nobody listens."""

    def follow(self, blocks: list[Block]) -> None:
        for block in blocks:
            for scene in block.scenes:
                assert scene in self.scenes, f"{self._at(block)}: no scene is called {scene!r}"
                self.scenes[scene]()
            for alert in block.rings:
                if self.hears is not None:
                    self.hears(alert, anchor(block.heading))
            if block.not_run is None or block.not_run in self.runs:
                self._run(block)

    def _run(self, block: Block) -> None:
        deadline = time.monotonic() + block.wait_s
        while True:
            code, said = self._bash(block.script)
            wrong = _wrong(block, code, said)
            if wrong is None:
                return
            if time.monotonic() >= deadline:
                raise AssertionError(f"{self._at(block)}: {wrong}\n$ {block.script}\n{said}")
            time.sleep(AGAIN_AFTER_S)

    def _bash(self, script: str) -> tuple[int, str]:
        kept = self.folder / "variables"
        whole = f"set -eu -o pipefail\n{script}\nexport -p > {kept}.now"
        done = subprocess.run(
            ["bash", "-c", whole],
            env={**self.env, **self.variables},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BLOCK_WITHIN_S,
            check=False,
        )
        now = Path(f"{kept}.now")
        if now.exists():
            for found in re.finditer(r'^declare -x ([A-Z_]+)="(.*)"$', now.read_text(), re.MULTILINE):
                if found[1] not in self.env and found[1] not in ("OLDPWD", "PWD", "SHLVL", "_"):
                    self.variables[found[1]] = found[2]
            now.unlink()
        return done.returncode, done.stdout

    def _at(self, block: Block) -> str:
        return f"{self.page.name}:{block.line} ({block.heading})"


def _wrong(block: Block, code: int, said: str) -> str | None:
    if code != block.code:
        return f"ended with {code}, not {block.code}"
    text, at = _plain(said), 0
    for shown in block.shows:
        wanted = re.compile(".*?".join(re.escape(part) for part in _plain(shown).split(_ANYTHING)))
        found = wanted.search(text, at)
        if found is None:
            return f"did not print {shown!r}, or not at its place"
        at = found.end()
    return None


def _plain(text: str) -> str:
    """With single blanks, so that columns of tables may be of any width."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def surroundings(bin_folder: Path, **settings: str) -> dict[str, str]:
    """An environment in which `payouts` is found and nothing else is set."""
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "COLUMNS": "160", "LANG": "C.UTF-8", **settings}
