"""`/metrics`, `/healthz` and `/readyz`, the same in every role.

ASGI roles answer them through `ops_response`; roles without an event loop of their own (uploader,
worker) run an `OpsServer`, a thread with its own small HTTP server. `/healthz` says that the
process lives, `/readyz` that it can do its work: 200 or 503 with
`{"ready": bool, "checks": {name: "ok" | why not}}`. The supervisor reads `/readyz`.
"""

import json
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], str | None]
"""None when all is well, else why not; called on every `/readyz`, so fast and never blocking."""


class Impaired(str):
    """A reason that a check reports while the role can still do its work."""

    __slots__ = ()


Response = tuple[int, bytes, bytes]
"""Status, content type, body."""


def ops_answer(path: str, checks: Mapping[str, Check]) -> Response | None:
    """The answer to an operations path (without its query), or None for any other path."""
    if path == "/metrics":
        return 200, CONTENT_TYPE_LATEST.encode(), generate_latest()
    if path == "/healthz":
        return 200, b"text/plain; charset=utf-8", b"ok\n"
    if path == "/readyz":
        return _readiness({name: check() for name, check in checks.items()})
    return None


def _readiness(results: Mapping[str, str | None]) -> Response:
    ready = all(reason is None or isinstance(reason, Impaired) for reason in results.values())
    told = {name: "ok" if reason is None else reason for name, reason in results.items()}
    body = json.dumps({"ready": ready, "checks": told}).encode() + b"\n"
    return (200 if ready else 503), b"application/json", body


async def ops_response(path: str, checks: Mapping[str, Check]) -> Response | None:
    """`ops_answer` for those who await it."""
    return ops_answer(path, checks)


class OpsServer:
    """The operations paths on a port of their own, served by daemon threads.

    `port` 0 takes a free port; after `start` the attribute holds the bound one.
    """

    def __init__(self, host: str, port: int, checks: Mapping[str, Check]) -> None:
        self.host = host
        self.port = port
        self._checks = checks
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind and serve; raises `OSError` when the port is taken."""
        checks = self._checks

        class Handler(_OpsHandler):
            def respond(self, path: str) -> Response | None:
                return ops_answer(path, checks)

        server = _Server((self.host, self.port), Handler)
        self.port = server.server_address[1]
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="ops", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and free the port; harmless when not started."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None

    def close_inherited(self) -> None:
        """In a forked child: let go of the parent's socket, which its own thread serves."""
        if self._server is not None:
            self._server.socket.close()
            self._server = self._thread = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A scraper that hangs must not keep the process from ending.
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever did not wait for the answer needs no traceback in the role's log."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _OpsHandler(BaseHTTPRequestHandler):
    # A client that connects and says nothing holds its thread no longer than this.
    timeout = 5.0

    def respond(self, path: str) -> Response | None:
        raise NotImplementedError

    def do_GET(self) -> None:
        response = self.respond(self.path.partition("?")[0])
        status, content_type, body = response or (404, b"text/plain; charset=utf-8", b"not found\n")
        self.send_response(status)
        self.send_header("Content-Type", content_type.decode())
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Health polling is no news."""
