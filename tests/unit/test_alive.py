"""The health check of a container: by a file that the process touches, or by an address that it answers."""

import http.server
import os
import threading
from pathlib import Path

from payouts.alive import SILENT_AFTER_S, why_not
from payouts.meters import Meters
from payouts.settings import load_settings
from payouts.stores import open_pulse
from tests.support.servers import free_port


def test_a_process_that_beats_is_alive_though_redis_is_away(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    settings = load_settings(
        database_url="sqlite://", redis_url=f"redis://127.0.0.1:{free_port()}/0", alive_file=str(file)
    )
    assert "has not begun to work" in (why_not(None, str(file), 0) or "")

    open_pulse(settings, "worker", Meters()).beat()

    assert why_not(None, str(file), file.stat().st_mtime + 1) is None


def test_a_process_that_hangs_is_found_by_its_silence(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    file.touch()
    os.utime(file, (1_000, 1_000))
    assert why_not(None, str(file), 1_000 + SILENT_AFTER_S) is None
    assert "has said nothing for 61 s" in (why_not(None, str(file), 1_061) or "")


def test_without_a_file_or_an_address_it_says_what_is_missing() -> None:
    assert why_not(None, "", 0) == "ALIVE_FILE is not set, and no address to ask was given"


def test_an_address_must_answer_and_with_no_error() -> None:
    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/well" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        assert why_not(f"{base}/well", "", 0) is None
        assert why_not(f"{base}/ill", "", 0) == f"{base}/ill answers 503"
        server.shutdown()
    assert "does not answer" in (why_not(f"{base}/well", "", 0) or "")
