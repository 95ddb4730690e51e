"""The pages of the documentation hang together."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer

from console.main import app
from payouts.settings_facts import setting_facts
from tests.support.handbook import missing_links
from tests.support.sandbox import ROOT

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "bench" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert missing_links(page) == []


def test_every_picture_is_shown_by_a_page() -> None:
    shown = "".join(page.read_text() for page in PAGES)
    pictures = [picture.name for picture in (ROOT / "docs" / "images").iterdir()]
    assert [name for name in pictures if f"images/{name})" not in shown] == []


def test_the_readme_leads_to_every_page() -> None:
    pages = [page.relative_to(ROOT) for page in PAGES[2:] if page.parent.name == "docs"]
    assert [str(page) for page in pages if f"({page})" not in README] == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES[2:] if page.parent.name == "docs"], ids=lambda page: page.name
)
def test_each_page_leads_back(page: Path) -> None:
    assert "[All pages](../README.md#read-on)" in page.read_text().splitlines()[:5]


def unknown_words(said: str) -> str | None:
    """The first word of a command that its group does not have. None: there is such a command."""
    at = typer.main.get_command(app)
    for word in said.split():
        known = getattr(at, "commands", None)
        if known is None:
            return None
        if word not in known:
            return word
        at = known[word]
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(
        r"(?:^|`|\$ |bin/)payouts ([a-z][a-z-]*(?: [a-z][a-z-]*)*)", page.read_text(), re.MULTILINE
    )
    assert [said for said in named if unknown_words(said)] == []


def first_cells(heading: str) -> set[str]:
    """What stands in the first column of the table under a heading of the README."""
    section = README.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)[1:]
    return {each.strip("`/ ") for row in rows for each in row.split(",")}


def test_the_settings_that_the_readme_names_are_settings() -> None:
    named = first_cells("### Settings")
    assert "DATABASE_URL" in named
    assert named <= {each.name for each in setting_facts()}


def test_the_readme_says_what_each_folder_and_each_dependency_is_for() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    folders = {name.split("/")[0] for name in tracked if "/" in name and not name.startswith(".")}
    assert folders <= first_cells("**Where what is**")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {
        re.split(r"[\[<>=]", each)[0]
        for each in [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    }
    assert needed <= first_cells("## Dependencies")
