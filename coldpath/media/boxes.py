"""What the boxes of a recorded segment and of an init section say; pure.

For a programme that is still live: its manifest, which says the same, comes at the end. Read here
and not by a demuxer, because a clip of a live programme is to be there at once.

Upstream: bytes of `s{msn}.m4s` and `init-{n}.mp4`. Downstream: `live`.
Spec: ISO/IEC 14496-12 8 and 12, 14496-15 E.3 (codec strings).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from coldpath.errors import DamagedMedia

_DATA_OFFSET, _FIRST_FLAGS = 0x1, 0x4
_DURATIONS, _SIZES, _FLAGS, _OFFSETS = 0x100, 0x200, 0x400, 0x800
_DEFAULTS = ((0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4), (0x20, 4))
"""Flags and sizes of the optional fields of `tfhd`, in order."""
_DEFAULT_DURATION, _DEFAULT_FLAGS = 0x8, 0x20
_NON_SYNC = 0x10000
_VISUAL_HEAD, _AUDIO_HEAD = 78, 28
"""Bytes of a sample entry before its own boxes."""


@dataclass(frozen=True, slots=True)
class SegmentTimes:
    """All in ticks of the rendition's timescale, from the programme's epoch."""

    start: int
    """First decode time."""
    shown: int
    """First unit's presentation time."""
    duration: int
    samples: int
    independent: bool


@dataclass(frozen=True, slots=True)
class Track:
    """What an init section says of its one track."""

    kind: Literal["video", "audio"]
    timescale: int
    codec: str
    """RFC 6381; empty when it is none of those that are recorded."""
    width: int = 0
    height: int = 0
    channels: int = 0


def segment_times(data: bytes, name: str) -> SegmentTimes:
    """Raises `DamagedMedia`, naming the segment, for what is no CMAF segment."""
    try:
        runs = [_fragment(body) for kind, body in _boxes(data) if kind == b"moof"]
    except (struct.error, KeyError, IndexError) as error:
        raise DamagedMedia(f"{name}: a box is cut short or missing: {error}") from error
    if not runs or not runs[0][1]:
        raise DamagedMedia(f"{name} holds no fragment")
    start, (_, flags, offset) = runs[0][0], runs[0][1][0]
    samples = [sample for _, found in runs for sample in found]
    return SegmentTimes(
        start=start,
        shown=start + offset,
        duration=sum(duration for duration, _, _ in samples),
        samples=len(samples),
        independent=not flags & _NON_SYNC,
    )


def track(init: bytes, name: str) -> Track:
    """Raises `DamagedMedia`, naming the object, for what is no init section."""
    try:
        mdia = dict(_boxes(dict(_boxes(dict(_boxes(init))[b"moov"]))[b"trak"]))[b"mdia"]
        parts = dict(_boxes(mdia))
        mdhd = parts[b"mdhd"]
        # Version 1 has 64-bit times before the timescale.
        (timescale,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)
        stsd = dict(_boxes(dict(_boxes(parts[b"minf"]))[b"stbl"]))[b"stsd"]
        entry, body = next(_boxes(stsd[8:]))
        if parts[b"hdlr"][8:12] == b"vide":
            width, height = struct.unpack_from(">HH", body, 24)
            codec = _video_codec(entry, dict(_boxes(body[_VISUAL_HEAD:])))
            return Track("video", timescale, codec, width, height)
        (channels,) = struct.unpack_from(">H", body, 16)
        return Track("audio", timescale, _AUDIO.get(entry, ""), channels=channels)
    except (struct.error, KeyError, IndexError, StopIteration) as error:
        raise DamagedMedia(f"{name} is no init section: {error!r}") from error


_AUDIO = {b"mp4a": "mp4a.40.2", b"Opus": "opus"}


def _video_codec(entry: bytes, boxes: Mapping[bytes, bytes]) -> str:
    if b"avcC" in boxes:
        return f"avc1.{boxes[b'avcC'][1:4].hex()}"
    if b"hvcC" not in boxes:
        return ""
    hvcc = boxes[b"hvcC"]
    space = ("", "A", "B", "C")[hvcc[1] >> 6]
    compatible = int(f"{int.from_bytes(hvcc[2:6], 'big'):032b}"[::-1], 2)
    tier = "H" if hvcc[1] & 0x20 else "L"
    constraints = hvcc[6:12].rstrip(b"\0")
    parts = [entry.decode(), f"{space}{hvcc[1] & 0x1F}", f"{compatible:X}", f"{tier}{hvcc[12]}"]
    return ".".join([*parts, *(f"{byte:X}" for byte in constraints)])


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, body); stops before one that is cut short."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            return
        yield kind, data[at + 8 : at + size]
        at += size


def _fragment(moof: bytes) -> tuple[int, list[tuple[int, int, int]]]:
    """tfdt, and (duration, flags, composition offset) of every sample."""
    traf = dict(_boxes(dict(_boxes(moof))[b"traf"]))
    tfdt = traf[b"tfdt"]
    base = struct.unpack_from(">Q" if tfdt[0] == 1 else ">I", tfdt, 4)[0]
    duration, flags = _sample_defaults(traf[b"tfhd"])
    return int(base), list(_samples(traf[b"trun"], duration, flags))


def _sample_defaults(tfhd: bytes) -> tuple[int, int]:
    present, at, found = struct.unpack_from(">I", tfhd)[0], 8, {}
    for bit, size in _DEFAULTS:
        if present & bit:
            found[bit] = int.from_bytes(tfhd[at : at + size], "big")
            at += size
    return found.get(_DEFAULT_DURATION, 0), found.get(_DEFAULT_FLAGS, 0)


def _samples(trun: bytes, duration: int, flags: int) -> Iterator[tuple[int, int, int]]:
    present, count = struct.unpack_from(">II", trun)
    at = 8 + (4 if present & _DATA_OFFSET else 0)
    first = flags
    if present & _FIRST_FLAGS:
        first = struct.unpack_from(">I", trun, at)[0]
        at += 4
    for number in range(count):
        sample = {_DURATIONS: duration, _SIZES: 0, _FLAGS: flags if number else first, _OFFSETS: 0}
        for bit in sample:
            if present & bit:
                sample[bit] = struct.unpack_from(">i" if bit == _OFFSETS else ">I", trun, at)[0]
                at += 4
        yield sample[_DURATIONS], sample[_FLAGS], sample[_OFFSETS]
