"""The index of an MP4 that is not in fragments: `moov`, with a table entry per access unit; pure.

Invariant: what a track's init section says of its codec goes into the file byte for byte; only
times and places are written here. A track's decode times start at 0; an edit list says what is
shown first and when, so picture and sound keep their distance and reordered pictures are shown at
their time. Times are 64 bits wide: a programme of days fits.

Upstream: `remux`. Downstream: players, and `verify`.
Spec: ISO/IEC 14496-12 8.2 to 8.7.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import sub

from coldpath.errors import DamagedMedia
from coldpath.media.boxes import box, find, header, inside

MOVIE_TIMESCALE = 90_000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_ENABLED_IN_MOVIE = 3
_FOUR_GIB, _INDEX_ROOM = 1 << 32, 1 << 28
_VERSION_1 = 0x01000000
_FTYP = b"isom\0\0\2\0isomiso2mp41"


@dataclass(slots=True)
class TrackIndex:
    """One track's access units in decode order; times in its own ticks."""

    init: bytes
    """Its init section."""
    timescale: int
    shows_at: int = 0
    """When its first access unit is presented, from the file's beginning."""
    dts: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    """Presentation time less decode time."""
    sizes: list[int] = field(default_factory=list)
    sync: list[bool] = field(default_factory=list)
    last_duration: int = 0
    ends: int = 0
    """When the last one to be seen is over, on the clock of `dts`."""
    chunks: list[tuple[int, int]] = field(default_factory=list)
    """Where each row of access units lies in the media data, and how many they are."""

    @property
    def length(self) -> int:
        """From the first decode time to the end of the last duration."""
        return self.dts[-1] - self.dts[0] + self.last_duration

    @property
    def shown(self) -> int:
        """From the first access unit's presentation to the end of the last one's."""
        return self.ends - self.dts[0] - self.offsets[0]

    def in_movie(self, ticks: int) -> int:
        return round(ticks * MOVIE_TIMESCALE / self.timescale)


def head(tracks: Sequence[TrackIndex], media: int, room: int = 0) -> bytes:
    """Everything in front of `media` bytes of media data: `ftyp`, `moov`, the header of `mdat`;
    filled up to `room` bytes where it is shorter, else as long as it is.

    Raises `DamagedMedia` where an init section cannot be read.
    """
    wide = media > _FOUR_GIB - _INDEX_ROOM
    mdat = struct.pack(">I4sQ", 1, b"mdat", media + 16) if wide else header(b"mdat", media)
    ftyp = box(b"ftyp", _FTYP)
    made = [_Trak(track, number) for number, track in enumerate(tracks, 1)]
    # Places have a fixed width, so the index is as long with the right ones as with others.
    size = len(ftyp) + len(_moov(made, 0, wide)) + len(mdat)
    fill = box(b"free", bytes(room - size - 8)) if room >= size + 8 else b""
    return ftyp + _moov(made, size + len(fill), wide) + fill + mdat


def _moov(traks: Sequence["_Trak"], base: int, wide: bool) -> bytes:
    longest = max((trak.duration for trak in traks), default=0)
    mvhd = struct.pack(">IQQIQ", _VERSION_1, 0, 0, MOVIE_TIMESCALE, longest)
    mvhd += struct.pack(">IH10x", 0x10000, 0x100) + _MATRIX
    mvhd += struct.pack(">24xI", len(traks) + 1)
    return box(b"moov", box(b"mvhd", mvhd), *(trak.box(base, wide) for trak in traks))


