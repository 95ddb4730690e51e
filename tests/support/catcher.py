"""A server that keeps what is posted to it: it stands for a collector of traces, or for Sentry."""

import gzip
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Caught:
    """What was posted, as path and body, unpacked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.posted: list[tuple[str, bytes]] = []

    @property
    def everything(self) -> bytes:
        return b"\n".join(body for _, body in self.posted)


@contextmanager
def catching() -> Iterator[Caught]:
    """While it is entered, it answers every POST with 200 and `{}`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            packed = self.headers.get("Content-Encoding")
            if packed == "gzip":
                body = gzip.decompress(body)
            elif packed == "deflate":
                body = zlib.decompress(body)
            caught.posted.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    caught = Caught(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield caught
    finally:
        server.shutdown()
        server.server_close()
