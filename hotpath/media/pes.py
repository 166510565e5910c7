"""Packetised elementary stream: packet payloads of one PID in, whole PES packets out.

Invariant: every byte of a PES leaves exactly once, in order, or the loss is reported: inside the
packet (`Pes.damaged`) or before it (`Torn`). A video PES of unknown length is complete only when
the next one starts, which costs a frame of delay. It is let go earlier, on the stuffing in its
last transport packet, only after that has proven true: stuffing in the middle is legal
(ISO/IEC 13818-1 §2.4.3.5), so early emission is earned by `EVIDENCE` packets and lost for the
whole session by a single contradiction.

Upstream: `hotpath.media.ts`. Downstream: `hotpath.media.access_units`. ISO/IEC 13818-1 §2.4.3.6.
"""

from dataclasses import dataclass, field
from enum import Enum

EVIDENCE = 64
"""PES packets that must end at stuffing, and only there, before stuffing is trusted."""
MAX_PES = 8 * 1024 * 1024
_NO_HEADER = frozenset({0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF})  # table 2-21


@dataclass(frozen=True, slots=True)
class Pes:
    """One PES packet (several, where they share a PTS)."""

    pid: int
    pts: int | None
    """33 bits, 90 kHz."""
    dts: int | None
    data: bytes
    damaged: bool
    """Bytes are missing inside."""
    received_ns: int
    """When its last byte was received."""


@dataclass(frozen=True, slots=True)
class Torn:
    """Something between the packet before and the next one is missing."""

    pid: int


class Early(Enum):
    LEARNING = "learning"
    EARNED = "earned"
    REFUSED = "refused"
    """This stream contradicted the rule; it stays with the safe way."""


@dataclass(slots=True)
class PesCounters:
    early: int = 0
    """Emitted on stuffing or length, before the next packet started."""
    late: int = 0
    """Emitted when the next packet started."""
    malformed: int = 0
    oversize: int = 0


def _timestamp(data: bytes, at: int) -> int:
    return (
        (data[at] >> 1 & 7) << 30
        | data[at + 1] << 22
        | data[at + 2] >> 1 << 15
        | data[at + 3] << 7
        | data[at + 4] >> 1
    )


def parse_header(data: bytes) -> tuple[int, int | None, int | None] | None:
    """(header size, pts, dts), or None if the header is malformed or not whole."""
    if len(data) < 9 or data[:3] != b"\0\0\x01":
        return None
    if data[3] in _NO_HEADER:
        return 6, None, None
    size = 9 + data[8]
    flags = data[7] >> 6
    needed = {0: 0, 2: 5, 3: 10}.get(flags, 256)
    if data[6] >> 6 != 2 or size > len(data) or data[8] < needed:
        return None
    pts = _timestamp(data, 9) if flags & 2 else None
    return size, pts, _timestamp(data, 14) if flags == 3 else pts


