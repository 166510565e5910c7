"""The source's marks and a rung's encoded pictures in, that rung's marked items out.

Pure. Invariant: a rung's pictures have the part, segment, discontinuity and wall clock of the
source's picture with the same timestamp, and its cuts are the source's: segment `n` of every rung
covers the same time. A part is cut as soon as nothing can come for it. Numbers and times never
fall. What an encoder leaves out makes the picture before it last longer; a segment of which a whole
part is missing is a gap from there to its end, and the rung goes on with the next that begins with
a keyframe. A part is waited for as `Patience` says, no longer.

Upstream: `ladder`, with what the programme publishes and what the child makes. Downstream: the
programme's bus. Time is an argument: `now` for deadlines, `wall_ns` for what is published.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from hotpath.encode.ladder_steps import NS, Cue, PartStep, SegmentStep, Steps
from hotpath.media.unit import (
    VIDEO,
    Format,
    FormatChange,
    Item,
    Mark,
    PartCut,
    Sample,
    SegmentCut,
    Unit,
)

MAX_STEPS = 512


@dataclass(frozen=True, slots=True)
class Patience:
    late_ns: int = 1_500_000_000
    """For so long after the source a part is waited for."""
    start_ns: int = 10_000_000_000
    """A rung has so long to catch up with a source that begins, or changes its format."""


@dataclass(slots=True)
class _Rung:
    name: str
    at: int
    """Number of the step that it is in."""
    format: Format | None = None
    """As announced on the bus."""
    coming: Format | None = None
    """Of the pictures that come now."""
    init: int = -1
    msn: int | None = None
    """The segment in which it has pictures, while that is open."""
    start: int = 0
    units: int = 0
    """Pictures in the part that it is in."""
    broken: bool = False
    """A part of the open segment is missing: the rest of it is a gap."""
    floor: int = 0
    """No picture may be before this."""
    passed: int | None = None
    """Nothing up to this timestamp will come any more. None: nothing has come yet."""
    caught_up: bool = False
    """It has been where the source was."""
    gone: bool = False
    """Nothing will come at all."""


class LadderMarks:
    """The rungs of one incarnation of a programme; see the module for the invariant."""

    def __init__(self, rungs: Sequence[str], patience: Patience | None = None) -> None:
        self.counts: Counter[str] = Counter()
        """Encoded pictures that were of no use, by reason."""
        self._steps = Steps()
        self._rungs = {name: _Rung(name, 0) for name in rungs}
        self._patience = patience or Patience()
        self._patient_until = 0

    # -- the source --------------------------------------------------------------------------

    def describe_source(self, format: Format, now: int) -> None:
        """Another format, another child: every rung may take its time to catch up."""
        self._steps.timescale = format.timescale
        self._patient_until = now + self._patience.start_ns
        for each in self._rungs.values():
            each.caught_up = False

    def source_unit(self, sample: Sample) -> Cue | None:
        """A picture that the child is given; a cue for it if it begins a part."""
        return self._steps.receive(sample.unit, sample.mark)

    def source_cut(self, cut: PartCut | SegmentCut, now: int) -> list[Item]:
        """The source ends a part or segment; items of rungs that have all of it already."""
        if cut.track != VIDEO:
            return []
        if isinstance(cut, PartCut):
            self._steps.cut_part(cut, now)
        else:
            self._steps.cut_segment(cut, now)
        return self._advance_all(now)

    def source_ended(self, now: int) -> list[Item]:
        """No picture of the source follows."""
        self._steps.ended()
        return self._advance_all(now)

    # -- the child ---------------------------------------------------------------------------

    def describe(self, rung: str, format: Format) -> None:
        """Of that rung's pictures from here on."""
        each = self._rungs[rung]
        format = replace(format, track=rung)
        if each.coming is not None and each.coming != format:
            each.broken = each.msn is not None
        each.coming = format

    def receive(self, rung: str, unit: Unit, now: int, wall_ns: int) -> list[Item]:
        """An encoded picture; per rung they come in order."""
        each = self._rungs[rung]
        items: list[Item] = []
        self._pass(each, unit.pts - 1, now, items)
        self._place(each, unit, wall_ns, items)
        self._pass(each, unit.pts, now, items)
        self._forget()
        return items

    def left_out(self, pts: int, now: int) -> list[Item]:
        """The child has left out everything up to `pts` that has not come."""
        items: list[Item] = []
        for each in self._rungs.values():
            self._pass(each, pts, now, items)
        self._forget()
        return items

    def expect(self, rungs: Collection[str], now: int) -> list[Item]:
        """From here on pictures come for these rungs alone: the others have gaps."""
        for each in self._rungs.values():
            each.gone = each.name not in rungs
        return self._advance_all(now)

    def drop(self, rung: str, now: int) -> list[Item]:
        """Nothing comes for this rung any more."""
        self._rungs[rung].gone = True
        return self._advance_all(now)

    # -- time --------------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Every rung has got as far as the source."""
        return all(each.at == self._steps.end for each in self._rungs.values())

    def next_deadline(self) -> int | None:
        due = [self._due(each) for each in self._rungs.values()]
        return min((at for at in due if at is not None), default=None)

    def poll(self, now: int) -> list[Item]:
        """Cut what has been waited for long enough."""
        return self._advance_all(now)

    def finish(self, now: int) -> list[Item]:
        """Nothing will come any more for any rung."""
        for each in self._rungs.values():
            each.gone = True
        return self._advance_all(now)

    def _due(self, each: _Rung) -> int | None:
        step = self._steps.get(each.at)
        if not isinstance(step, PartStep) or step.end is None:
            return None
        start = 0 if each.caught_up else self._patient_until
        return max(step.closed + self._patience.late_ns, start)

    # -- inside ------------------------------------------------------------------------------

    def _advance_all(self, now: int) -> list[Item]:
        items: list[Item] = []
        for each in self._rungs.values():
            self._advance(each, now, items)
        self._forget()
        return items

    def _forget(self) -> None:
        self._steps.forget(min((each.at for each in self._rungs.values()), default=0))

    def _pass(self, each: _Rung, pts: int, now: int, items: list[Item]) -> None:
        each.passed = pts if each.passed is None else max(each.passed, pts)
        self._advance(each, now, items)

    def _advance(self, each: _Rung, now: int, items: list[Item]) -> None:
        """Leave every step for which nothing can come, or has come for too long."""
        while (step := self._steps.get(each.at)) is not None:
            if isinstance(step, SegmentStep):
                items += self._cut_segment(each, step)
            elif self._over(each, step, now):
                items += self._cut_part(each, step)
            else:
                break
            each.at += 1
        # The newest step is open, or will be the next.
        each.caught_up |= each.passed is not None and each.at >= self._steps.end - 1

    def _over(self, each: _Rung, step: PartStep, now: int) -> bool:
        if step.end is None:
            return False
        if each.gone or self._steps.end - each.at > MAX_STEPS:
            return True
        due = self._due(each)
        if due is not None and now >= due:
            return True
        return each.passed is not None and self._steps.complete(step, each.passed)

    def _cut_part(self, each: _Rung, step: PartStep) -> Iterable[Item]:
        missing, each.units = each.units == 0, 0
        each.floor = max(each.floor, step.end or 0)
        if each.msn is None:
            return
        each.broken = each.broken or missing
        if not each.broken and not step.ends_segment:
            yield PartCut(each.name, step.msn, step.part, step.end or 0)

    def _cut_segment(self, each: _Rung, step: SegmentStep) -> Iterable[Item]:
        start, gap = step.start, True
        if each.msn is not None:
            start, gap = each.start, each.broken
        each.msn, each.broken = None, False
        each.floor = max(each.floor, step.end)
        if each.format is not None:
            yield SegmentCut(each.name, step.msn, start, step.end, gap)

    def _place(self, each: _Rung, unit: Unit, wall_ns: int, items: list[Item]) -> None:
        step = self._steps.get(each.at)
        if not isinstance(step, PartStep) or unit.pts < step.start or each.gone:
            self.counts["too-late"] += 1
            return
        if each.msn is None and not self._open(each, step, unit, items):
            self.counts["before-segment"] += 1
            return
        if each.broken:
            self.counts["incomplete-segment"] += 1
            return
        pts = max(unit.pts, each.floor)
        first, dts = each.units == 0, pts
        if first:
            # Where the source's part begins, though its first picture may be shown later.
            dts = max(min(pts, step.begin), each.floor)
        each.units, each.floor = each.units + 1, pts + 1
        pdt_ns = self._steps.epoch_ns + pts * NS // self._steps.timescale
        mark = Mark(step.msn, step.part, step.discontinuity_seq, first and unit.keyframe, pdt_ns)
        items.append(Sample(replace(unit, track=each.name, pts=pts, dts=dts), mark, wall_ns))

    def _open(self, each: _Rung, step: PartStep, unit: Unit, items: list[Item]) -> bool:
        """Begin a segment of the rung, if the picture can."""
        if step.part != 0 or not unit.keyframe or each.coming is None:
            return False
        if each.coming != each.format:
            each.format = each.coming
            each.init += 1
            items.append(FormatChange(each.format, each.init))
        each.msn, each.broken = step.msn, False
        each.start = max(min(unit.pts, step.begin), each.floor)
        return True
