"""The way of object events from the store to the dispatcher, and what happens to them.

SeaweedFS tells this relay, which tells the dispatcher: each event once, or not at all, or twice, or
in another order than it came. Like SeaweedFS with `max_retries = 0` it tells once, whether the
dispatcher takes it or not. No clock decides: what is held back goes when `HELD` are there, or when
that is over.

Upstream: SeaweedFS. Downstream: the dispatcher's webhook.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

HELD = 12
_AT_A_TIME = 4
_PATIENCE_S = 5.0


class Fate(StrEnum):
    TOLD = "told"
    DROPPED = "dropped"
    DOUBLED = "doubled"
    SHUFFLED = "shuffled"


class News:
    """A relay on threads of its own; `url` is where the dispatcher takes events."""

    def __init__(self, url: str, token: str, seed: int) -> None:
        self.count: Counter[str] = Counter()
        """Events by their fate, and those that the dispatcher did not take."""
        self._url, self._token = url, token
        self._chance = random.Random(f"news {seed}")
        self._fate = Fate.TOLD
        self._held: list[bytes] = []
        self._lock = threading.Lock()
        self._telling = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="telling")
        handler = type("Handler", (_Handler,), {"hear": staticmethod(self.hear)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        return self._server.server_port

    def befall(self, fate: Fate) -> None:
        """What happens to events from now on; what was held back goes."""
        with self._lock:
            self._fate = fate
            held, self._held = self._held, []
        self._tell(self._shuffled(held))

    def hear(self, event: bytes) -> None:
        """One more event, from the store."""
        with self._lock:
            self.count[self._fate] += 1
            out = self._decide(event)
        self._tell(out)

    def _decide(self, event: bytes) -> Sequence[bytes]:
        if self._fate is Fate.DROPPED:
            return []
        if self._fate is Fate.DOUBLED:
            return [event, event]
        if self._fate is Fate.TOLD:
            return [event]
        self._held.append(event)
        if len(self._held) < HELD:
            return []
        held, self._held = self._held, []
        return self._shuffled(held)

    def _shuffled(self, events: list[bytes]) -> Sequence[bytes]:
        self._chance.shuffle(events)
        return events

    def _tell(self, events: Sequence[bytes]) -> None:
        for event in events:
            self._telling.submit(self._post, event)

    def _post(self, event: bytes) -> None:
        request = Request(self._url, event, {"Authorization": f"Bearer {self._token}"})
        try:
            with urlopen(request, timeout=_PATIENCE_S):
                pass
        except HTTPError as error:
            with self._lock:
                self.count[f"answered by {error.code}"] += 1
            error.close()
        except OSError:
            with self._lock:
                self.count["not taken"] += 1

    def settle(self) -> None:
        """Returns when all that was to be told was told; nothing is told afterwards."""
        self._telling.shutdown()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._telling.shutdown(cancel_futures=True)


class _Handler(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    hear: Callable[[bytes], None]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.hear(body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass
