"""MPEG transport stream demultiplexer: bytes in any chunking in, PES packets and maps out.

Invariant: the output depends on the bytes alone, not on how they were cut; no input raises; memory
is bounded by one PES per carried PID. Follows the first programme of the PAT.

Upstream: `hotpath.ingest.session`. Downstream: `hotpath.media.access_units`. ISO/IEC 13818-1 §2.4.
"""

import struct
from dataclasses import dataclass, field

from hotpath.media.pes import PesAssembler, PesCounters
from hotpath.media.psi import ProgramMap, SectionAssembler, parse_pat, parse_pmt
from hotpath.media.streams import codec_of

PACKET = 188
SYNC = 0x47
_PACKETS = struct.Struct(">I184s")
_PAT_PID, _NULL_PID = 0, 0x1FFF


@dataclass(frozen=True, slots=True)
class MapChanged:
    """The programme's elementary streams are these from here on."""

    map: ProgramMap


@dataclass(slots=True)
class TsCounters:
    packets: int = 0
    continuity_errors: int = 0
    duplicates: int = 0
    scrambled: int = 0
    transport_errors: int = 0
    resyncs: int = 0
    skipped_bytes: int = 0
    other_programs: int = 0
    """Programmes of the PAT that are not followed."""
    pes: PesCounters = field(default_factory=PesCounters)


def has_stuffing(body: bytes) -> bool:
    """Whether the adaptation field at the start of `body` is there to fill the packet."""
    length = body[0]
    if length == 0:
        return True  # one stuffing byte
    flags = body[1]
    if flags == 0:
        return True  # two or more stuffing bytes
    used = 1 + (6 if flags & 0x10 else 0) + (6 if flags & 0x08 else 0) + (flags >> 2 & 1)
    for flag in (0x02, 0x01):  # private data, extension: each with its own length byte
        if flags & flag and used < length:
            used += 1 + body[1 + used]
    return length > used


