"""The complete segments that a playlist lists: how far back, and which of them with their parts.

Invariant: at least `window_us` is listed once there is so much, and no segment leaves that is
needed for it; parts are listed `parts_us` back and no further. What no update repeats is folded
into chunks at the same numbers in every rendition.

Upstream: `playlist`, which closes segments. Downstream: `older` keeps the chunks. Spec:
draft-pantos-hls-rfc8216bis, 6.2.2 (what is removed) and 6.2.5.1 (what an update skips).
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from hotpath.hls.listing import ListedDate, ListedSegment
from hotpath.hls.older import Chunk, OlderSegments


class Window:
    def __init__(self, *, window_us: int, parts_us: int, skip_us: int, chunk: int) -> None:
        """`skip_us`: the skip boundary. `chunk`: segments in one; 0: there are no chunks."""
        self.duration_us = 0
        self.older = OlderSegments()
        self._window_us = window_us
        self._parts_us = parts_us
        self._skip_us = skip_us
        self._chunk = chunk
        self._segments: deque[ListedSegment] = deque()
        """Those behind `older`."""

    def __bool__(self) -> bool:
        return bool(self._segments)

    @property
    def first(self) -> ListedSegment | None:
        if (chunk := self.older.first) is not None:
            return chunk.first
        return self._segments[0] if self._segments else None

    @property
    def skippable(self) -> int:
        """Segments further from the end of the last one than the skip boundary."""
        after, kept = 0, 0
        for segment in reversed(self._segments):
            if after > self._skip_us:
                break
            after += segment.duration_us
            kept += 1
        return self.older.count + len(self._segments) - kept

    def behind(self, count: int) -> list[ListedSegment]:
        """Those that come after so many, which is at least those in chunks."""
        return list(islice(self._segments, count - self.older.count, None))

    def append(self, segment: ListedSegment) -> None:
        self._segments.append(segment)
        self.duration_us += segment.duration_us

    def drop_parts(self, open_us: int) -> tuple[int, ...]:
        """Drop the tags of parts too far from the end, which is so much behind the last segment;
        returns the numbers of the segments whose parts are no longer listed."""
        dropped: list[int] = []
        after = open_us
        for segment in reversed(self._segments):
            if after >= self._parts_us:
                if not segment.parts_listed:
                    break
                segment.drop_parts()
                dropped.append(segment.place.msn)
            after += segment.duration_us
        return tuple(reversed(dropped))

    def fold(self, dates: Sequence[ListedDate]) -> None:
        """Make the segments that no update repeats a chunk, when there are enough for one.

        Chunks begin at the same numbers in every rendition.
        """
        if not self._chunk:
            return
        count = self._chunk - self._segments[0].place.msn % self._chunk
        if count > self.skippable - self.older.count:
            return
        segments = [self._segments.popleft() for _ in range(count)]
        first, last = segments[0].place.msn, segments[-1].place.msn
        self.older.append(Chunk.of(segments, [d for d in dates if first <= d.msn <= last]))

    def drop_segments(self) -> tuple[int, ...]:
        """Those that no window needs: a whole chunk, or single ones where there are no chunks."""
        return self._drop(lambda _next, us: self.duration_us - us >= self._window_us)

    def drop_before(self, msn: int) -> tuple[int, ...]:
        """Those with lower numbers, but for a chunk that has others, too, and the newest."""
        return self._drop(lambda following, _us: following <= msn)

    def _drop(self, goes: Callable[[int, int], bool]) -> tuple[int, ...]:
        """`goes`: asked with what follows the first chunk or segment, and how long that is."""
        if self.first is None:
            return ()
        begin = end = self.first.place.msn
        while (chunk := self.older.first) is not None and goes(
            chunk.numbers.stop, chunk.duration_us
        ):
            end = self.older.popleft().numbers.stop
            self.duration_us -= chunk.duration_us
        while chunk is None and len(self._segments) > 1:
            segment = self._segments[0]
            if not goes(segment.place.msn + 1, segment.duration_us):
                break
            end = self._segments.popleft().place.msn + 1
            self.duration_us -= segment.duration_us
        return tuple(range(begin, end))
