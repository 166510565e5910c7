"""What an fMP4 initialization section and fragments say of their samples' times.

Invariant: bytes that are not what they should be raise `BoxError` and nothing else. Times are in
the track's timescale. Spec: ISO/IEC 14496-12 (moov, moof, tfhd, tfdt, trun).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_NON_SYNC = 0x10000


class BoxError(ValueError):
    """The bytes are no MP4 that can be read."""


@dataclass(frozen=True, slots=True)
class InitTrack:
    id: int
    timescale: int
    handler: str
    entry: str
    """Sample entry, for example `avc1`."""
    description: bytes
    """The sample entry's bytes: another one is another decoder configuration."""
    default_duration: int
    default_flags: int


@dataclass(frozen=True, slots=True)
class Init:
    tracks: tuple[InitTrack, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """The samples of one track in a part or segment."""

    track: int
    start_s: float
    duration_s: float
    samples: int
    first_sync: bool
    syncs: int


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of each payload."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            if at + 16 > end:
                raise BoxError("a box is cut off")
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end:
            raise BoxError(f"box {kind!r} at {at} has size {size}, {end - at} bytes are left")
        yield kind, at + head, at + size
        at += size
    if at != end:
        raise BoxError(f"{end - at} bytes at the end are no box")


def _all(data: bytes, path: tuple[bytes, ...], at: int, end: int) -> Iterator[tuple[int, int]]:
    for kind, begin, stop in _boxes(data, at, end):
        if kind == path[0]:
            if len(path) == 1:
                yield begin, stop
            else:
                yield from _all(data, path[1:], begin, stop)


def _one(data: bytes, path: tuple[bytes, ...], at: int, end: int) -> tuple[int, int]:
    found = next(_all(data, path, at, end), None)
    if found is None:
        raise BoxError(f"there is no {b'/'.join(path).decode('latin-1')}")
    return found


def read_init(data: bytes) -> Init:
    try:
        return _read_init(data)
    except struct.error as error:
        raise BoxError(f"a box is cut off: {error}") from error


def _read_init(data: bytes) -> Init:
    at, end = _one(data, (b"moov",), 0, len(data))
    defaults: dict[int, tuple[int, int]] = {}
    for begin, _ in _all(data, (b"mvex", b"trex"), at, end):
        track, _, duration, _, flags = struct.unpack_from(">5I", data, begin + 4)
        defaults[track] = (duration, flags)
    tracks = []
    for begin, stop in _all(data, (b"trak",), at, end):
        head, _ = _one(data, (b"tkhd",), begin, stop)
        (track,) = struct.unpack_from(">I", data, head + (20 if data[head] == 1 else 12))
        head, _ = _one(data, (b"mdia", b"mdhd"), begin, stop)
        (timescale,) = struct.unpack_from(">I", data, head + (20 if data[head] == 1 else 12))
        head, _ = _one(data, (b"mdia", b"hdlr"), begin, stop)
        handler = data[head + 8 : head + 12].decode("latin-1")
        head, tail = _one(data, (b"mdia", b"minf", b"stbl", b"stsd"), begin, stop)
        description = data[head + 8 : tail]
        duration, flags = defaults.get(track, (0, 0))
        if not timescale:
            raise BoxError(f"track {track} has timescale 0")
        entry = description[4:8].decode("latin-1")
        tracks.append(InitTrack(track, timescale, handler, entry, description, duration, flags))
    if not tracks:
        raise BoxError("there is no track")
    return Init(tuple(tracks))


def read_fragments(data: bytes, init: Init) -> tuple[Run, ...]:
    """One run for each track with samples, over all fragments of a part or segment."""
    try:
        return _read_fragments(data, {track.id: track for track in init.tracks})
    except struct.error as error:
        raise BoxError(f"a box is cut off: {error}") from error
    except IndexError as error:
        raise BoxError("a box is cut off") from error


def _read_fragments(data: bytes, tracks: dict[int, InitTrack]) -> tuple[Run, ...]:
    runs: dict[int, Run] = {}
    for at, end in _all(data, (b"moof", b"traf"), 0, len(data)):
        run = _run(data, at, end, tracks)
        known = runs.get(run.track)
        runs[run.track] = run if known is None else _joined(known, run)
    if not runs:
        raise BoxError("there is no moof/traf")
    return tuple(runs.values())


def _joined(first: Run, then: Run) -> Run:
    return Run(
        first.track,
        first.start_s,
        first.duration_s + then.duration_s,
        first.samples + then.samples,
        first.first_sync,
        first.syncs + then.syncs,
    )


def _run(data: bytes, at: int, end: int, tracks: dict[int, InitTrack]) -> Run:
    head, _ = _one(data, (b"tfhd",), at, end)
    flags, number = struct.unpack_from(">II", data, head)
    track = tracks.get(number)
    if track is None:
        raise BoxError(f"track {number} is not in the initialization section")
    position = head + 8 + 8 * bool(flags & 1) + 4 * bool(flags & 2)
    duration, sample_flags = track.default_duration, track.default_flags
    if flags & 8:
        (duration,) = struct.unpack_from(">I", data, position)
        position += 4
    position += 4 * bool(flags & 0x10)
    if flags & 0x20:
        (sample_flags,) = struct.unpack_from(">I", data, position)
    head, _ = _one(data, (b"tfdt",), at, end)
    (start,) = struct.unpack_from(">Q" if data[head] == 1 else ">I", data, head + 4)
    total, syncs = 0, []
    for begin, _ in _all(data, (b"trun",), at, end):
        for length, sample in _samples(data, begin, duration, sample_flags):
            total += length
            syncs.append(not sample & _NON_SYNC)
    scale = track.timescale
    return Run(number, start / scale, total / scale, len(syncs), any(syncs[:1]), sum(syncs))


def _samples(data: bytes, at: int, duration: int, flags: int) -> Iterator[tuple[int, int]]:
    """Duration and flags of every sample of a trun."""
    present, count = struct.unpack_from(">II", data, at)
    at += 8 + 4 * bool(present & 1)
    first = None
    if present & 4:
        (first,) = struct.unpack_from(">I", data, at)
        at += 4
    width = 4 * sum(bool(present & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    if count > 1_000_000 or (width and count > (len(data) - at) // width):
        raise BoxError(f"a trun claims {count} samples")
    for index in range(count):
        position, length, sample = at, duration, flags
        if present & 0x100:
            (length,) = struct.unpack_from(">I", data, position)
            position += 4
        position += 4 * bool(present & 0x200)
        if present & 0x400:
            (sample,) = struct.unpack_from(">I", data, position)
        elif index == 0 and first is not None:
            sample = first
        yield length, sample
        at += width
