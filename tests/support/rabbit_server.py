"""A RabbitMQ of the tests' own: its own node, on free ports of 127.0.0.1, in a temporary folder."""

import os
import signal
import subprocess
from pathlib import Path

import pika

from tests.support.servers import START_WITHIN_S, free_port, wait_until

INSTALLED_IN = Path("/usr/lib/rabbitmq/lib")


class RabbitServer:
    """Debian's server, without its wrapper, which would switch to a user and a folder of the system's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.node_port, self.names_port = free_port(), free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def program() -> str | None:
        found = sorted(INSTALLED_IN.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
        return str(found[-1]) if found else None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        program = self.program()
        assert program
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program],
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.folder),
                    "LANG": "C.UTF-8",
                    "RABBITMQ_NODENAME": f"payouts{self.port}@localhost",
                    "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                    "RABBITMQ_NODE_PORT": str(self.port),
                    "RABBITMQ_DIST_PORT": str(self.node_port),
                    "ERL_EPMD_PORT": str(self.names_port),
                    "ERL_EPMD_ADDRESS": "127.0.0.1",
                    "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
                    "RABBITMQ_LOG_BASE": str(self.folder / "log"),
                    "RABBITMQ_CONF_ENV_FILE": os.devnull,
                    "RABBITMQ_ENABLED_PLUGINS_FILE": os.devnull,
                },
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # a script and the machine below it: signals go to both
            )
        wait_until(f"RabbitMQ answers (see {self.folder}/server.log)", self.is_up, 2 * START_WITHIN_S, 0.2)

    def is_up(self) -> bool:
        parameters = pika.URLParameters(self.url)
        parameters.socket_timeout = parameters.stack_timeout = 5
        try:
            pika.BlockingConnection(parameters).close()
        except (pika.exceptions.AMQPError, OSError):
            return False
        return True

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            wait_until("nothing listens any more", lambda: not self.is_up())

    def end(self) -> None:
        """The same, and its name server, which outlives it."""
        self.kill()
        subprocess.run(["epmd", "-port", str(self.names_port), "-kill"], capture_output=True, check=False)
