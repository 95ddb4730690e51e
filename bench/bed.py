"""The test bed: private MariaDB and Redis, unpinned and durable; service and load on a core each."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from bench.events import PATH, SECRET, write_requests
from payouts.storage import migrate
from payouts.storage.engine import build_engine
from tests.support.servers import RedisServer, SqlServer, free_port, wait_until

BUFFER_POOL = "1G"
SERVICE_CORE, LOAD_CORE = 0, 1


class BenchSqlServer(SqlServer):
    def command(self) -> list[str]:
        return [
            *(argument for argument in super().command() if "buffer-pool" not in argument),
            f"--innodb-buffer-pool-size={BUFFER_POOL}",
            "--innodb-log-file-size=512M",
        ]


class Bed:
    """One run's servers, database and processes."""

    def __init__(self, keep: Path | None = None) -> None:
        """`keep`: a folder for the database that outlives the run; it is made if it is not there."""
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self.keep = keep.resolve() if keep else None
        self.sql = BenchSqlServer((self.keep or self.folder) / "mariadb")
        self.redis = RedisServer(self.folder / "redis", appendfsync="everysec")
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Bed":
        for server in (self.sql, self.redis):
            server.folder.mkdir(parents=True, exist_ok=True)
            server.start()
        if not self.keep:
            self.fresh()
        return self

    def __exit__(self, *_: object) -> None:
        for process in list(self.processes):
            self.end(process)
        self.engine.dispose()
        self.redis.stop()
        self.sql.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh(self) -> None:
        """An empty database and an empty Redis."""
        if self.keep:
            self._drop_all()
        self._use(self.sql.new_database())

    def open_kept(self, name: str) -> None:
        """The database `name` of a run before, brought up to this version."""
        self._use(self.sql.address(name))

    def _use(self, database_url: str) -> None:
        self.database_url = database_url
        self.engine = build_engine(self.database_url, timeout_s=120, pool_size=8)
        migrate.upgrade(self.engine)
        self.redis.client.flushall()

    def _drop_all(self) -> None:
        """What a run before left half made."""
        with self.sql.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SHOW DATABASES LIKE 'payouts\\_%'")
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP DATABASE {name}")

    def start(self, *module: str, core: int | None = SERVICE_CORE, **env: str) -> subprocess.Popen[bytes]:
        """Start `python -m module…`, pinned to `core`."""
        pin = ["taskset", "-c", str(core)] if core is not None else []
        settings = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis.url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "LOG_LEVEL": "warning",
            **env,
        }
        with (self.folder / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [*pin, sys.executable, "-m", *module], env={**os.environ, **settings}, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def serve(self, *module: str, **env: str) -> tuple[subprocess.Popen[bytes], int]:
        """Start a receiver (or an alternative) and return it with its port once it answers."""
        port = free_port()
        process = self.start(*module, RECEIVER_PORT=str(port), **env)

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/", timeout=1).status_code in (404, 405)
            except httpx.HTTPError:
                return False

        wait_until(f"{module} answers", answers, 30)
        return process, port

    def end(self, process: subprocess.Popen[bytes]) -> None:
        self.processes.remove(process)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wrk(self, port: int, connections: int, seconds: int, most_per_s: int) -> float:
        """Requests answered 200 per second; fails if any was answered otherwise."""
        requests = self.folder / "requests"
        write_requests(requests, most_per_s * seconds)
        command = [
            *("taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"),
            *("--timeout", "10s", "-s", str(Path(__file__).with_name("wrk.lua"))),
            *(f"http://127.0.0.1:{port}{PATH}", "--", str(requests)),
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in said or "Socket errors" in said:
            raise SystemExit(f"the load was not served well:\n{said}")
        found = re.search(r"Requests/sec:\s+([\d.]+)", said)
        if not found:
            raise SystemExit(f"wrk said:\n{said}")
        return float(found.group(1))

    def run(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(sql))

    def scalar(self, sql: str) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(sa.text(sql)).scalar()


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of a process in MB, its peak included in what the kernel calls VmHWM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found.group(1)) / 1024 if found else 0.0


def pause(seconds: float = 1.0) -> None:
    """Let the servers write back what the last measurement left."""
    time.sleep(seconds)
