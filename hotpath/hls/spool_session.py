"""The files of one session, written on the spool's writer thread.

Invariant: a journalled segment was durable before its line, and the manifest is written after the
last segment. What must not be lost when the disk refuses (folder, init sections, holes, seal) is
*owed*: kept in order in memory and tried again by `settle`; media is never kept, it becomes a hole.

Upstream: `spool_writer`, which decides when media may be written and catches every OSError.
"""

import errno
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from hotpath.hls import spool_journal as journal
from hotpath.hls.recorder import HoleReason
from hotpath.hls.spool_health import RecordingHealth
from hotpath.hls.spool_layout import SessionFolder, init_name
from hotpath.hls.spool_manifest import describe, segment_record, write_manifest
from hotpath.hls.spool_segment import OpenSegment, PartInfo, segment_entry
from hotpath.media.unit import Format
from infra.manifest import Hole

_MKDIR_ATTEMPTS = 5
_MAX_OWED_GAPS = 1000
"""A gap that is not noted is found again as a missing number."""


class SessionFiles:
    """Journal, init sections, open segments and holes of one incarnation."""

    def __init__(
        self, folder: SessionFolder, header: journal.Record, health: RecordingHealth
    ) -> None:
        self.folder = folder
        self.health = health
        self.sealed = False
        """A seal was asked for; nothing else may follow."""
        self._header = header
        self._journal: journal.Journal | None = None
        self.complained = False
        """The log knows that the disk refuses what is owed."""
        self._owed: deque[Callable[[], object]] = deque([self._create])
        self._open: dict[str, OpenSegment] = {}
        self._holes: dict[str, Hole] = {}
        """The latest hole of a rendition, which may still grow."""
        self._grown: set[str] = set()
        """Renditions whose latest hole is not in the journal as it is now."""
        self._lost: dict[str, int] = {}
        """Highest msn given up per rendition; later parts of it are refused."""
        self._timescales: dict[str, int] = {}
        self._ended_ns: int = header["started_ns"]

    # -- what is owed ---------------------------------------------------------------------------

    def settle(self) -> None:
        """Do what is owed, in order, up to the first that the disk refuses (OSError)."""
        while self._owed:
            self._owed[0]()
            self._owed.popleft()
        while self._grown:
            rendition = next(iter(self._grown))
            self._write_hole(rendition, self._holes[rendition], durable=False)
            self._grown.discard(rendition)

    def _create(self) -> None:
        make_durable(self.folder.path)
        if self._journal is None:
            self._journal = journal.Journal(self.folder.journal)
        self._append(self._header)
        journal.sync_folder(self.folder.path)

    def _append(self, record: journal.Record, *, durable: bool = True) -> int:
        if self._journal is None:
            raise FileNotFoundError(f"{self.folder.journal} is not open")
        return self._journal.append(record, durable=durable)

    # -- media ----------------------------------------------------------------------------------

    def init(self, format_: Format, number: int, data: bytes) -> None:
        self._timescales[format_.track] = format_.timescale
        self._owed.append(partial(self._write_init, format_, number, data))

    def _write_init(self, format_: Format, number: int, data: bytes) -> None:
        record = {
            "kind": "init",
            "rendition": format_.track,
            "number": number,
            "format": describe(format_),
            "data": b64encode(data).decode(),
        }
        self._append(record)
        rendition = self.folder.path / format_.track
        make_durable(rendition)
        journal.write_file(rendition / init_name(number), data)

    def refuses(self, rendition: str, msn: int) -> bool:
        """The segment was given up; it takes no more parts."""
        return msn <= self._lost.get(rendition, -1)

    def part(self, rendition: str, msn: int, info: PartInfo, data: bytes) -> int:
        """Append one part; returns the bytes that the disk took."""
        self.settle()
        opened = self._open.get(rendition)
        if opened is not None and opened.msn != msn:
            self.segment(rendition, opened.msn, None)
            self.settle()
            opened = None
        if opened is None:
            self._close_hole(rendition)
            self.settle()
            opened = OpenSegment(self.folder.path / rendition, msn)
            self._open[rendition] = opened
        return opened.append(info, data)

    def segment(self, rendition: str, msn: int, duration: int | None) -> bool:
        """Make the open segment durable and journal it; False if there is none of this number.

        Its final name is owed.
        """
        opened = self._open.get(rendition)
        if opened is None or opened.msn != msn or not opened.parts:
            return False
        entry = segment_entry(msn, opened.parts, duration)
        opened.sync()
        self._append(segment_record(rendition, entry))
        del self._open[rendition]
        self._note_end(rendition, entry)
        self._owed.append(opened.finish)
        return True

    def _note_end(self, rendition: str, entry: journal.Record) -> None:
        length_ns = entry["duration"] * 1_000_000_000 // self._timescales.get(rendition, 1)
        self._ended_ns = max(self._ended_ns, entry["pdt_ns"] + length_ns)

    def gap(self, rendition: str, msn: int, start: int, duration: int) -> None:
        record = {"kind": "gap", "rendition": rendition, "msn": msn}
        if len(self._owed) < _MAX_OWED_GAPS:
            step = partial(self._append, {**record, "start": start, "duration": duration})
            self._owed.append(step)

    # -- losses ---------------------------------------------------------------------------------

    def lose(self, rendition: str, first: int, last: int, reason: HoleReason) -> int:
        """Give segments up: drop what is open of them. Returns the bytes that this freed."""
        self._lost[rendition] = max(last, self._lost.get(rendition, -1))
        opened = self._open.get(rendition)
        freed = 0
        if opened is not None and first <= opened.msn <= last:
            freed = opened.bytes
            del self._open[rendition]
            opened.discard()
        self.hole(rendition, first, last, reason)
        return freed

    def hole(self, rendition: str, first: int, last: int, reason: HoleReason) -> None:
        """List segments as missing or incomplete; parts that are written stay."""
        hole = self._holes.get(rendition)
        if hole and hole.reason == reason and hole.first_msn <= first <= hole.last_msn + 1:
            first, last = hole.first_msn, max(last, hole.last_msn)
        elif hole:
            self._owed.append(partial(self._write_hole, rendition, hole))
        self._holes[rendition] = Hole(first_msn=first, last_msn=last, reason=reason)
        self._grown.add(rendition)

    def _close_hole(self, rendition: str) -> None:
        hole = self._holes.pop(rendition, None)
        self._grown.discard(rendition)
        if hole is not None:
            self._owed.append(partial(self._write_hole, rendition, hole))

    def _write_hole(self, rendition: str, hole: Hole, *, durable: bool = True) -> None:
        record = {"kind": "hole", "rendition": rendition, **hole.model_dump()}
        self._append(record, durable=durable)

    # -- the end --------------------------------------------------------------------------------

    def seal(self, *, final: bool) -> None:
        """Owe the seal and the manifest: they are on disk when `settle` returns."""
        self.sealed = True
        for rendition in list(self._holes):
            self._close_hole(rendition)
        self._owed.append(partial(self._seal, final))
        self._owed.append(self._write_manifest)

    def _seal(self, final: bool) -> None:
        self._append({"kind": "seal", "final": final, "ended_ns": self._ended_ns})

    def _write_manifest(self) -> None:
        # A second attempt may come when the uploader has taken everything away already.
        if self.folder.journal.exists():
            write_manifest(self.folder)

    def open_segments(self) -> list[tuple[str, int]]:
        return [(rendition, opened.msn) for rendition, opened in self._open.items()]

    def abandon(self) -> None:
        """Close the files and leave them as they are; recovery knows what to do with them."""
        for opened in self._open.values():
            opened.abandon()
        self._open.clear()
        if self._journal is not None:
            self._journal.close()
            self._journal = None


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
