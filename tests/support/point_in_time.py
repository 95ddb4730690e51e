"""A database backed up with the server's own tools, and restored to a moment after the backup."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import SqlServer


@dataclass(frozen=True)
class Tools:
    """What the same things are called."""

    client: str
    dump: str
    read_log: str
    dump_options: tuple[str, ...]
    position_query: str
    no_tls: str


TOOLS = {
    "mariadb": Tools(
        *(
            "mariadb",
            "mariadb-dump",
            "mariadb-binlog",
            ("--master-data=2",),
            "SHOW MASTER STATUS",
            "--skip-ssl",
        )
    ),
    "mysql": Tools(
        *(
            "mysql",
            "mysqldump",
            "mysqlbinlog",
            ("--source-data=2", "--set-gtid-purged=OFF"),
            "SHOW BINARY LOG STATUS",
        ),
        "--ssl-mode=DISABLED",
    ),
}


@dataclass(frozen=True)
class Moment:
    """A place in the server's binary log."""

    file: str
    position: int


class PointInTime:
    """Backs up one database of a server that keeps a binary log."""

    def __init__(self, server: SqlServer, database: str, folder: Path) -> None:
        self.server, self.database = server, database
        self._tools = TOOLS[server.name]
        self._dump = folder / "backup.sql"

    def back_up(self) -> None:
        """As docs/disaster.md says, while the service writes."""
        with self._dump.open("wb") as out:
            tools = self._tools
            self._run(tools.dump, "--single-transaction", *tools.dump_options, self.database, stdout=out)

    def now(self) -> Moment:
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(self._tools.position_query)
            found = cursor.fetchone()
        assert found is not None
        return Moment(str(found[0]), int(found[1]))

    def restore(self, moment: Moment) -> None:
        """The dump, then what the log has from there to `moment`; all that came later is lost."""
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {self.database}")
            cursor.execute(f"CREATE DATABASE {self.database}")
        with self._dump.open("rb") as dump:
            self._run(self._tools.client, self.database, stdin=dump)
        log = self._dump.with_suffix(".log")
        with log.open("wb") as out:
            begin = self._position_of_the_dump()
            assert begin.file == moment.file
            span = [f"--start-position={begin.position}", f"--stop-position={moment.position}"]
            binlog = self.server.folder / "data" / moment.file
            words = [*span, f"--database={self.database}", str(binlog)]
            self._run(self._tools.read_log, *words, stdout=out, server=False)
        with log.open("rb") as statements:
            self._run(self._tools.client, stdin=statements)

    def _position_of_the_dump(self) -> Moment:
        said = self._dump.read_bytes()[:20_000].decode(errors="replace")
        found = re.search(r"(?:MASTER|SOURCE)_LOG_FILE='([^']+)', (?:MASTER|SOURCE)_LOG_POS=(\d+)", said)
        assert found is not None, said[:2_000]
        return Moment(found[1], int(found[2]))

    def _run(self, program: str, *words: str, server: bool = True, **streams: object) -> None:
        path = shutil.which(program)
        assert path, f"{program} is not installed"
        to = ["--protocol=tcp", "--host=127.0.0.1", f"--port={self.server.port}", "--user=root"]
        to.append(self._tools.no_tls)
        command = [path, "--no-defaults", *(to if server else []), *words]
        done = subprocess.run(command, stderr=subprocess.PIPE, check=False, **streams)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr.decode(errors="replace")