class _Trak:
    """A track's box; made once, all but the places of its chunks."""

    def __init__(self, track: TrackIndex, number: int) -> None:
        self._track = track
        self._number = number
        self.duration = track.in_movie(track.shows_at + track.shown)
        try:
            given = find(track.init, b"moov", b"trak")
            mdia = find(given, b"mdia")
            minf = find(mdia, b"minf")
            within = inside(minf, 0, len(minf))
            # The end of both boxes is the same in both of their versions.
            self._shape = find(given, b"tkhd")[-60:]
            self._language = find(mdia, b"mdhd")[-4:]
            self._handler = _whole(mdia, b"hdlr")
            self._kept = [_whole(minf, k) for k in (b"vmhd", b"smhd", b"dinf") if k in within]
            stsd = _whole(find(minf, b"stbl"), b"stsd")
        except KeyError as error:
            raise DamagedMedia(f"an init section has no {error} box") from error
        try:
            self._tables = [stsd, *_tables(track)]
        except struct.error as error:
            raise DamagedMedia(f"access units are too far apart for an index: {error}") from error

    def box(self, base: int, wide: bool) -> bytes:
        """Its media data begins `base` bytes behind the file's beginning."""
        track = self._track
        places = [base + at for at, _ in track.chunks]
        kind, width = (b"co64", "Q") if wide else (b"stco", "I")
        chunks = box(kind, struct.pack(f">II{len(places)}{width}", 0, len(places), *places))
        own = (_VERSION_1 | _ENABLED_IN_MOVIE, 0, 0, self._number, 0, self.duration)
        times = (_VERSION_1, 0, 0, track.timescale, track.length)
        return box(
            b"trak",
            box(b"tkhd", struct.pack(">IQQIIQ", *own), self._shape),
            box(b"edts", _edits(track)),
            box(
                b"mdia",
                box(b"mdhd", struct.pack(">IQQIQ", *times), self._language),
                self._handler,
                box(b"minf", *self._kept, box(b"stbl", *self._tables, chunks)),
            ),
        )


def _edits(track: TrackIndex) -> bytes:
    """Nothing until the track begins; then it is shown from its first access unit on."""
    edits = [(track.in_movie(track.shown), track.offsets[0])]
    if track.shows_at > 0:
        edits.insert(0, (track.in_movie(track.shows_at), -1))
    rows = b"".join(struct.pack(">QqI", length, at, 0x10000) for length, at in edits)
    return box(b"elst", struct.pack(">II", _VERSION_1, len(edits)), rows)


def _tables(track: TrackIndex) -> Iterator[bytes]:
    """All but the places of chunks."""
    steps = map(sub, track.dts[1:], track.dts)
    yield box(b"stts", *_runs([*steps, track.last_duration], "I"))
    if any(track.offsets):
        # Version 1: offsets may be negative.
        yield box(b"ctts", *_runs(track.offsets, "i", _VERSION_1))
    if not all(track.sync):
        keys = [number for number, sync in enumerate(track.sync, 1) if sync]
        yield box(b"stss", struct.pack(f">II{len(keys)}I", 0, len(keys), *keys))
    yield box(b"stsc", *_chunk_sizes(track))
    count = len(track.sizes)
    yield box(b"stsz", struct.pack(f">III{count}I", 0, 0, count, *track.sizes))


def _runs(values: Sequence[int], width: str, version: int = 0) -> tuple[bytes, bytes]:
    """(count, value) for each row of equal values."""
    rows = [(len(list(same)), value) for value, same in groupby(values)]
    flat = list(chain.from_iterable(rows))
    return struct.pack(">II", version, len(rows)), struct.pack(f">{f'I{width}' * len(rows)}", *flat)


def _chunk_sizes(track: TrackIndex) -> tuple[bytes, bytes]:
    """(first chunk, samples in each, sample description) where the number of samples changes."""
    rows: list[tuple[int, int]] = []
    for number, (_, count) in enumerate(track.chunks, 1):
        if not rows or rows[-1][1] != count:
            rows.append((number, count))
    packed = b"".join(struct.pack(">III", first, count, 1) for first, count in rows)
    return struct.pack(">II", 0, len(rows)), packed


def _whole(data: bytes, kind: bytes) -> bytes:
    return box(kind, find(data, kind))
