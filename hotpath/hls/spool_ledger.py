"""What one session owes the disk: all that has to outlive a power cut, kept in order in memory.

Invariant: a journalled segment was durable before its line, and the manifest is written after the
last segment. A step that the disk refuses (folder, init section, final name, hole, seal) is tried
again by the next `settle`; a segment that cannot be synced is given up and becomes a hole.

Two threads meet here. `settle` and `close` wait for the disk and belong to the settler; everything
else touches memory and the page cache only and belongs to the append thread, which therefore never
stands behind an fsync.

Upstream: `spool_session`, on the append thread; `spool_settler`, on its own. Downstream:
`spool_journal`, `spool_manifest`.
"""

import errno
import threading
from base64 import b64decode
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog

from hotpath.hls import spool_journal as journal
from hotpath.hls.recorder import HoleReason
from hotpath.hls.spool_capacity import Capacity, StopReason
from hotpath.hls.spool_health import RecordingHealth
from hotpath.hls.spool_layout import SessionFolder, init_name
from hotpath.hls.spool_manifest import segment_record, write_manifest
from hotpath.hls.spool_segment import ClosedSegment
from infra.manifest import Hole

log = structlog.get_logger(__name__)

MAX_OWED = 4096
"""Steps (mostly closed segments, half a kilobyte each) that wait while the disk does not sync."""
_MAX_OWED_GAPS = 1000
"""A gap that is not noted is found again as a missing number."""
_MKDIR_ATTEMPTS = 5


