"""The spool's append thread: takes operations from the queue, keeps the disk's failures here.

Invariant: no OSError leaves the thread, and nothing on it waits for the disk to sync: parts go into
the page cache, where they survive `kill -9`, and the settler makes closed segments durable. A full
disk or spool stops recording in every session until there is room again; any other failure costs
the segment that met it. Media that is not written becomes holes.

Upstream: `spool`, on any thread, through the queue. Downstream: `spool_session`, `spool_settler`.
"""

import threading

from hotpath.hls.recorder import HoleReason
from hotpath.hls.spool_capacity import Capacity, StopReason
from hotpath.hls.spool_queue import WriteQueue
from hotpath.hls.spool_segment import PartInfo
from hotpath.hls.spool_session import SessionFiles
from hotpath.hls.spool_settler import SpoolSettler
from hotpath.media.unit import Format


class SpoolWriter:
    """Everything below runs on the append thread, except `start` and `join`."""

    def __init__(self, queue: WriteQueue, capacity: Capacity, settler: SpoolSettler) -> None:
        self._queue = queue
        self._capacity = capacity
        self._settler = settler
        self._sessions: set[SessionFiles] = set()
        self._thread = threading.Thread(target=self._run, name="spool-append", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while operation := self._queue.take():
            operation()
        for session in self._sessions:
            session.abandon()
        self._settler.close()

    # -- operations -----------------------------------------------------------------------------

    def open(self, session: SessionFiles) -> None:
        self._sessions.add(session)
        self._settler.nudge(session.ledger)

    def init(self, session: SessionFiles, format_: Format, number: int, data: bytes) -> None:
        if not session.sealed:
            session.init(format_, number, data)
            self._settler.nudge(session.ledger)

    def part(
        self, session: SessionFiles, rendition: str, msn: int, info: PartInfo, data: bytes
    ) -> None:
        if session.sealed or session.refuses(rendition, msn):
            return
        if not self._capacity.has_room(len(data)):
            self.lose(session, rendition, msn, msn, "spool-full")
            return
        if refusal := session.ledger.refusal:
            self.lose(session, rendition, msn, msn, refusal)
            return
        try:
            self._capacity.add(session.part(rendition, msn, info, data))
        except OSError as error:
            self.lose(session, rendition, msn, msn, self._capacity.failed(error))
            return
        if session.ledger.owes:
            self._settler.nudge(session.ledger)

    def segment(self, session: SessionFiles, rendition: str, msn: int, duration: int) -> None:
        if not session.sealed and not session.refuses(rendition, msn):
            session.segment(rendition, msn, duration)
            self._settler.nudge(session.ledger)

    def gap(
        self, session: SessionFiles, rendition: str, msn: int, start: int, duration: int
    ) -> None:
        if not session.sealed:
            session.gap(rendition, msn, start, duration)
            self._settler.nudge(session.ledger)

    def hole(
        self, session: SessionFiles, rendition: str, first: int, last: int, reason: HoleReason
    ) -> None:
        """Segments that the packager could not give; what it gave of them stays."""
        if not session.sealed:
            session.health.lost(rendition, last, reason)
            session.ledger.hole(rendition, first, last, reason)
            self._settler.nudge(session.ledger)

    def lose(
        self, session: SessionFiles, rendition: str, first: int, last: int, reason: StopReason
    ) -> None:
        """Segments that the spool could not take."""
        if not session.sealed:
            session.health.lost(rendition, last, reason)
            self._capacity.add(-session.lose(rendition, first, last, reason))
            self._settler.nudge(session.ledger)

    def seal(self, session: SessionFiles, *, final: bool) -> None:
        if not session.sealed:
            session.seal(final=final)
            self._sessions.discard(session)
            self._settler.nudge(session.ledger)