@dataclass(slots=True)
class PesAssembler:
    """Collects one PID. `expect`, `chunks`, `size`, `limit` and `at_ns` are open to the demuxer,
    which appends plain continuation packets itself."""

    pid: int
    video: bool
    out: list[object]
    """Where `Pes` and `Torn` go, in stream order with the events of other PIDs."""
    counters: PesCounters
    early: Early = Early.LEARNING
    cc: int = -1
    """Continuity counter of the last packet that bore payload; -1: none yet."""
    expect: int = -1
    """Header of the next packet if it is a plain continuation; -1: look closer."""
    limit: int = MAX_PES
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    at_ns: int = 0
    tail: bytes = b""
    """Last payload before `chunks` was cleared; tells a duplicate packet from a lost round."""
    _open: bool = False
    _need: int = 0
    _stuffed: bool = False
    _damaged: bool = False
    _joined: list[bytes] = field(default_factory=list)
    _pts: int | None = None
    _dts: int | None = None
    _sent_early: bool = False
    """The last PES left before the next one started, with the timestamp in `_pts`."""
    _evidence: int = 0

    def start(self, payload: bytes, stuffed: bool, now_ns: int) -> None:
        """A packet with payload_unit_start_indicator."""
        header = parse_header(payload)
        pts = header[1] if header else None
        same = self.video and header is not None and (pts is None or pts == self._pts)
        if self._open:
            if same and self._pts is not None:
                self._join()
            else:
                self._finish_late()
        elif self._sent_early and same:
            self._contradicted()
            return
        if payload[:3] != b"\0\0\x01":
            self.counters.malformed += 1
            self.abandon()
            return
        length = payload[4] << 8 | payload[5] if len(payload) >= 6 else 0
        self._need = length + 6 if length else 0
        self.limit = self._need or MAX_PES
        if not self._joined:
            self._pts = pts
            self._damaged = False
        self.chunks, self.size = [payload], len(payload)
        self._open, self._stuffed, self._sent_early = True, stuffed, False
        self.at_ns = now_ns
        self._advance()

    def more(self, payload: bytes, stuffed: bool, now_ns: int) -> None:
        """A continuation packet."""
        if not self._open:
            if self._sent_early and not self._need and payload:
                self._contradicted()
            return
        if self._need and self.size >= self._need:
            return  # bytes behind a PES of stated length belong to nothing
        if self._stuffed:
            self.early = Early.REFUSED
        self.chunks.append(payload)
        self.size += len(payload)
        self._stuffed = stuffed
        self.at_ns = now_ns
        self._advance()

    def lost(self) -> None:
        """Packets of this PID are missing here."""
        self.out.append(Torn(self.pid))
        self._damaged = self._open
        self._sent_early = False
        self._stuffed = False

    def abandon(self) -> None:
        """Drop what is open and say so."""
        self._clear()
        self._sent_early = False
        self._joined = []
        self.out.append(Torn(self.pid))

    def reached_limit(self) -> None:
        """`size` has come to `limit`: the stated length, or more than is held."""
        if not self._need:
            self.counters.oversize += 1
            self.abandon()
        elif not self.video or self.early is Early.EARNED:
            self.counters.early += 1
            self._finish(self._damaged)
            self._sent_early = True
        else:
            self.expect = -1

    def flush(self) -> None:
        """Nothing follows: emit what is open, as damaged unless its end was seen."""
        if self._open:
            whole = self.size >= self._need if self._need else self._stuffed
            self._finish(self._damaged or not whole)

    def _advance(self) -> None:
        if self.size >= self.limit:
            self.reached_limit()
        elif self._stuffed and not self._need and self.early is Early.EARNED:
            self.counters.early += 1
            self._finish(self._damaged)
            self._sent_early = True

    def next_header(self) -> int:
        """What `expect` must be after a packet with counter `cc`."""
        plain = self._open and not self._stuffed and self.size < self.limit
        return 0x47000010 | self.pid << 8 | (self.cc + 1 & 15) if plain else -1

    def _finish_late(self) -> None:
        self.counters.late += 1
        short = bool(self._need) and self.size < self._need
        if self.video and self.early is Early.LEARNING and not self._damaged:
            ended = self.size >= self._need if self._need else self._stuffed
            self._evidence += ended
            if self._evidence >= EVIDENCE:
                self.early = Early.EARNED
        self._finish(self._damaged or short)

    def _finish(self, damaged: bool) -> None:
        data = b"".join(self.chunks)
        header = parse_header(data)
        joined, self._joined = self._joined, []
        self._clear()
        if header is None:
            self.counters.malformed += 1
            self.out.append(Torn(self.pid))
            return
        size, pts, dts = header
        body = data[size : self._need] if self._need else data[size:]
        if joined:
            pts, dts = self._pts, self._dts
            body = b"".join((*joined, body))
        self._pts = pts
        self.out.append(Pes(self.pid, pts, dts, body, damaged, self.at_ns))

    def _join(self) -> None:
        """The next PES carries the same picture (a field or a slice): keep collecting."""
        self.early = Early.REFUSED
        data = b"".join(self.chunks)
        header = parse_header(data)
        if header is None:
            self.counters.malformed += 1
            self.out.append(Torn(self.pid))
            return
        if not self._joined:
            self._dts = header[2]
        self._damaged |= bool(self._need) and self.size < self._need
        self._joined.append(data[header[0] : self._need] if self._need else data[header[0] :])
        if sum(map(len, self._joined)) > MAX_PES:
            self.counters.oversize += 1
            self.abandon()

    def _contradicted(self) -> None:
        """More of a unit that has left already: never again, and its rest is lost."""
        self.early = Early.REFUSED
        self._sent_early = False
        self.out.append(Torn(self.pid))

    def _clear(self) -> None:
        if self.chunks:
            self.tail = self.chunks[-1]
        self.chunks, self.size = [], 0
        self._open, self._stuffed, self._damaged = False, False, False
        self.limit, self.expect = MAX_PES, -1
