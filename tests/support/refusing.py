"""A portal that can be told to refuse: on this machine by HTTP, for containers by HTTPS."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SECRET = "whsec_" + "A" * 32
TAKES, REFUSES = 204, 410
"""410: it wants no more, so that what it is told is dead at once."""


class RefusingPortal:
    """What it answers now, and where. `certificate`: who trusts it trusts the portal; None: plain HTTP."""

    def __init__(self, url: str, certificate: Path | None) -> None:
        self.url, self.certificate = url, certificate
        self.status = TAKES

    @property
    def settings(self) -> dict[str, str]:
        """For the service's environment."""
        return {"PORTAL_WEBHOOK_URL": self.url, "PORTAL_WEBHOOK_SECRET": SECRET}

    def refuse(self) -> None:
        self.status = REFUSES

    def take(self) -> None:
        self.status = TAKES


@contextmanager
def refusing_portal(host: str = "127.0.0.1", folder: Path | None = None) -> Iterator[RefusingPortal]:
    """One that takes everything until it is told to refuse. `folder`: by HTTPS, with a certificate there."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(portal.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    certificate = None
    if folder is not None:
        certificate, key = _certificate(folder, host)
    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "https" if certificate else "http"
    portal = RefusingPortal(f"{scheme}://{host}:{server.server_address[1]}/events", certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield portal
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """One that this address signs for itself, and its key."""
    certificate, key = folder / "portal.pem", folder / "portal.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=portal", "-addext", f"subjectAltName=IP:{address}"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
