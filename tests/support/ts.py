"""Builds transport streams packet by packet, so that tests can place every byte."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hotpath.media.psi import crc32_mpeg

PMT_PID, VIDEO_PID, AUDIO_PID = 0x1000, 0x100, 0x101
H264, HEVC, AAC, MP2, PRIVATE = 0x1B, 0x24, 0x0F, 0x03, 0x06

SPS = bytes.fromhex("6742c01eda0280bfe5c044000003000400000300f23c58ba80")
"""640x360, constrained baseline 3.0, 30 fps in the VUI."""


def plain_sps(width: int, height: int) -> bytes:
    """A baseline SPS of whole macroblocks and without VUI: no timing, no reordering."""
    golomb = "".join(
        f"{n + 1:0{2 * (n + 1).bit_length() - 1}b}" for n in (0, 0, 2, 1)
    )  # id, log2_max_frame_num, poc type, reference frames
    size = "".join(f"{n:0{2 * n.bit_length() - 1}b}" for n in (width // 16, height // 16))
    bits = golomb + "0" + size + "11" + "0" + "0" + "1"
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return b"\x67\x42\xc0\x1e" + int(bits, 2).to_bytes(len(bits) // 8, "big")


SPS_SMALL = plain_sps(176, 144)
PPS = bytes.fromhex("68ce3c80")
AUD = b"\0\0\0\x01\x09\xf0"


def nal(*units: bytes) -> bytes:
    return b"".join(b"\0\0\0\x01" + unit for unit in units)


def idr(size: int = 400, sps: bytes = SPS) -> bytes:
    """An access unit that begins a GOP."""
    return AUD + nal(sps, PPS, b"\x65\x88" + bytes((i % 251) + 1 for i in range(size)))


def p_frame(size: int = 200, fill: int = 7) -> bytes:
    return AUD + nal(b"\x41\x9a" + bytes([fill or 1]) * size)


def timestamp(prefix: int, value: int) -> bytes:
    value %= 1 << 33
    return bytes(
        (
            prefix << 4 | (value >> 30) << 1 | 1,
            value >> 22 & 0xFF,
            (value >> 15 & 0x7F) << 1 | 1,
            value >> 7 & 0xFF,
            (value & 0x7F) << 1 | 1,
        )
    )


def pes(
    payload: bytes,
    pts: int | None,
    dts: int | None = None,
    *,
    stream_id: int = 0xE0,
    bounded: bool = False,
) -> bytes:
    if pts is None:
        flags, stamps = 0x00, b""
    elif dts is None:
        flags, stamps = 0x80, timestamp(2, pts)
    else:
        flags, stamps = 0xC0, timestamp(3, pts) + timestamp(1, dts)
    body = bytes((0x80, flags, len(stamps))) + stamps + payload
    length = len(body) if bounded else 0
    return b"\0\0\x01" + bytes((stream_id,)) + length.to_bytes(2, "big") + body


def pat(programs: Sequence[tuple[int, int]] = ((1, PMT_PID),), version: int = 0) -> bytes:
    entries = b"".join(
        n.to_bytes(2, "big") + (0xE000 | pid).to_bytes(2, "big") for n, pid in programs
    )
    return _section(0x00, 1, version, entries)


def pmt(
    streams: Iterable[tuple[int, int, bytes]] = (
        (H264, VIDEO_PID, b""),
        (AAC, AUDIO_PID, b""),
    ),
    version: int = 0,
    program: int = 1,
) -> bytes:
    body = (0xE000 | VIDEO_PID).to_bytes(2, "big") + b"\xf0\x00"
    for kind, pid, descriptors in streams:
        body += bytes((kind,)) + (0xE000 | pid).to_bytes(2, "big")
        body += (0xF000 | len(descriptors)).to_bytes(2, "big") + descriptors
    return _section(0x02, program, version, body)


def _section(table: int, number: int, version: int, body: bytes) -> bytes:
    head = number.to_bytes(2, "big") + bytes((0xC1 | version << 1, 0, 0))
    size = len(head) + len(body) + 4
    section = bytes((table,)) + (0xB000 | size).to_bytes(2, "big") + head + body
    return section + crc32_mpeg(section).to_bytes(4, "big")


def packet(
    pid: int,
    cc: int,
    payload: bytes,
    *,
    start: bool = False,
    scrambled: bool = False,
) -> bytes:
    """One packet; a payload shorter than 184 bytes is filled by adaptation field stuffing."""
    room = 184 - len(payload)
    field_bytes = b""
    if room == 1:
        field_bytes = b"\0"
    elif room:
        field_bytes = bytes((room - 1, 0)) + b"\xff" * (room - 2)
    control = (0x30 if room else 0x10) | (0xC0 if scrambled else 0)
    head = bytes((0x47, (0x40 if start else 0) | pid >> 8, pid & 0xFF, control | cc & 15))
    return head + field_bytes + payload


@dataclass
class Muxer:
    """Keeps continuity counters; every method returns the packets it made."""

    counters: dict[int, int] = field(default_factory=dict)

    def put(self, pid: int, payload: bytes, *, start: bool = False) -> bytes:
        cc = self.counters.get(pid, 0)
        self.counters[pid] = cc + 1
        return packet(pid, cc, payload, start=start)

    def tables(self, pat_section: bytes | None = None, pmt_section: bytes | None = None) -> bytes:
        return self.section(0, pat_section or pat()) + self.section(PMT_PID, pmt_section or pmt())

    def section(self, pid: int, section: bytes) -> bytes:
        data = b"\0" + section
        out = b""
        for at in range(0, len(data), 184):
            chunk = data[at : at + 184].ljust(184, b"\xff")
            out += self.put(pid, chunk, start=at == 0)
        return out

    def pes(self, pid: int, data: bytes, *, stuff_at: int | None = None) -> bytes:
        """Packets of one PES; `stuff_at` also stuffs the packet of that index, legally."""
        out = b""
        index = at = 0
        while at < len(data):
            size = 100 if index == stuff_at else 184
            out += self.put(pid, data[at : at + size], start=at == 0)
            at += size
            index += 1
        return out

    def frames(self, count: int, *, first: int = 0, gop: int = 30) -> bytes:
        """Video of `count` frames at 30 fps, sizes that never fill a packet exactly."""
        out = b""
        for index in range(first, first + count):
            unit = idr(1000) if index % gop == 0 else p_frame(300 + index % 50, index % 200)
            data = pes(unit, 90_000 + 3000 * index)
            if (len(data)) % 184 == 0:
                data += b"\0"
            out += self.pes(VIDEO_PID, data)
        return out


def adts(frames: Iterable[bytes], *, rate_index: int = 3, channels: int = 2) -> bytes:
    """AAC LC frames with ADTS headers (no CRC)."""
    out = b""
    for body in frames:
        size = len(body) + 7
        out += bytes(
            (
                0xFF,
                0xF1,
                1 << 6 | rate_index << 2 | channels >> 2,
                (channels & 3) << 6 | size >> 11,
                size >> 3 & 0xFF,
                (size & 7) << 5 | 0x1F,
                0xFC,
            )
        )
        out += body
    return out
