"""The segments of a long playlist that no update repeats, a chunk of lines at a time.

Invariant: a chunk's lines are made, and compressed, once; they lose a date range at most. So what
hours of segments cost is their bytes, and a playlist that lists them is joined, not written.
Upstream: `playlist` hands over what lies beyond the skip boundary. Downstream: `packing`.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hotpath.hls.listing import ListedDate, ListedSegment, listing
from hotpath.hls.packing import Piece, Run

CHUNKS = 16
"""A window is at least so many chunks: it is longer than was asked for by one of them at most."""
CHUNK = 128
"""Segments; more make shorter gzip, and a longer end that is compressed for each part."""


def chunk_length(segments: int) -> int:
    """How many segments go into a chunk of a window of so many."""
    return min(max(segments // CHUNKS, 1), CHUNK)


@dataclass(slots=True)
class Chunk:
    """Segments in a row."""

    first: ListedSegment
    """The first one; of the others only the lines are kept."""
    count: int
    duration_us: int
    piece: Piece
    dates: tuple[ListedDate, ...]
    """Among its lines."""

    @classmethod
    def of(cls, segments: Sequence[ListedSegment], dates: Sequence[ListedDate]) -> "Chunk":
        return cls(
            segments[0],
            len(segments),
            sum(segment.duration_us for segment in segments),
            Piece.of("".join(listing(segments, dates)).encode()),
            tuple(dates),
        )

    @property
    def numbers(self) -> range:
        msn = self.first.place.msn
        return range(msn, msn + self.count)

    def drop_dates(self, ids: Collection[str]) -> int:
        """Take the lines of these date ranges out; returns how many there were."""
        gone = [date for date in self.dates if date.id in ids]
        if gone:
            lines = self.piece.plain
            for date in gone:
                lines = lines.replace(date.line.encode(), b"", 1)
            self.piece = Piece.of(lines)
            self.dates = tuple(date for date in self.dates if date.id not in ids)
        return len(gone)


class OlderSegments:
    """Chunks in a row; see the module for the invariant."""

    def __init__(self) -> None:
        self.count = 0
        """Segments."""
        self.dates = 0
        """Date ranges among them."""
        self.duration_us = 0
        self._chunks: deque[Chunk] = deque()
        self._run: Run | None = None

    @property
    def first(self) -> Chunk | None:
        return self._chunks[0] if self._chunks else None

    @property
    def run(self) -> Run | None:
        """All lines; None: there are no segments."""
        if self._run is None and self._chunks:
            self._run = Run.of([chunk.piece for chunk in self._chunks])
        return self._run

    def append(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self._changed(chunk, 1)

    def popleft(self) -> Chunk:
        chunk = self._chunks.popleft()
        self._changed(chunk, -1)
        return chunk

    def drop_dates(self, ids: Collection[str]) -> None:
        dropped = sum([chunk.drop_dates(ids) for chunk in self._chunks if chunk.dates])
        if dropped:
            self.dates -= dropped
            self._run = None

    def _changed(self, chunk: Chunk, sign: int) -> None:
        self.count += sign * chunk.count
        self.dates += sign * len(chunk.dates)
        self.duration_us += sign * chunk.duration_us
        self._run = None
