"""Imports go one way, and a receiver carries nothing that it does not use."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_USE: dict[str, set[str]] = {
    "payouts": set(),
    "serving": set(),
    "webhooks": {"payouts", "serving", "workers.messages"},
    "workers": {"payouts", "serving"},
    "api": {"payouts", "serving", "workers.messages"},
    "console": {"payouts", "serving", "workers.messages"},
    "sandbox": set(),
}


def imported(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Each import of a module's source, wherever it stands, as its line and its full name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def wrong(room: str, source: str, package: str) -> list[str]:
    """The imports of `source` that its room may not make."""
    allowed = MAY_USE[room] | {room}
    return [
        f"line {line}: {name}"
        for line, name in imported(source, package)
        if name.split(".")[0] in MAY_USE and not any(f"{name}.".startswith(f"{may}.") for may in allowed)
    ]


def modules() -> list[Path]:
    return sorted(path for room in MAY_USE for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_room_may_use(path: Path) -> None:
    relative = path.relative_to(ROOT)
    assert wrong(relative.parts[0], path.read_text(), ".".join(relative.parent.parts)) == []


def test_every_room_has_modules_to_look_at() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in modules()} == set(MAY_USE)


@pytest.mark.parametrize(
    ("room", "source", "package", "found"),
    [
        ("payouts", "import webhooks.app", "payouts", 1),
        ("payouts", "def f():\n    from workers import messages", "payouts.storage", 1),
        ("payouts", "from ..webhooks import app", "payouts", 1),
        ("payouts", "from . import money\nfrom payouts.money import x\nimport redis", "payouts", 0),
        ("webhooks", "from workers.messages import Messages\nfrom workers import messages", "webhooks", 0),
        ("webhooks", "from workers.broker import WakingRedisBroker", "webhooks", 1),
        ("webhooks", "from workers import actors\nimport console", "webhooks", 2),
        ("console", "import webhooks", "console", 1),
        ("api", "from workers.messages import Messages\nimport payouts.money", "api", 0),
        ("api", "from webhooks.server import serve\nfrom workers.actors import Actors", "api", 2),
        ("api", "from serving.server import serve", "api", 0),
        ("payouts", "from serving.server import serve", "payouts", 1),
        ("serving", "from payouts.settings import Settings", "serving", 1),
        ("sandbox", "from payouts.money import x\nimport workers", "sandbox", 2),
        ("workers", "from console.main import main\nimport payouts.money", "workers", 1),
    ],
)
def test_this_check_finds_what_it_is_for(room: str, source: str, package: str, found: int) -> None:
    assert len(wrong(room, source, package)) == found


def loaded_after(code: str) -> set[str]:
    """The modules of a fresh process once it has run `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    return set(done.stdout.split())


_BUILD = """
from payouts.settings import Settings
from webhooks.app import build_app
build_app(Settings(database_url='mysql://nobody@127.0.0.1:1/none', redis_url='redis://127.0.0.1:1/0',
                   stripe_webhook_secret='whsec_x', stripe_api_key='sk_test_x'))
"""


@pytest.mark.parametrize("code", ["import webhooks.app, webhooks.server, webhooks.__main__", _BUILD])
def test_a_receiver_starts_without_the_sdk_and_the_migrations(code: str) -> None:
    modules = loaded_after(code)
    assert "webhooks.app" in modules
    unused = {"stripe", "alembic", "typer", "workers.actors", "fsspec", "cryptography.fernet"}
    unused |= {"payouts.bootstrap", "payouts.machine"}
    assert modules & unused == set()


def test_workers_start_without_the_migrations() -> None:
    modules = loaded_after("import workers.__main__")
    assert "workers.app" in modules
    assert modules & {"alembic", "stripe", "typer", "fsspec"} == set()


def test_a_command_starts_without_what_only_some_of_them_need() -> None:
    modules = loaded_after("import console.main")
    assert "console.main" in modules
    assert modules & {"sqlalchemy", "httpx", "redis", "stripe", "dramatiq", "starlette"} == set()


def test_importing_any_module_connects_to_nothing() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules()
        if "migrations" not in path.parts and path.name not in ("__main__.py", "__init__.py")
    ]
    forbid = (
        "import socket\ndef no(*a, **k): raise SystemExit('connects at import')\nsocket.socket.connect = no\n"
    )
    assert set(names) <= loaded_after(forbid + "\n".join(f"import {name}" for name in names))
