"""Following the links of the console from page to page, each kind of page once."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit


def crawl(starts: Iterable[str], links_of: Callable[[str], Iterable[str]], most: int) -> Iterator[str]:
    """Addresses of pages, the first of each kind that links lead to; AssertionError past `most` of them.

    `links_of`: opens a page, and says where its links lead.
    """
    seen: set[str] = set()
    waiting = deque(starts)
    while waiting:
        path = waiting.popleft()
        if (kind := kind_of(path)) in seen or "format=json" in path or ".csv" in path:
            continue
        assert len(seen) < most, sorted(seen)
        seen.add(kind)
        waiting += links_of(path)
        yield path


def kind_of(path: str) -> str:
    """The address without what tells one row from another, and the names of what it asks for."""
    parts = urlsplit(path)
    names = sorted(set(re.findall(r"(?:^|&)(\w+)=", parts.query)))
    plain = re.sub(r"/(?:[a-z]+_[^/]+|[^/]*\d[^/]*|[^/]*%[^/]*)(?=/|$)", "/{}", parts.path)
    return f"{plain}?{'&'.join(names)}"
