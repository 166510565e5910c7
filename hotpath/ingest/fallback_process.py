"""The parent's side of the fallback child: a bounded queue in, events out, restarts counted.

Invariant: the ingest thread never waits: what the child does not take in time is dropped and
counted. Two small threads per child own its pipes. Upstream: `hotpath.ingest.connection`.
"""

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from hotpath.ingest.errors import FallbackError
from hotpath.ingest.fallback_records import Decoder
from hotpath.ingest.session import IngestEvent

log = logging.getLogger(__name__)

MAX_QUEUED = 4 * 1024 * 1024
"""Bytes that wait for the child; two seconds at 16 Mbit/s."""
COMMAND = (sys.executable, "-m", "hotpath.ingest.fallback")


class FallbackProcess:
    """One child from its start to its end; `failed` when that end was not asked for."""

    def __init__(
        self,
        on_events: Callable[[list[IngestEvent]], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.dropped_bytes = 0
        self.failed = False
        self._on_events = on_events
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._changed = threading.Condition()
        self._closing = False
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._command = tuple(command)
        threading.Thread(target=self._feed, name="fallback-in", daemon=True).start()

    @property
    def ended(self) -> bool:
        """The child is gone and all it said has been passed on."""
        return self._ended.is_set()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def send(self, data: bytes) -> None:
        """Queue bytes for the child, or drop and count them."""
        with self._changed:
            if self._queued + len(data) > MAX_QUEUED:
                self.dropped_bytes += len(data)
                return
            self._queue.append(data)
            self._queued += len(data)
            self._changed.notify()

    def finish(self) -> None:
        """No more bytes: the child writes what it has left and ends."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def kill(self) -> None:
        """End now; what it still says is not passed on."""
        self._on_events = _ignore
        self.finish()
        if self._process is not None:
            self._process.kill()

    def wait(self, timeout_s: float) -> bool:
        return self._ended.wait(timeout_s)

    def _feed(self) -> None:
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._process = process
        threading.Thread(target=self._listen, name="fallback-out", daemon=True).start()
        assert process.stdin is not None  # noqa: S101 - narrows the type: stdin=PIPE
        try:
            while (data := self._next()) is not None:
                view = memoryview(data)
                while view:
                    view = view[process.stdin.write(view) :]
        except OSError:
            pass  # the child is gone; _listen sees its end and says so
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue) or self._closing)
            if not self._queue:
                return None
            joined = b"".join(self._queue)
            self._queue.clear()
            self._queued = 0
            return joined

    def _listen(self) -> None:
        process = self._process
        assert process is not None and process.stdout is not None  # noqa: S101, PT018
        decoder = Decoder()
        try:
            while data := process.stdout.read(65_536):
                events = decoder.receive(data, time.time_ns())
                if events:
                    self._on_events(events)
        except FallbackError as error:
            log.error("%s", error)
            process.kill()
        process.stdout.close()
        code = process.wait()
        self.failed = not self._closing
        if self.failed:
            log.warning("the fallback of a stream ended with code %d", code)
        self._ended.set()
        self.finish()  # wakes _feed where it still waits


def _ignore(events: list[IngestEvent]) -> None:
    """After kill() nobody wants events."""
