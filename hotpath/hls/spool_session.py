"""The open media of one session, appended on the spool's append thread.

Invariant: nothing here waits for the disk to sync; an init section is noted in the journal before
the first part that comes after it, so that a killed process leaves no part without one. What has
to outlive a power cut goes to the `SessionLedger`. Media is never kept in memory: what cannot be
appended becomes a hole.

Upstream: `spool_writer`, which decides when media may be written and catches every OSError.
"""

from base64 import b64encode
from collections import deque

from hotpath.hls import spool_journal as journal
from hotpath.hls.spool_capacity import StopReason
from hotpath.hls.spool_ledger import SessionLedger
from hotpath.hls.spool_manifest import describe
from hotpath.hls.spool_segment import OpenSegment, PartInfo
from hotpath.media.unit import Format


class SessionFiles:
    """The open segments of one incarnation."""

    def __init__(self, ledger: SessionLedger) -> None:
        self.ledger = ledger
        self.folder = ledger.folder
        self.health = ledger.health
        self.sealed = False
        """A seal was asked for; nothing else may follow."""
        self._unnoted: deque[journal.Record] = deque()
        """Init sections that the journal does not have yet."""
        self._open: dict[str, OpenSegment] = {}
        self._lost: dict[str, int] = {}
        """Highest msn given up per rendition; later parts of it are refused."""
        self._timescales: dict[str, int] = {}

    def init(self, format_: Format, number: int, data: bytes) -> None:
        record = {
            "kind": "init",
            "rendition": format_.track,
            "number": number,
            "format": describe(format_),
            "data": b64encode(data).decode(),
        }
        self._timescales[format_.track] = format_.timescale
        self._unnoted.append(record)
        self.ledger.init(record)

    def refuses(self, rendition: str, msn: int) -> bool:
        """The segment was given up; it takes no more parts."""
        return msn <= self._lost.get(rendition, -1)

    def part(self, rendition: str, msn: int, info: PartInfo, data: bytes) -> int:
        """Append one part; returns the bytes that the disk took."""
        self._note_inits()
        opened = self._open.get(rendition)
        if opened is not None and opened.msn != msn:
            self.segment(rendition, opened.msn, None)
            opened = None
        if opened is None:
            opened = OpenSegment(self.folder.path / rendition, msn)
            self._open[rendition] = opened
            self.ledger.close_hole(rendition)
        return opened.append(info, data)

    def _note_inits(self) -> None:
        while self._unnoted:
            record = self._unnoted[0]
            # Made durable by the settler.
            (self.folder.path / record["rendition"]).mkdir(exist_ok=True)
            self.ledger.note(record)
            self._unnoted.popleft()

    def segment(self, rendition: str, msn: int, duration: int | None) -> None:
        """Close the open segment, if it has this number, and owe its sync, line and name."""
        opened = self._open.get(rendition)
        if opened is None or opened.msn != msn or not opened.parts:
            return
        del self._open[rendition]
        closed = opened.close(duration)
        length_ns = closed.entry["duration"] * 1_000_000_000 // self._timescales.get(rendition, 1)
        self.ledger.segment(rendition, closed, closed.entry["pdt_ns"] + length_ns)

    def gap(self, rendition: str, msn: int, start: int, duration: int) -> None:
        record = {"kind": "gap", "rendition": rendition, "msn": msn}
        self.ledger.gap({**record, "start": start, "duration": duration})

    def lose(self, rendition: str, first: int, last: int, reason: StopReason) -> int:
        """Give segments up: drop what is open of them. Returns the bytes that this freed."""
        self._lost[rendition] = max(last, self._lost.get(rendition, -1))
        opened = self._open.get(rendition)
        freed = 0
        if opened is not None and first <= opened.msn <= last:
            freed = opened.bytes
            del self._open[rendition]
            opened.discard()
        self.ledger.hole(rendition, first, last, reason)
        return freed

    def seal(self, *, final: bool) -> None:
        """Close what is open; the seal and the manifest are owed."""
        self.sealed = True
        for rendition, opened in list(self._open.items()):
            self.segment(rendition, opened.msn, None)
        self.ledger.seal(final=final)

    def abandon(self) -> None:
        """Close the files and leave them as they are; recovery knows what to do with them."""
        for opened in self._open.values():
            opened.abandon()
        self._open.clear()
