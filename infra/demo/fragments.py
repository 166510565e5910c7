"""Samples of a CMAF fragment as a player reads them (ISO/IEC 14496-12 §8.8). Pure.

Written apart from the packager's own fMP4 code on purpose: a mistake there must not be repeated by
the reader that checks it. Upstream: parts fetched by `player`. Downstream: the decoder.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from infra.demo.errors import MediaError

_CONTAINERS = {b"moof", b"traf", b"moov", b"trak", b"mdia"}


@dataclass(frozen=True, slots=True)
class Sample:
    decode_time: int
    """In the track's timescale."""
    presentation_time: int
    duration: int
    data: bytes


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(type, payload start, payload end) of the boxes in a range."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            raise MediaError(f"box {kind!r} of {size} bytes does not fit at {start} of {end}")
        yield kind, start + header, start + size
        start += size


def _walk(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for kind, inner, stop in boxes(data, start, end):
        yield kind, inner, stop
        if kind in _CONTAINERS:
            yield from _walk(data, inner, stop)


def timescale(init: bytes) -> int:
    """The timescale of the (only) track of an initialisation segment."""
    for kind, start, _ in _walk(init, 0, len(init)):
        if kind == b"mdhd":
            version = init[start]
            return int(struct.unpack_from(">I", init, start + (20 if version else 12))[0])
    raise MediaError("the initialisation segment has no mdhd box")


def samples(data: bytes) -> list[Sample]:
    """Every sample of a part or segment of one track, in decode order."""
    found: list[Sample] = []
    for kind, start, end in boxes(data):
        if kind == b"moof":
            found += _fragment(data, start, end)
    return found


def _fragment(data: bytes, start: int, end: int) -> list[Sample]:
    moof = start - 8
    defaults = (0, 0)
    time: int | None = None
    found: list[Sample] = []
    for kind, inner, _ in _walk(data, start, end):
        if kind == b"tfhd":
            defaults = _tfhd(data, inner)
        elif kind == b"tfdt":
            time = struct.unpack_from(">Q" if data[inner] else ">I", data, inner + 4)[0]
        elif kind == b"trun":
            if time is None:
                raise MediaError("a fragment has no tfdt box")
            run = list(_trun(data, inner, moof, time, defaults))
            found += run
            if run:
                time = run[-1].decode_time + run[-1].duration
    return found


def _tfhd(data: bytes, start: int) -> tuple[int, int]:
    """Default sample duration and size."""
    flags = int.from_bytes(data[start + 1 : start + 4], "big")
    position = start + 8 + 8 * bool(flags & 0x1) + 4 * bool(flags & 0x2)
    duration = size = 0
    if flags & 0x8:
        duration = struct.unpack_from(">I", data, position)[0]
        position += 4
    if flags & 0x10:
        size = struct.unpack_from(">I", data, position)[0]
    return duration, size


def _trun(
    data: bytes, start: int, moof: int, time: int, defaults: tuple[int, int]
) -> Iterator[Sample]:
    version, flags = data[start], int.from_bytes(data[start + 1 : start + 4], "big")
    count = struct.unpack_from(">I", data, start + 4)[0]
    position = start + 8
    if not flags & 0x1:
        raise MediaError("a trun box has no data offset")
    offset = moof + struct.unpack_from(">i", data, position)[0]
    position += 4 + 4 * bool(flags & 0x4)
    for _ in range(count):
        duration, size = defaults
        shift = 0
        if flags & 0x100:
            duration, position = struct.unpack_from(">I", data, position)[0], position + 4
        if flags & 0x200:
            size, position = struct.unpack_from(">I", data, position)[0], position + 4
        position += 4 * bool(flags & 0x400)
        if flags & 0x800:
            layout = ">i" if version else ">I"
            shift, position = struct.unpack_from(layout, data, position)[0], position + 4
        if offset + size > len(data):
            raise MediaError(f"a sample ends at {offset + size}, the fragment at {len(data)}")
        yield Sample(time, time + shift, duration, data[offset : offset + size])
        offset += size
        time += duration
