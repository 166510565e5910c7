"""The spool's one writer thread: takes operations from the queue, keeps the disk's failures here.

Invariant: no OSError leaves the thread. The first one stops recording in every session (media then
becomes holes) until the disk has room again; what is owed is tried again once a second.

Upstream: `spool`, on any thread, through the queue. Downstream: `spool_session`.
"""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from hotpath.hls.recorder import HoleReason
from hotpath.hls.spool_capacity import RETRY_S, Capacity, StopReason, stop_reason
from hotpath.hls.spool_layout import DOORBELL
from hotpath.hls.spool_queue import WriteQueue
from hotpath.hls.spool_segment import PartInfo
from hotpath.hls.spool_session import SessionFiles
from hotpath.media.unit import Format
from infra.keys import ProgramKey

log = structlog.get_logger(__name__)

OnDegraded = Callable[[ProgramKey, HoleReason], None]
OnRestored = Callable[[ProgramKey], None]


class SpoolWriter:
    """Everything below runs on the writer thread, except `start` and `join`."""

    def __init__(
        self,
        root: Path,
        queue: WriteQueue,
        capacity: Capacity,
        on_degraded: OnDegraded,
        on_restored: OnRestored,
    ) -> None:
        self._queue = queue
        self._capacity = capacity
        self._on_degraded = on_degraded
        self._on_restored = on_restored
        self._stopped: StopReason | None = None
        self._sessions: set[SessionFiles] = set()
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
            else:
                self._settle_all()
        self._settle_all()
        for session in self._sessions:
            session.abandon()
        self._doorbell.close()

    # -- operations -----------------------------------------------------------------------------

    def open(self, session: SessionFiles) -> None:
        self._sessions.add(session)

    def refused(self, error: OSError) -> None:
        """A session's folder could not be made; its session owes it."""
        self._stop(error)

    def init(self, session: SessionFiles, format_: Format, number: int, data: bytes) -> None:
        if session.sealed:
            return
        try:
            session.init(format_, number, data)
        except OSError as error:
            self._stop(error)
        self._doorbell.ring()

    def part(
        self, session: SessionFiles, rendition: str, msn: int, info: PartInfo, data: bytes
    ) -> None:
        if session.sealed or session.refuses(rendition, msn):
            return
        if not self._records(len(data)):
            self.lose(session, rendition, msn, msn, self._stopped or "spool-full")
            return
        try:
            self._capacity.add(session.part(rendition, msn, info, data))
        except OSError as error:
            self.lose(session, rendition, msn, msn, self._stop(error))

    def segment(self, session: SessionFiles, rendition: str, msn: int, duration: int) -> None:
        if session.sealed or session.refuses(rendition, msn):
            return
        try:
            finished = session.segment(rendition, msn, duration)
        except OSError as error:
            self.lose(session, rendition, msn, msn, self._stop(error))
            return
        if finished:
            self._doorbell.ring()
            self._recorded(session, rendition)

    def gap(
        self, session: SessionFiles, rendition: str, msn: int, start: int, duration: int
    ) -> None:
        if session.sealed:
            return
        try:
            session.gap(rendition, msn, start, duration)
        except OSError as error:
            self._stop(error)

    def hole(
        self, session: SessionFiles, rendition: str, first: int, last: int, reason: HoleReason
    ) -> None:
        """Segments that the packager could not give; what it gave of them stays."""
        if session.sealed:
            return
        self._suffer(session, reason)
        try:
            session.hole(rendition, first, last, reason)
        except OSError as error:
            self._stop(error)

    def lose(
        self, session: SessionFiles, rendition: str, first: int, last: int, reason: HoleReason
    ) -> None:
        """Segments that the spool could not take."""
        if session.sealed:
            return
        self._suffer(session, reason)
        try:
            self._capacity.add(-session.lose(rendition, first, last, reason))
        except OSError as error:
            self._stop(error)

    def seal(self, session: SessionFiles, *, final: bool) -> None:
        if session.sealed:
            return
        for rendition, msn in session.open_segments():
            self.segment(session, rendition, msn, 0)
        try:
            session.seal(final=final)
        except OSError as error:
            self._stop(error)
        self._forget_if_done(session)

    # -- the disk -------------------------------------------------------------------------------

    def _records(self, size: int) -> bool:
        """Whether media may be written now."""
        if self._stopped is not None and self._capacity.may_resume():
            log.info("recording goes on", after=self._stopped)
            self._stopped = None
        if self._stopped is None and not self._capacity.fits(size):
            self._stopped = "spool-full"
            log.error("recording stopped: the spool is full; is the uploader running?")
        return self._stopped is None

    def _stop(self, error: OSError) -> StopReason:
        if self._stopped is None:
            self._stopped = stop_reason(error)
            log.error("recording stopped: the disk refuses", error=str(error))
        return self._stopped

    def _suffer(self, session: SessionFiles, reason: HoleReason) -> None:
        if not session.suffering:
            self._on_degraded(session.folder.key, reason)

    def _recorded(self, session: SessionFiles, rendition: str) -> None:
        if rendition in session.suffering and self._stopped is None:
            session.suffering.discard(rendition)
            if not session.suffering:
                self._on_restored(session.folder.key)

    def _settle_all(self) -> None:
        for session in list(self._sessions):
            if not session.settled:
                try:
                    session.settle()
                except OSError as error:
                    self._stop(error)
                self._doorbell.ring()
            self._forget_if_done(session)

    def _forget_if_done(self, session: SessionFiles) -> None:
        if session.sealed and session.settled:
            session.abandon()
            self._sessions.discard(session)
            self._doorbell.ring()


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
