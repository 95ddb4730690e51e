"""Private database and Redis servers: started from PATH on free ports in a temporary folder, and broken on
purpose (killed, frozen, restarted) by the tests that own them."""

import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import pymysql
import redis

START_WITHIN_S = 90


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, true: Callable[[], object], within_s: float = 60.0, every_s: float = 0.02) -> None:
    """Poll until `true()` holds; fail the test with `what` after `within_s`.

    The default is no promise of the service's: a test of one says how long it may take.
    """
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {within_s} s: {what}")
        time.sleep(every_s)


class Server(ABC):
    """A server process of the tests' own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """How to start it."""

    @abstractmethod
    def is_up(self) -> bool:
        """Whether it answers."""

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder)
        wait_until(f"{self.command()[0]} answers (see {self.folder}/server.log)", self.is_up, START_WITHIN_S)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)


class RedisServer(Server):
    def __init__(self, folder: Path, appendfsync: str = "always") -> None:
        super().__init__(folder)
        self.appendfsync = appendfsync

    @staticmethod
    def program() -> str | None:
        return shutil.which("redis-server") or shutil.which("valkey-server")

    def command(self) -> list[str]:
        program = self.program()
        assert program
        return [
            *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--appendonly", "yes", "--appendfsync", self.appendfsync, "--save", ""),
            *("--maxmemory-policy", "noeviction"),
        ]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5)

    def is_up(self) -> bool:
        try:
            with self.client as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class SqlServer(Server):
    """MariaDB or MySQL, with one database for each test that asks. `durable`: as in production, for a server
    that is killed or measured. `logs`: it keeps a binary log."""

    name = "mariadb"

    def __init__(self, folder: Path, durable: bool = True, logs: bool = False) -> None:
        super().__init__(folder)
        self.durable = durable
        self.logs = logs
        self._made = 0

    @staticmethod
    def program() -> str | None:
        return shutil.which("mariadbd")

    def initialise(self) -> list[str]:
        install = shutil.which("mariadb-install-db")
        assert install
        return [
            *(install, "--no-defaults", f"--datadir={self.folder}/data", f"--user={_user()}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ]

    def command(self) -> list[str]:
        program = self.program()
        assert program
        return [
            *(program, "--no-defaults", f"--datadir={self.folder}/data", f"--user={_user()}"),
            *(f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.folder}/s"),
            *(f"--innodb-flush-log-at-trx-commit={int(self.durable)}", "--innodb-buffer-pool-size=128M"),
            *("--skip-name-resolve", f"--pid-file={self.folder}/pid"),
            f"--tmpdir={self._own_tmp()}",  # a server that starts removes what others keep in a shared one
            *([] if self.durable else ["--innodb-doublewrite=0"]),
            *(["--log-bin=binlog", "--binlog-format=ROW", "--server-id=1"] if self.logs else []),
        ]

    def _own_tmp(self) -> Path:
        own = self.folder / "tmp"
        own.mkdir(exist_ok=True)
        return own

    def start(self) -> None:
        if not (self.folder / "data").exists():
            done = subprocess.run(self.initialise(), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        super().start()

    def connect(self, database: str | None = None) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="root",
            database=database,
            connect_timeout=2,
            autocommit=True,
            ssl_disabled=True,  # the driver would read the system's certificates each time
        )

    def is_up(self) -> bool:
        try:
            self.connect().close()
        except (pymysql.Error, OSError):
            return False
        return True

    def new_database(self) -> str:
        """The address of a database made just now."""
        self._made += 1
        name = f"payouts_{self._made}"
        connection = self.connect()
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        connection.close()
        return self.address(name)

    def address(self, database: str) -> str:
        return f"{self.name}://root@127.0.0.1:{self.port}/{database}"


class MySqlServer(SqlServer):
    name = "mysql"

    @staticmethod
    def program() -> str | None:
        found = shutil.which("mysqld")
        # Debian's mariadb-server puts its own program under this name too.
        return found if found and "mariadb" not in Path(found).resolve().name else None

    def command(self) -> list[str]:
        # Debian's build looks for a folder of its packaging else; the second protocol's port would be shared.
        return [*super().command(), "--secure-file-priv=NULL", "--mysqlx=OFF"]

    def initialise(self) -> list[str]:
        program = self.program()
        assert program
        # Names are not looked up, so `root` of localhost is nobody who comes over TCP.
        people = self.folder / "people.sql"
        people.write_text("CREATE USER root@'127.0.0.1'; GRANT ALL ON *.* TO root@'127.0.0.1';\n")
        return [
            *(program, "--no-defaults", "--initialize-insecure", f"--datadir={self.folder}/data"),
            *(f"--init-file={people}", f"--user={_user()}"),
        ]


def _user() -> str:
    return os.environ.get("USER") or ("root" if os.geteuid() == 0 else str(os.geteuid()))
