"""A receiver of webhooks on this machine. Upstream: `infra.cli.listener`."""

import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer

from infra.client import BadSignature, verify
from infra.client.models import Message

MOST = 1 << 20
"""Bytes of a delivery; the API sends far less."""
SILENCE_S = 10.0


class Receiver:
    """One delivery at a time; a sender that says nothing is left."""

    def __init__(self, port: int) -> None:
        self._server = HTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def serve(self, secret: str, show: Callable[[Message], None]) -> None:
        self._server.RequestHandlerClass = _handler(secret, show)
        self._server.serve_forever()

    def stop(self) -> None:
        """From another thread."""
        self._server.shutdown()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_failed: object) -> None:
        self._server.server_close()


def _handler(secret: str, show: Callable[[Message], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SILENCE_S

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > MOST:
                self.send_error(HTTPStatus.BAD_REQUEST)
                return
            body = self.rfile.read(int(length))
            try:
                message = verify(body, dict(self.headers), secret, time.time())
            except BadSignature as error:
                print(f"livepath: refused: {error}", file=sys.stderr, flush=True)
                self.send_error(HTTPStatus.BAD_REQUEST)
                return
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()
            show(message)

        def log_message(self, *_said: object) -> None:
            """What came is shown already."""

    return Handler
