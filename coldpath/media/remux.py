"""Segments into a faststart MP4: access units are copied, nothing is encoded.

Invariant: the file holds every access unit that the manifests list, no more and no fewer, with
timestamps as `splice` defines; else `DamagedMedia` is raised. Memory is bounded by a few segments
and the index. Room for the index is left in front of the media data, and what it does not need is
filled; only where it needs more is the file copied.

Segments are read by their boxes and not by a demuxer: what costs time is then moving bytes, not
handling each access unit, of which an hour has hundreds of thousands.

Upstream: `pieces` and `fragments`. Downstream: the MP4 functions verify and upload the file.
Trap: fMP4 of a live programme does not start at 0.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, TypeAlias

from coldpath.errors import DamagedMedia
from coldpath.media.fragments import WINDOW, fetched
from coldpath.media.index import TrackIndex, head
from coldpath.media.pieces import Piece
from coldpath.media.recording import Rendition, Run, Segment
from coldpath.media.samples import Samples, samples
from coldpath.media.splice import Splice
from infra.storage.objects import ObjectStore

Report: TypeAlias = Callable[[int], None]
"""Told how many more access units were written, every now and then."""
_COPIED = 1 << 20
"""Bytes at a time."""
_HEADERS, _PER_SEGMENT = 4096, 20
_PER_UNIT = {"video": 20, "audio": 5}
"""Bytes of the index: a size; of a picture also the time to the next one and until it is shown."""


@dataclass(frozen=True, slots=True)
class Remuxed:
    """What was written."""

    path: Path
    duration: Fraction
    units: Mapping[str, int]
    """Access units by kind of rendition."""


def remux(
    store: ObjectStore,
    piece: Piece,
    *,
    renditions: Sequence[Rendition],
    inits: Mapping[str, bytes],
    path: Path,
    report: Report = lambda _: None,
) -> Remuxed:
    """Writes the piece to `path`; `renditions` are the candidates, `inits` their init sections."""
    used = [r for r in renditions if r.name in piece.inits]
    tracks = {r.name: TrackIndex(inits[piece.inits[r.name]], r.timescale) for r in used}
    splice = Splice({r.name: r.timescale for r in used})
    room = _room(piece, used)
    with path.open("wb") as file, ThreadPoolExecutor(2, thread_name_prefix="segments") as pool:
        file.seek(room)
        writer = _Writer(file, tracks, splice, report)
        for run in piece.runs:
            _write_run(store, run, used, writer, pool)
    _put_in_front(path, head(list(tracks.values()), path.stat().st_size - room, room), room)
    units: dict[str, int] = {r.kind: len(tracks[r.name].dts) for r in used}
    return Remuxed(path, splice.end, units)


def _room(piece: Piece, used: Sequence[Rendition]) -> int:
    """For an index as long as they are: of pictures with times of their own, of sound without."""
    units = sum(_PER_UNIT[r.kind] * piece.samples(r) for r in used)
    segments = sum(len(run.of(r.name)) for run in piece.runs for r in used)
    return _HEADERS + units + _PER_SEGMENT * segments


def _put_in_front(path: Path, index: bytes, room: int) -> None:
    """Writes the index where room was left for it; a file that left too little is copied."""
    if len(index) == room:
        with path.open("r+b") as file:
            file.write(index)
        return
    media = path.rename(path.with_name(f"{path.name}.media"))
    with path.open("wb") as file, media.open("rb") as data:
        file.write(index)
        data.seek(room)
        shutil.copyfileobj(data, file, _COPIED)
    media.unlink()


def _write_run(
    store: ObjectStore,
    run: Run,
    used: Sequence[Rendition],
    writer: "_Writer",
    pool: ThreadPoolExecutor,
) -> None:
    """The run's access units of all renditions, a segment of each at a time."""
    of = {r.name: run.of(r.name) for r in used if run.of(r.name)}
    first = {name: samples(store.get(found[0].key), found[0].key) for name, found in of.items()}
    writer.begin({name: found.shown for name, found in first.items()})
    counts = dict.fromkeys(of, 0)
    for name, found in _in_order(store, run, first, pool):
        writer.write(name, found)
        counts[name] += len(found.dts)
    for name, segments in of.items():
        _require_all(run, name, segments, counts[name])


def _in_order(
    store: ObjectStore, run: Run, first: Mapping[str, Samples], pool: ThreadPoolExecutor
) -> Iterator[tuple[str, Samples]]:
    """Every segment of these renditions; the first of each was read already."""
    wanted = [
        (name, segment)
        for msn in run.msns
        for name in first
        if (segment := run.segments[name].get(msn)) is not None
    ]
    unread = {name: run.of(name)[0].key for name in first}
    keys = [segment.key for name, segment in wanted if segment.key != unread[name]]
    with closing(fetched(store, keys, pool, WINDOW * len(first))) as chunks:
        for name, segment in wanted:
            if segment.key == unread[name]:
                yield name, first[name]
            else:
                yield name, samples(next(chunks), segment.key)


def _require_all(run: Run, name: str, segments: Sequence[Segment], found: int) -> None:
    expected = sum(segment.entry.samples for segment in segments)
    if found != expected:
        raise DamagedMedia(
            f"{name} of incarnation {run.incarnation}, segments {run.msns[0]}-{run.msns[-1]}: "
            f"the manifest lists {expected} access units, the segments hold {found}"
        )


class _Writer:
    """Puts media data into a file, and where it lies into the index."""

    def __init__(
        self, file: BinaryIO, tracks: Mapping[str, TrackIndex], splice: Splice, report: Report
    ) -> None:
        self._file = file
        self._tracks = tracks
        self._splice = splice
        self._report = report
        self._at = 0

    def begin(self, shown: Mapping[str, int]) -> None:
        """A run starts, whose tracks are presented from these times on."""
        self._splice.begin(shown)

    def write(self, name: str, found: Samples) -> None:
        track = self._tracks[name]
        track.chunks.append((self._at, len(found.dts)))
        for data in found.payload:
            self._at += self._file.write(data)
        track.sizes += found.sizes
        track.sync += found.sync
        dts, offsets = self._splice.place(name, found.dts, found.offsets, found.durations)
        if not track.dts:
            track.shows_at = dts[0] + offsets[0]
        track.dts += dts
        track.offsets += offsets
        track.ends = self._splice.end_of(name)
        track.last_duration = found.durations[-1]
        self._report(len(found.dts))
