from collections.abc import Iterator

import pytest

from tests.support.sandbox import Listener, Sandbox, sandbox_here


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_here() as running:
        running.top_up(1_000_000)
        yield running


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listening:
        yield listening
