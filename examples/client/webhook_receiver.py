"""Receive webhooks: verify, answer at once, do each message once.

    LIVEPATH_WEBHOOK_SECRET=whsec_… python webhook_receiver.py 9000

Put it behind a server that speaks HTTPS, and keep the ids where all of your processes see them.
"""

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from infra.client import BadSignature, verify
from infra.client.models import Message

SECRET = os.environ["LIVEPATH_WEBHOOK_SECRET"]
MOST = 1 << 20  # bytes of a body
seen: set[str] = set()


def handle(message: Message) -> None:
    """Yours. A queue is a good place: the sender waits for 15 seconds."""
    print(message.type, message.event, message.data, flush=True)


class Receiver(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= MOST:
            self.send_error(413)
            return
        body = self.rfile.read(length)
        try:
            # The bytes as they came: JSON that was read and written again has another signature.
            message = verify(body, dict(self.headers), SECRET, time.time())
        except BadSignature as error:
            self.send_error(400, str(error))
            return
        # A message may come more than once.
        if message.id not in seen:
            handle(message)
            seen.add(message.id)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_said: object) -> None:
        """Quiet: `handle` prints."""


def main(port: int) -> None:
    with ThreadingHTTPServer(("127.0.0.1", port), Receiver) as server:
        print("listening on port", server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
