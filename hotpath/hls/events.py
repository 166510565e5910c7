"""What the segmenter tells: parts, segments, gaps and losses of one programme, as they complete.

Upstream: `segmenter`. Downstream: `packager`, which turns them into bytes, and `live`.
"""

from dataclasses import dataclass
from typing import TypeAlias

from hotpath.media.unit import Format, Unit


@dataclass(frozen=True, slots=True)
class InitNeeded:
    """Parts after this one need the init section of `format`."""

    format: Format
    number: int


@dataclass(frozen=True, slots=True)
class PartReady:
    """A complete part with the units that make it up."""

    format: Format
    init: int
    msn: int
    part: int
    units: tuple[Unit, ...]
    durations: tuple[int, ...]
    """Ticks, one per unit; together `end - start` of the part."""
    start: int
    """Ticks: dts of the first unit, the part's tfdt."""
    independent: bool
    discontinuity_seq: int
    pdt_ns: int
    last: bool = False
    """It was completed by the end of its segment."""

    @property
    def duration(self) -> int:
        return sum(self.durations)


@dataclass(frozen=True, slots=True)
class SegmentReady:
    """Every part of the segment has been emitted."""

    format: Format
    msn: int
    start: int
    duration: int


@dataclass(frozen=True, slots=True)
class GapSegment:
    """A segment without media: the source had none for its whole duration."""

    format: Format
    init: int
    msn: int
    start: int
    duration: int
    discontinuity_seq: int
    pdt_ns: int


@dataclass(frozen=True, slots=True)
class Incomplete:
    """This reader lost the segment or its end; parts emitted for it so far stand."""

    format: Format
    init: int
    msn: int
    start: int
    duration: int
    """Ticks up to the next segment, what was lost included."""
    emitted: int
    """Ticks of the parts that were emitted."""
    discontinuity_seq: int
    pdt_ns: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing follows. `final`: the programme is over."""

    final: bool


Event: TypeAlias = InitNeeded | PartReady | SegmentReady | GapSegment | Incomplete | Ended
