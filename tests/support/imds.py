"""A stand-in for the instance metadata service of a spot machine, on a real socket."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Service(BaseHTTPRequestHandler):
    """As IMDSv2: nothing without a token, 404 for what there is not."""

    documents: dict[str, str]
    tokens: list[str]
    asked: list[str]

    def do_PUT(self) -> None:
        assert int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
        self.tokens.append(f"token-{len(self.tokens)}")
        self._answer(200, self.tokens[-1])

    def do_GET(self) -> None:
        if not self.tokens or self.headers["X-aws-ec2-metadata-token"] != self.tokens[-1]:
            self._answer(401, "")
            return
        name = self.path.rpartition("/")[2]
        found = self.documents.get(name)
        self._answer(404, "") if found is None else self._answer(200, found)
        self.asked.append(name)

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


class Service:
    """Tells what a test made it tell."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.tokens: list[str] = []
        self.asked: list[str] = []
        """Names of the documents that were asked for, in order; the notice of a stop comes last."""
        handler = type("Handler", (_Service,), vars(self))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def rebalance(self) -> None:
        """A recommendation, from now on."""
        self.documents["rebalance"] = json.dumps({"noticeTime": "2027-01-15T08:02:00Z"})

    def stop(self, *, in_s: float) -> None:
        """A stop notice: the machine goes in so many seconds."""
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + in_s))
        self.documents["instance-action"] = json.dumps({"action": "terminate", "time": ends})

    @contextmanager
    def running(self) -> Iterator["Service"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
