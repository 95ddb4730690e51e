"""`python -m sandbox`: serve until SIGTERM; one line of JSON says where, once it listens."""

import argparse
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from sandbox.app import Options
from sandbox.faults import Faults
from sandbox.server import Server
from sandbox.settings import Settings
from sandbox.world import OtherSeedError

Shape = TypeVar("Shape")


def main(arguments: list[str] | None = None) -> None:
    given = flags().parse_args(arguments)
    options = Options(
        seed=given.seed,
        file=given.file,
        pace=given.pace,
        api_key=given.api_key,
        settings=_read(given.settings, Settings),
        faults=_read(given.faults, Faults),
    )

    def announce(address: str) -> None:
        line = msgspec.json.encode({"listening": address, "seed": options.seed})
        sys.stdout.write(line.decode() + "\n")
        sys.stdout.flush()

    try:
        server = Server(options, given.host, given.port, announce)
    except (OSError, OtherSeedError) as error:
        sys.exit(f"sandbox: {error}")
    server.serve_here()


def _read(path: Path | None, shape: type[Shape]) -> Shape:
    return msgspec.json.decode(path.read_bytes() if path else b"{}", type=shape)


def flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A Stripe to try the service on.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one, which is told when it listens")
    parser.add_argument("--file", type=Path, help="keep the state in this SQLite file, and continue from it")
    parser.add_argument(
        "--seed", type=int, default=1, help="of ids and faults: the same seed, the same story"
    )
    parser.add_argument("--pace", type=float, default=1.0, help="how many seconds pass in one")
    parser.add_argument("--api-key", help="the only key taken; without it, any that begins with sk_test_")
    parser.add_argument("--faults", type=Path, help="a JSON file: what goes wrong, each with its probability")
    parser.add_argument(
        "--settings", type=Path, help="a JSON file: how quickly payouts live, limits, retries"
    )
    return parser


if __name__ == "__main__":
    main()
