"""The spool's one writer thread: takes operations from the queue, keeps the disk's failures here.

Invariant: no OSError leaves the thread. A full disk or spool stops recording in every session until
there is room again; any other failure costs the segment that met it. Media that is not written
becomes holes; what is owed is tried again once a second.

Upstream: `spool`, on any thread, through the queue. Downstream: `spool_session`.
"""

import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import structlog

from hotpath.hls.recorder import HoleReason
from hotpath.hls.spool_capacity import RETRY_S, Capacity, StopReason, stop_reason
from hotpath.hls.spool_layout import DOORBELL, SessionFolder
from hotpath.hls.spool_queue import WriteQueue
from hotpath.hls.spool_recovery import recover_or_report
from hotpath.hls.spool_segment import PartInfo
from hotpath.hls.spool_session import SessionFiles
from hotpath.media.unit import Format

log = structlog.get_logger(__name__)


class SpoolWriter:
    """Everything below runs on the writer thread, except `start` and `join`."""

    def __init__(
        self,
        root: Path,
        queue: WriteQueue,
        capacity: Capacity,
        unsealed: Iterable[SessionFolder],
    ) -> None:
        """`unsealed` are sessions of earlier lives that recovery could not finish."""
        self._queue = queue
        self._capacity = capacity
        self._full = False
        self._sessions: set[SessionFiles] = set()
        self._unsealed = list(unsealed)
        self._tick_at = time.monotonic() + RETRY_S
        self._doorbell = Doorbell(root / DOORBELL)
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._queue.ended:
            operation = self._queue.take(RETRY_S)
            if operation is not None:
                operation()
            if time.monotonic() >= self._tick_at:
                self._tick()
                self._tick_at = time.monotonic() + RETRY_S
        for session in list(self._sessions):
            self._settle(session)
            session.abandon()
        self._doorbell.close()

    # -- operations -----------------------------------------------------------------------------

    def open(self, session: SessionFiles) -> None:
        self._sessions.add(session)
        self._settle(session)

    def init(self, session: SessionFiles, format_: Format, number: int, data: bytes) -> None:
        if not session.sealed:
            session.init(format_, number, data)
            self._settle(session)
            self._doorbell.ring()

    def part(
        self, session: SessionFiles, rendition: str, msn: int, info: PartInfo, data: bytes
    ) -> None:
        if session.sealed or session.refuses(rendition, msn):
            return
        if not self._has_room(len(data)):
            self.lose(session, rendition, msn, msn, "spool-full")
            return
        try:
            self._capacity.add(session.part(rendition, msn, info, data))
        except OSError as error:
            self.lose(session, rendition, msn, msn, self._failed(error))

    def segment(self, session: SessionFiles, rendition: str, msn: int, duration: int) -> None:
        if session.sealed or session.refuses(rendition, msn):
            return
        try:
            finished = session.segment(rendition, msn, duration)
        except OSError as error:
            self.lose(session, rendition, msn, msn, self._failed(error))
            return
        self._settle(session)
        if finished:
            self._doorbell.ring()
            session.health.recorded(rendition, msn)

    def gap(
        self, session: SessionFiles, rendition: str, msn: int, start: int, duration: int
    ) -> None:
        if not session.sealed:
            session.gap(rendition, msn, start, duration)
            self._settle(session)

    def hole(
        self, session: SessionFiles, rendition: str, first: int, last: int, reason: HoleReason
    ) -> None:
        """Segments that the packager could not give; what it gave of them stays."""
        if not session.sealed:
            session.health.lost(rendition, last, reason)
            session.hole(rendition, first, last, reason)
            self._settle(session)

    def lose(
        self, session: SessionFiles, rendition: str, first: int, last: int, reason: HoleReason
    ) -> None:
        """Segments that the spool could not take."""
        if not session.sealed:
            session.health.lost(rendition, last, reason)
            self._capacity.add(-session.lose(rendition, first, last, reason))
            self._settle(session)

    def seal(self, session: SessionFiles, *, final: bool) -> None:
        if session.sealed:
            return
        for rendition, msn in session.open_segments():
            self.segment(session, rendition, msn, 0)
        session.seal(final=final)
        self._settle(session)

    # -- the disk -------------------------------------------------------------------------------

    def _has_room(self, size: int) -> bool:
        if self._full and self._capacity.may_resume():
            log.info("recording goes on")
            self._full = False
        if not self._full and not self._capacity.fits(size):
            self._full = True
            log.error("recording stopped: the spool is full; is the uploader running?")
        return not self._full

    def _failed(self, error: OSError) -> StopReason:
        reason = stop_reason(error)
        if reason == "spool-full" and not self._full:
            self._full = True
            log.error("recording stopped: the disk is full", error=str(error))
        return reason

    def _settle(self, session: SessionFiles) -> None:
        """Do what the session owes, as far as the disk lets us."""
        try:
            session.settle()
        except OSError as error:
            if self._failed(error) == "disk-error" and not session.complained:
                session.complained = True
                log.error("the disk refuses", session=str(session.folder.path), error=str(error))
            return
        session.complained = False
        if session.sealed:
            session.abandon()
            self._sessions.discard(session)
            self._doorbell.ring()

    def _tick(self) -> None:
        for session in list(self._sessions):
            self._settle(session)
        if self._unsealed:
            self._unsealed = [f for f in self._unsealed if not recover_or_report(f, quiet=True)]


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