class TsDemuxer:
    """`receive` bytes, then `poll` events: `Pes`, `Torn`, `MapChanged`, in stream order."""

    def __init__(self) -> None:
        self.counters = TsCounters()
        self._rest = b""
        self._locked = False
        self._pat = SectionAssembler()
        self._pmt = SectionAssembler()
        self._section_cc: dict[int, int] = {}
        self._pmt_pid = _NULL_PID
        self._program = 0
        self._map: ProgramMap | None = None
        self._streams: dict[int, PesAssembler] = {}
        self._out: list[object] = []

    def receive(self, data: bytes, now_ns: int) -> None:
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
        while True:
            if not self._locked:
                at = self._find_sync(data, at)
                if not self._locked:
                    break
            end = at + (size - at) // PACKET * PACKET
            at = self._take_packets(data, at, end, now_ns)
            if self._locked:
                break
        self._rest = data[at:]

    def poll(self) -> list[object]:
        events = self._out.copy()
        self._out.clear()
        return events

    def flush(self) -> None:
        """The stream is over: let go of what is still open."""
        for stream in self._streams.values():
            stream.flush()

    def early_states(self) -> dict[int, str]:
        """Per PID, whether early emission is earned; for statistics."""
        return {pid: s.early.value for pid, s in self._streams.items() if s.video}

    def _find_sync(self, data: bytes, at: int) -> int:
        """Two sync bytes a packet apart; where to go on, or where to keep bytes from."""
        size = len(data)
        while True:
            found = data.find(b"\x47", at)
            if found < 0:
                self.counters.skipped_bytes += size - at
                return size
            self.counters.skipped_bytes += found - at
            if found + PACKET >= size:
                return found
            if data[found + PACKET] == SYNC:
                self._locked = True
                return found
            self.counters.skipped_bytes += 1
            at = found + 1

    def _take_packets(self, data: bytes, at: int, end: int, now_ns: int) -> int:
        streams = self._streams
        index = -1
        packets = _PACKETS.iter_unpack(memoryview(data)[at:end])
        for index, (header, body) in enumerate(packets):
            stream = streams.get(header >> 8 & 0x1FFF)
            # Nearly every packet is the plain continuation of its PES: one comparison covers sync
            # byte, flags, PID and continuity counter.
            if stream is not None and header == stream.expect:
                stream.chunks.append(body)
                stream.size += 184
                stream.at_ns = now_ns
                stream.cc = header & 15
                stream.expect = header & ~15 | (header + 1) & 15
                if stream.size >= stream.limit:
                    stream.reached_limit()
            elif header >> 24 != SYNC:
                self._locked = False
                self.counters.resyncs += 1
                self.counters.packets += index
                return at + index * PACKET
            else:
                self._take_packet(header, body, now_ns, stream)
                streams = self._streams
        self.counters.packets += index + 1
        return end

    def _take_packet(
        self, header: int, body: bytes, now_ns: int, stream: PesAssembler | None
    ) -> None:
        pid = header >> 8 & 0x1FFF
        if header & 0x800000:
            self.counters.transport_errors += 1
            return
        if (stream is None and pid not in (_PAT_PID, self._pmt_pid)) or pid == _NULL_PID:
            return
        if header & 0xC0:
            self.counters.scrambled += 1
            return
        stuffed = jump = False
        payload = body
        if header & 0x20:
            length = body[0]
            if length > 183:
                self.counters.transport_errors += 1
                return
            stuffed = has_stuffing(body)
            jump = length > 0 and bool(body[1] & 0x80)
            payload = body[1 + length :]
        if not header & 0x10:
            if jump and stream is not None:
                stream.cc = -1
            return
        start = bool(header & 0x400000)
        if stream is None:
            self._take_section(pid, payload, start, header & 15)
        elif self._in_sequence(stream, header & 15, payload, jump):
            if start:
                stream.start(payload, stuffed, now_ns)
            else:
                stream.more(payload, stuffed, now_ns)
            stream.expect = stream.next_header()

    def _in_sequence(self, stream: PesAssembler, cc: int, payload: bytes, jump: bool) -> bool:
        """Follow the continuity counter; False for a duplicate, which is to be dropped."""
        last, stream.cc = stream.cc, cc
        if last < 0 or cc == (last + 1 & 15) or jump:
            return True
        # §2.4.3.3: a packet may be sent twice; the second one is the same, PCR apart.
        if cc == last and payload == (stream.chunks[-1] if stream.chunks else stream.tail):
            self.counters.duplicates += 1
            return False
        self.counters.continuity_errors += 1
        stream.lost()
        return True

    def _take_section(self, pid: int, payload: bytes, start: bool, cc: int) -> None:
        assembler = self._pat if pid == _PAT_PID else self._pmt
        last = self._section_cc.get(pid)
        if last == cc and not start:
            return  # a repeated table does no harm (some muxers never count), half of one would
        if last is not None and cc not in (last, last + 1 & 15):
            assembler.lose()
        self._section_cc[pid] = cc
        for section in assembler.receive(payload, start=start):
            if pid == _PAT_PID:
                self._take_pat(section)
            else:
                self._take_pmt(section)

    def _take_pat(self, section: bytes) -> None:
        programs = parse_pat(section)
        if not programs:
            return
        self.counters.other_programs = len(programs) - 1
        if (self._program, self._pmt_pid) in programs:
            return
        self._program, self._pmt_pid = programs[0]
        self._pmt.forget()
        self._section_cc.pop(self._pmt_pid, None)

    def _take_pmt(self, section: bytes) -> None:
        found = parse_pmt(section)
        if found is None or found.program != self._program or found == self._map:
            return
        before = {e.pid: e for e in self._map.streams} if self._map else {}
        self._map = found
        streams: dict[int, PesAssembler] = {}
        for entry in found.streams:
            codec = codec_of(entry)
            if codec is None:
                continue
            known = self._streams.get(entry.pid)
            if known is not None and before[entry.pid].stream_type == entry.stream_type:
                streams[entry.pid] = known
            else:
                video = codec.kind == "video"
                streams[entry.pid] = PesAssembler(entry.pid, video, self._out, self.counters.pes)
        for pid, stream in self._streams.items():
            if streams.get(pid) is not stream:
                stream.flush()
        self._streams = streams
        self._out.append(MapChanged(found))
