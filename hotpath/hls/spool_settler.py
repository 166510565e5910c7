"""The spool's settler thread: waits for the disk, so that the append thread never has to.

Invariant: no OSError leaves the thread. What a session owes is done soon after a nudge and tried
again once a second; so are the sessions of earlier lives that recovery could not finish. What waits
for it is bounded by `spool_ledger.MAX_OWED` in each session, one nudge each.

Upstream: `spool_writer`, on the append thread. Downstream: `spool_ledger`, `spool_recovery`.
"""

import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from hotpath.hls.spool_capacity import RETRY_S
from hotpath.hls.spool_layout import SessionFolder
from hotpath.hls.spool_ledger import SessionLedger
from hotpath.hls.spool_recovery import recover_or_report


class SpoolSettler:
    """`nudge`, `flush` and `close` never block."""

    def __init__(self, doorbell: "Doorbell", unsealed: Iterable[SessionFolder]) -> None:
        """Owns the doorbell that the ledgers ring. `unsealed` are sessions of earlier lives that
        recovery could not finish."""
        self._doorbell = doorbell
        self._unsealed = list(unsealed)
        self._ledgers: set[SessionLedger] = set()
        """Only the settler thread looks at it."""
        self._nudged: dict[SessionLedger, None] = {}
        self._flushes: list[threading.Event] = []
        self._closed = False
        self._changed = threading.Condition()
        """Guards the three above."""
        self._tick_at = time.monotonic() + RETRY_S
        self._thread = threading.Thread(target=self._run, name="spool-settler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def nudge(self, ledger: SessionLedger) -> None:
        """The session owes something."""
        with self._changed:
            self._nudged[ledger] = None
            self._changed.notify()

    def flush(self, done: threading.Event) -> None:
        """Set `done` after everything owed so far was tried."""
        with self._changed:
            self._flushes.append(done)
            self._changed.notify()

    def close(self) -> None:
        """Nothing follows; try once more what is owed, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._changed:
                if not (self._nudged or self._flushes or self._closed):
                    self._changed.wait(RETRY_S)
                nudged, self._nudged = self._nudged, {}
                flushes, self._flushes = self._flushes, []
                closed = self._closed
            for ledger in nudged:
                self._settle(ledger)
            for done in flushes:
                done.set()
            if time.monotonic() >= self._tick_at:
                self._tick()
        for ledger in list(self._ledgers):
            self._settle(ledger)
            ledger.close()
        self._doorbell.close()

    def _settle(self, ledger: SessionLedger) -> None:
        self._ledgers.add(ledger)
        ledger.settle()
        if ledger.finished:
            ledger.close()
            self._ledgers.discard(ledger)

    def _tick(self) -> None:
        for ledger in list(self._ledgers):
            self._settle(ledger)
        if self._unsealed:
            self._unsealed = [f for f in self._unsealed if not recover_or_report(f, quiet=True)]
        self._tick_at = time.monotonic() + RETRY_S


class Doorbell:
    """Tells the uploader that there is something new; it looks every second anyway."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def ring(self) -> None:
        try:
            self._socket.sendto(b"\n", self._path)
        except OSError:
            # No uploader, a full socket buffer, or a path too long for a socket: it will scan.
            return

    def close(self) -> None:
        self._socket.close()
