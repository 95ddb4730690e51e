"""The pages of the documentation hang together."""

from pathlib import Path

import pytest

from tests.support.handbook import missing_links
from tests.support.sandbox import ROOT

PAGES = [ROOT / "README.md", ROOT / "bench" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert missing_links(page) == []


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = [page.relative_to(ROOT) for page in PAGES[2:] if page.parent.name == "docs"]
    assert [str(page) for page in pages if f"({page})" not in readme] == []
