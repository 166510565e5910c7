"""One track of the mark writer: its open segment and part, and the clamp that keeps time moving.

Invariant: decode times that leave `admit` rise strictly and never fall before the end that was
announced for the last part or segment. Pure; used only by `hotpath.program.marks`.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from hotpath.media.unit import VIDEO, Format, Item, Mark, PartCut, Sample, SegmentCut, Unit
from hotpath.program.cadence import FrameCadence
from hotpath.program.lag import Lag

NS = 1_000_000_000


def _moved(unit: Unit, dts: int) -> Unit:
    """The unit decoded at `dts`; shown when it was, unless that would be before or it has no order
    of its own."""
    pts = dts if unit.pts == unit.dts else max(unit.pts, dts)
    return replace(unit, dts=dts, pts=pts)


@dataclass(slots=True)
class Track:
    """Boundaries so far of one track; times in the track's timescale."""

    format: Format
    init: int
    """Number of the init section in force."""
    msn: int
    """The segment that is open or will be opened by the next unit."""
    cadence: FrameCadence
    lag: Lag
    """What it trails the lead's clock by; nothing for the lead itself."""
    segment_start: int | None = None
    """Where segment `msn` starts; None after a discontinuity, until something starts it."""
    segment_units: int = 0
    part: int = 0
    """The part that is open or will be opened by the next unit."""
    part_start: int | None = None
    end: int | None = None
    """Predicted end of the newest unit, or that of the part that was cut behind it."""
    came: int = 0
    """Decode time of the newest unit, before it was moved to follow what was promised."""
    floor: int | None = None
    """No later unit may have a lower dts."""
    promised: bool = False
    """`floor` is an end that was announced in a cut."""
    held: deque[Unit] = field(default_factory=deque)
    """Units that wait until the lead's clock tells which segment they belong to."""
    active: bool = True
    """The current publisher sends this track."""

    @classmethod
    def of(cls, format: Format, msn: int) -> "Track":
        return cls(format, 0, msn, FrameCadence(format), Lag(format.timescale))

    @property
    def newest_end(self) -> int | None:
        """Where the newest unit of this stretch ends, placed or held; None: there was none."""
        return self.held[-1].dts + self.cadence.duration if self.held else self.end

    def admit(self, unit: Unit, reach: int = 0) -> tuple[Unit, bool]:
        """The unit with a dts that keeps the invariant, and whether it had to be moved far."""
        self.cadence.receive(unit.dts)
        dts, floor = unit.dts, self.floor
        self.came = dts
        if floor is None or dts >= floor:
            return self.follow(unit, reach), False
        return _moved(unit, floor), (floor - dts) * 4 > self.cadence.duration

    def follow(self, unit: Unit, reach: int) -> Unit:
        """The unit, decoded where the last part or segment was said to end, so that there is no
        hole: moved if the prediction was nearly right, else decoded early if it is before `reach`.
        """
        if self.floor is None or not self.promised:
            return unit
        if (unit.dts - self.floor) * 4 <= self.cadence.duration:
            return _moved(unit, self.floor)
        return replace(unit, dts=self.floor) if unit.dts < reach else unit

    def place(
        self, unit: Unit, discontinuity_seq: int, epoch_ns: int, now_ns: int, longest: int | None
    ) -> Sample:
        """Add the unit to the open part, opening one if there is none."""
        first = self.part_start is None
        if first:
            self.part_start = unit.dts
        if self.segment_start is None:
            self.segment_start = unit.dts
        self.segment_units += 1
        self.end = max(self.came + self.cadence.duration, unit.dts + 1)
        if longest is not None:
            # A frame expected to last beyond what a segment may is taken to last no longer.
            self.end = min(self.end, max(self.segment_start + longest, unit.dts + 1))
        self.floor, self.promised = unit.dts + 1, False
        pdt_ns = epoch_ns + unit.pts * NS // self.format.timescale
        independent = first and (unit.keyframe or self.format.track != VIDEO)
        mark = Mark(self.msn, self.part, discontinuity_seq, independent, pdt_ns)
        return Sample(unit, mark, now_ns)

    def cut_part(self, end: int) -> PartCut:
        """Close the open part at `end`."""
        cut = PartCut(self.format.track, self.msn, self.part, end)
        self.part += 1
        self.part_start, self.end = None, end
        self._promise(end)
        return cut

    def cut_segment(self, end: int, longest_part: int) -> list[Item]:
        """Close the open segment at `end`; a gap if it holds nothing."""
        if self.segment_start is None:
            raise RuntimeError(f"{self.format.track}: segment {self.msn} was never started")
        items: list[Item] = []
        if self.part_start is not None and end - self.part_start > longest_part:
            # Time without units belongs to the segment, never to a part.
            items.append(self.cut_part(end if self.end is None else min(self.end, end)))
        gap = self.segment_units == 0
        items.append(SegmentCut(self.format.track, self.msn, self.segment_start, end, gap))
        self.msn += 1
        self.segment_start, self.segment_units = end, 0
        self.part, self.part_start = 0, None
        self._promise(end)
        return items

    def _promise(self, end: int) -> None:
        if self.floor is None or end >= self.floor:
            self.floor, self.promised = end, True

    def expect(self, format: Format) -> None:
        """From here on frames last as long as this format says, if it says something else."""
        if format.frame_duration != self.cadence.declared:
            self.cadence = FrameCadence(format)

    def restart(self) -> None:
        """A discontinuity: the next unit starts a segment wherever it stands, though never back."""
        self.segment_start = self.end = None
        self.promised = False
        self.cadence.restart()
        self.held.clear()
        self.lag = Lag(self.format.timescale)
