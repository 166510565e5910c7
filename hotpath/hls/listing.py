"""The lines of a media playlist between its header and its end: segments, parts, date ranges.

Invariant: the text of a segment is made once, and a line keeps its place among the lines that were
there before it (6.2.1: a playlist is only appended to at its end, and only loses lines otherwise).
Upstream: `playlist`. Spec: draft-pantos-hls-rfc8216bis, 4.4.4 and 4.4.5.1.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """What the first unit of a segment says about it."""

    msn: int
    init: int
    discontinuity_seq: int
    pdt_ns: int


@dataclass(slots=True)
class ListedSegment:
    place: Place
    tags: str
    """DISCONTINUITY, MAP and PROGRAM-DATE-TIME, as far as the segment has them."""
    has_map: bool
    discontinuities: int
    parts: list[str] = field(default_factory=list)
    parts_us: int = 0
    parts_listed: bool = True
    duration_us: int = 0
    tail: str = ""
    """GAP, EXTINF and the URI; empty while the segment is open."""
    text: str = ""
    """The whole segment as it is listed now; empty while it is open."""

    def close(self, duration_us: int, tail: str) -> None:
        self.duration_us, self.tail = duration_us, tail
        self.text = "".join([self.tags, *self.parts, tail])

    def drop_parts(self) -> None:
        self.parts.clear()
        self.parts_listed = False
        self.text = self.tags + self.tail


@dataclass(frozen=True, slots=True)
class ListedDate:
    """A date range's line and where it was appended."""

    id: str
    line: str
    msn: int
    part: int
    """It follows so many parts of segment `msn`; 0: it comes before the segment."""

    @property
    def position(self) -> tuple[int, int]:
        return self.msn, self.part


def listing(segments: Sequence[ListedSegment], dates: Iterable[ListedDate]) -> list[str]:
    """The lines in their order. Date ranges of segments that are not listed come first."""
    waiting = deque(dates)
    lines: list[str] = []
    for segment in segments:
        if segment.text and not (waiting and waiting[0].msn <= segment.place.msn):
            lines.append(segment.text)
        else:
            lines.extend(_with_dates(segment, waiting))
    lines.extend(date.line for date in waiting)
    return lines


def _with_dates(segment: ListedSegment, waiting: deque[ListedDate]) -> list[str]:
    msn = segment.place.msn
    lines = _until(waiting, (msn, 0))
    lines.append(segment.tags)
    for count, part in enumerate(segment.parts, 1):
        lines.append(part)
        lines += _until(waiting, (msn, count))
    if segment.tail:
        lines += _until(waiting, (msn + 1, -1))  # its parts are no longer listed
        lines.append(segment.tail)
    return lines


def _until(waiting: deque[ListedDate], position: tuple[int, int]) -> list[str]:
    lines: list[str] = []
    while waiting and waiting[0].position <= position:
        lines.append(waiting.popleft().line)
    return lines
