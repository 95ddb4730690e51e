"""Open pages are told of changes: a few at once, many one after the other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest

from console.web import live
from console.web.live import News, spread_s

Told = list[tuple[int, dict[str, str]]]


class Changing(News):
    """News of one topic, that change when somebody says so."""

    def __init__(self) -> None:
        super().__init__(parts=None)  # type: ignore[arg-type]

    async def change(self, version: str) -> None:
        async with self._changed:
            self._topics, self._version = {"events": version}, self._version + 1
            self._changed.notify_all()


async def told(count: int, then: Callable[[Changing, Told], Any]) -> Told:
    """What so many pages heard, in the order in which they did: the page and the topics."""
    source, heard, over = Changing(), Told(), False

    async def page(number: int, topics: AsyncIterator[dict[str, str] | None]) -> None:
        async for each in topics:
            if each is not None:
                heard.append((number, each))

    await source.change("first")
    pages = [asyncio.create_task(page(number, source.listen(lambda: over))) for number in range(count)]
    await until(lambda: len(heard) == count)
    await then(source, heard)
    over = True
    await source.change("last")
    await asyncio.gather(*pages)
    return heard


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def test_a_few_pages_hear_of_each_change_at_once() -> None:
    async def changes(source: Changing, heard: Told) -> None:
        for number, version in enumerate(["second", "third"], 2):
            await source.change(version)
            await until(lambda number=number: len(heard) == number * live.FEW)  # type: ignore[misc]

    heard = asyncio.run(told(live.FEW, changes))
    assert spread_s(live.FEW) == 0
    for version in ("first", "second", "third"):
        assert [page for page, topics in heard if topics["events"] == version] == list(range(live.FEW))


def test_many_pages_hear_of_a_change_one_after_the_other_and_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "TOLD_PER_S", 200)
    count = 40

    async def changes(source: Changing, heard: Told) -> None:
        await source.change("second")
        await until(lambda: len(heard) > count)
        await source.change("third")  # whoever was not told of the second is told of this one alone
        await until(
            lambda: {page for page, topics in heard if topics["events"] == "third"} == set(range(count))
        )

    heard = asyncio.run(told(count, changes))
    assert [page for page, topics in heard if topics["events"] == "first"] == list(range(count))
    for number in range(count):
        versions = [topics["events"] for page, topics in heard if page == number]
        assert versions in (["first", "second", "third"], ["first", "third"])


def test_however_many_pages_are_open_each_hears_within_seconds() -> None:
    spreads = [spread_s(count) for count in (1, 10, 50, 1_000)]
    assert all(more >= less for less, more in pairwise(spreads))
    assert spreads[-1] == live.SPREAD_MOST_S