class SessionLedger:
    """Journal, init sections, closed segments and holes of one incarnation."""

    def __init__(
        self,
        folder: SessionFolder,
        header: journal.Record,
        health: RecordingHealth,
        capacity: Capacity,
        ring: Callable[[], None],
    ) -> None:
        """`ring` tells the uploader that there is something new."""
        self.folder = folder
        self.health = health
        self.finished = False
        """The manifest is on disk: nothing will be owed again."""
        self._header = header
        self._capacity = capacity
        self._ring = ring
        self._journal: journal.Journal | None = None
        self._refusal: StopReason | None = None
        self._owed: deque[Callable[[], object]] = deque([self._create])
        self._holes: dict[str, Hole] = {}
        """The latest hole of a rendition, which may still grow."""
        self._grown: set[str] = set()
        """Renditions whose latest hole is not in the journal as it is now."""
        self._lock = threading.Lock()
        """Guards the two above; never held while anything is written."""
        self._ended_ns: int = header["started_ns"]

    # -- the append thread: memory and page cache only ------------------------------------------

    @property
    def refusal(self) -> StopReason | None:
        """Why no media may be appended now: the disk refuses, or too much waits for it."""
        return "disk-error" if len(self._owed) >= MAX_OWED else self._refusal

    @property
    def owes(self) -> bool:
        return bool(self._owed)

    def note(self, record: journal.Record) -> None:
        """Into the journal without waiting: it survives the process, not yet the machine."""
        if self._journal is None:
            raise FileNotFoundError(errno.ENOENT, "not open", self.folder.journal)
        self._journal.append(record, durable=False)

    def init(self, record: journal.Record) -> None:
        """`record` as the journal has it."""
        self._owed.append(partial(self._write_init, record))

    def segment(self, rendition: str, closed: ClosedSegment, ended_ns: int) -> None:
        self._owed.append(partial(self._finish, rendition, closed, ended_ns))

    def gap(self, record: journal.Record) -> None:
        if len(self._owed) < _MAX_OWED_GAPS:
            self._owed.append(partial(self._append, record))

    def hole(self, rendition: str, first: int, last: int, reason: HoleReason) -> None:
        with self._lock:
            hole = self._holes.get(rendition)
            if hole and hole.reason == reason and hole.first_msn <= first <= hole.last_msn + 1:
                first, last = hole.first_msn, max(last, hole.last_msn)
            elif hole:
                self._owed.append(partial(self._append, _hole_record(rendition, hole)))
            self._holes[rendition] = Hole(first_msn=first, last_msn=last, reason=reason)
            self._grown.add(rendition)

    def close_hole(self, rendition: str) -> None:
        """A segment follows: the hole grows no more."""
        with self._lock:
            hole = self._holes.pop(rendition, None)
            self._grown.discard(rendition)
            if hole is not None:
                self._owed.append(partial(self._append, _hole_record(rendition, hole)))

    def seal(self, *, final: bool) -> None:
        """Nothing follows. The manifest is on disk once `finished` says so."""
        for rendition in list(self._holes):
            self.close_hole(rendition)
        self._owed.append(partial(self._seal, final))
        self._owed.append(self._write_manifest)

    # -- the settler: waits for the disk --------------------------------------------------------

    def settle(self) -> None:
        """Do what is owed, in order, up to the first step that the disk refuses."""
        try:
            while self._owed:
                self._settle_next()
            self._write_grown()
        except OSError as error:
            reason = self._capacity.failed(error)
            if reason == "disk-error" and self._refusal is None:
                log.error("the disk refuses", session=str(self.folder.path), error=str(error))
            self._refusal = reason
        else:
            self._refusal = None

    def _settle_next(self) -> None:
        step = self._owed.popleft()
        try:
            step()
        except OSError:
            self._owed.appendleft(step)
            raise

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _create(self) -> None:
        make_durable(self.folder.path)
        if self._journal is None:
            self._journal = journal.Journal(self.folder.journal)
        self._append(self._header)
        journal.sync_folder(self.folder.path)

    def _append(self, *records: journal.Record) -> None:
        if self._journal is None:
            raise FileNotFoundError(errno.ENOENT, "not open", self.folder.journal)
        self._journal.append(*records)

    def _write_init(self, record: journal.Record) -> None:
        # The append thread may have noted it already, which a power cut undoes; readers count a
        # repeated number once.
        self._append(record)
        rendition = self.folder.path / record["rendition"]
        rendition.mkdir(exist_ok=True)
        journal.sync_folder(self.folder.path)
        journal.write_file(rendition / init_name(record["number"]), b64decode(record["data"]))
        self._ring()

    def _finish(self, rendition: str, closed: ClosedSegment, ended_ns: int) -> None:
        if not closed.journalled:
            try:
                closed.sync()
                self._append(segment_record(rendition, closed.entry))
            except OSError as error:
                self._give_up(rendition, closed, self._capacity.failed(error))
                return
            closed.journalled = True
            self._ended_ns = max(self._ended_ns, ended_ns)
        closed.finish()
        self._ring()
        self.health.recorded(rendition, closed.msn)

    def _give_up(self, rendition: str, closed: ClosedSegment, reason: StopReason) -> None:
        self.health.lost(rendition, closed.msn, reason)
        closed.discard()
        # Its line may be in the journal, though the disk did not confirm it: hence `lost`.
        lost = {"kind": "lost", "rendition": rendition, "msn": closed.msn}
        hole = Hole(first_msn=closed.msn, last_msn=closed.msn, reason=reason)
        # At the front, so that a seal stays behind it.
        self._owed.appendleft(partial(self._append, lost, _hole_record(rendition, hole)))

    def _write_grown(self) -> None:
        while self._grown:
            with self._lock:
                if not self._grown:
                    return
                rendition = self._grown.pop()
                hole = self._holes[rendition]
            try:
                self.note(_hole_record(rendition, hole))
            except OSError:
                with self._lock:
                    if rendition in self._holes:
                        self._grown.add(rendition)
                raise

    def _seal(self, final: bool) -> None:
        self._append({"kind": "seal", "final": final, "ended_ns": self._ended_ns})

    def _write_manifest(self) -> None:
        # A second attempt may come when the uploader has taken everything away already.
        if self.folder.journal.exists():
            write_manifest(self.folder)
            self._ring()
        self.finished = True


def _hole_record(rendition: str, hole: Hole) -> journal.Record:
    return {"kind": "hole", "rendition": rendition, **hole.model_dump()}


def make_durable(folder: Path) -> None:
    """Create a folder and its missing parents so that they outlive a power cut."""
    for _ in range(_MKDIR_ATTEMPTS):
        if folder.is_dir():
            return
        make_durable(folder.parent)
        # The uploader removes empty parents of finished sessions, perhaps just now.
        with suppress(FileNotFoundError):
            folder.mkdir(exist_ok=True)
            journal.sync_folder(folder.parent)
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder vanishes as soon as it is made", folder)
