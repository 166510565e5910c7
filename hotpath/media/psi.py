"""Program specific information of a transport stream: PAT and PMT.

Invariant: a table is returned only for a complete section whose CRC holds and whose content
changed; sections arrive in any packetisation. Upstream: `hotpath.media.ts`. ISO/IEC 13818-1 §2.4.4.
"""

from dataclasses import dataclass

MAX_SECTION = 1024  # §2.4.4.9 and §2.4.4.5: a PAT or PMT section is at most 1,021 + 3 bytes
PAT_TABLE, PMT_TABLE = 0x00, 0x02


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1
        table.append(crc & 0xFFFFFFFF)
    return tuple(table)


_TABLE = _crc_table()


def crc32_mpeg(data: bytes) -> int:
    """CRC of annex A; over a section that carries its own CRC the result is 0."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _TABLE[(crc >> 24) ^ byte]
    return crc


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One elementary stream as the PMT declares it."""

    pid: int
    stream_type: int
    descriptors: tuple[tuple[int, bytes], ...] = ()

    @property
    def registration(self) -> bytes:
        """format_identifier of the registration descriptor (tag 5), or nothing."""
        return next((body[:4] for tag, body in self.descriptors if tag == 0x05), b"")

    @property
    def language(self) -> tuple[str, int]:
        """(three letters, audio_type) of the ISO 639 language descriptor (tag 10), §2.6.18.

        A stream may have several languages; this is the first. Nothing of it can be relied on.
        """
        bodies = (body for tag, body in self.descriptors if tag == 0x0A and len(body) >= 4)
        body = next(bodies, b"\0\0\0\0")
        return body[:3].decode("latin-1"), body[3]


@dataclass(frozen=True, slots=True)
class ProgramMap:
    """The elementary streams of the programme that is followed."""

    program: int
    pcr_pid: int
    streams: tuple[StreamEntry, ...]


class SectionAssembler:
    """Joins the sections of one PID from packet payloads; equal repeats are dropped early."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._open = False
        self._last = b""
        self.bad_crc = 0

    def receive(self, payload: bytes, *, start: bool) -> list[bytes]:
        """Complete sections that differ from the one before, CRC checked."""
        sections: list[bytes] = []
        if not start:
            if self._open:
                self._buffer += payload
                self._take(sections)
            return sections
        if not payload:
            return sections
        pointer = 1 + payload[0]
        if self._open and pointer > 1:
            self._buffer += payload[1:pointer]
            self._take(sections)
        self._buffer = bytearray(payload[pointer:])
        self._open = True
        self._take(sections)
        return sections

    def lose(self) -> None:
        """A packet of this PID is missing: what is open cannot be completed."""
        self._open = False
        self._buffer.clear()

    def forget(self) -> None:
        """Report the next section even if it repeats the last one."""
        self._last = b""
        self.lose()

    def _take(self, sections: list[bytes]) -> None:
        while self._open and len(self._buffer) >= 3:
            if self._buffer[0] == 0xFF:  # stuffing up to the end of the packet
                self.lose()
                return
            size = 3 + ((self._buffer[1] & 0x0F) << 8 | self._buffer[2])
            if size > MAX_SECTION:
                self.lose()
                return
            if len(self._buffer) < size:
                return
            section = bytes(self._buffer[:size])
            del self._buffer[:size]
            if section == self._last:
                continue
            if crc32_mpeg(section):
                self.bad_crc += 1
                continue
            self._last = section
            sections.append(section)


def parse_pat(section: bytes) -> list[tuple[int, int]] | None:
    """(program number, PMT PID) of every programme, or None if this is no current PAT."""
    if len(section) < 12 or section[0] != PAT_TABLE or not section[5] & 1:
        return None
    programs = []
    for at in range(8, len(section) - 4 - 3, 4):
        number = section[at] << 8 | section[at + 1]
        if number:  # 0 is the network PID
            programs.append((number, (section[at + 2] & 0x1F) << 8 | section[at + 3]))
    return programs


def _descriptors(data: bytes) -> tuple[tuple[int, bytes], ...]:
    found = []
    at = 0
    while at + 2 <= len(data):
        end = at + 2 + data[at + 1]
        if end > len(data):
            break
        found.append((data[at], data[at + 2 : end]))
        at = end
    return tuple(found)


def parse_pmt(section: bytes) -> ProgramMap | None:
    """The programme map, or None if this is no current PMT."""
    if len(section) < 16 or section[0] != PMT_TABLE or not section[5] & 1:
        return None
    program = section[3] << 8 | section[4]
    pcr_pid = (section[8] & 0x1F) << 8 | section[9]
    end = len(section) - 4
    at = 12 + ((section[10] & 0x0F) << 8 | section[11])
    streams: list[StreamEntry] = []
    while at + 5 <= end:
        pid = (section[at + 1] & 0x1F) << 8 | section[at + 2]
        info = at + 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
        if info > end:
            break
        if all(known.pid != pid for known in streams):
            streams.append(StreamEntry(pid, section[at], _descriptors(section[at + 5 : info])))
        at = info
    return ProgramMap(program, pcr_pid, tuple(streams))
