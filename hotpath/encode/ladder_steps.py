"""The source's parts and segments as stretches of time in which pictures are shown.

Pure. Invariant: steps come in the order of the programme, a part's stretch begins where the one
before it ends, and a segment that begins with a keyframe begins where that keyframe is shown. The
programme cuts by decode time; pictures of an encoder without B-frames come in the order in which
they are shown. Between the two lies a constant delay, that of the keyframe which waits least: the
programme may decode a late picture as if it were in time.

Upstream: `ladder_marks`, with what the programme publishes of its video. Bounded: who reads the
steps forgets them.
"""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from hotpath.media.unit import Mark, PartCut, SegmentCut, Unit

NS = 1_000_000_000
MAX_SHOWN = 4096
"""Pictures of the source whose times are remembered."""


@dataclass(slots=True)
class PartStep:
    """A part of the source; `start` and `end` are when its pictures are shown, in ticks."""

    msn: int
    part: int
    discontinuity_seq: int
    start: int
    begin: int
    """When the first picture is decoded, with the delay: no later than it is shown."""
    end: int | None = None
    """None while the source may add to it."""
    ends_segment: bool = False
    """No cut of its own: that of its segment closed it."""
    closed: int = 0
    """When its end was known; the caller's clock."""


@dataclass(slots=True)
class SegmentStep:
    """The end of a segment. `gap`: the source had nothing in it."""

    msn: int
    start: int
    end: int
    gap: bool


Step: TypeAlias = PartStep | SegmentStep


@dataclass(frozen=True, slots=True)
class Cue:
    """The first picture at or after `pts` is shown however late it is, so that no part is empty."""

    pts: int
    key: bool
    """It begins a segment: an IDR."""


class Steps:
    """What the source has done so far and not every rung has; see the module for the invariant."""

    def __init__(self) -> None:
        self.epoch_ns = 0
        """Wall clock of tick 0."""
        self.timescale = 90_000
        self._steps: deque[Step] = deque()
        self._first = 0
        self._open: PartStep | None = None
        """The newest part, while the source may add to it."""
        self._segment_start = 0
        self._until: int | None = None
        """Where the newest part or segment that has ended ends."""
        self._delay = 0
        self._stretch = -1
        """Discontinuity number for which the delay holds."""
        self._known = 0
        """Every picture that is shown before this has been seen."""
        self._shown: list[int] = []

    @property
    def end(self) -> int:
        """Number that the next step will get."""
        return self._first + len(self._steps)

    @property
    def oldest(self) -> int:
        return self._first

    def get(self, number: int) -> Step | None:
        index = number - self._first
        return self._steps[index] if 0 <= index < len(self._steps) else None

    def receive(self, unit: Unit, mark: Mark) -> Cue | None:
        """A picture of the source; a cue if it begins a part."""
        insort(self._shown, unit.pts)
        del self._shown[: max(len(self._shown) - MAX_SHOWN, 0)]
        self._known = max(self._known, unit.dts)
        self.epoch_ns = mark.pdt_ns - unit.pts * NS // self.timescale
        if self._open is not None and (self._open.msn, self._open.part) == (mark.msn, mark.part):
            return None
        start = self._start(unit, mark)
        if mark.part == 0:
            self._segment_start = start
        begin = unit.dts + self._delay
        self._open = PartStep(mark.msn, mark.part, mark.discontinuity_seq, start, begin)
        self._steps.append(self._open)
        return Cue(start, key=mark.part == 0)

    def _start(self, unit: Unit, mark: Mark) -> int:
        """When the first picture of the part that `unit` opens is shown, or decoded if sooner."""
        if mark.part or not unit.keyframe:
            return unit.dts + self._delay if self._until is None else self._until
        delay = max(unit.pts - unit.dts, 0)
        same = mark.discontinuity_seq == self._stretch
        self._delay = min(self._delay, delay) if same else delay
        self._stretch = mark.discontinuity_seq
        start = unit.dts + self._delay
        for step in list(self._steps)[-2:]:
            # With a longer delay before, it would have ended after this one begins.
            if step.end is not None:
                step.end = max(min(step.end, start), step.start)
        return start

    def cut_part(self, cut: PartCut, now: int) -> None:
        self._close(cut.msn, cut.end, now)

    def cut_segment(self, cut: SegmentCut, now: int) -> None:
        if self._open is not None and self._open.msn == cut.msn:
            self._open.ends_segment = True
            self._close(cut.msn, cut.end, now)
        end = max(cut.end + self._delay, self._until or 0)
        start = min(cut.start + self._delay if cut.gap else self._segment_start, end)
        self._steps.append(SegmentStep(cut.msn, start, end, cut.gap))
        self._until = end

    def ended(self) -> None:
        """No picture follows: all have been seen."""
        self._known = max(self._known, self._until or 0)

    def _close(self, msn: int, end: int, now: int) -> None:
        self._known = max(self._known, end)
        part = self._open
        if part is None or part.msn != msn:
            return
        self._open = None
        part.end, part.closed = max(end + self._delay, part.start + 1), now
        self._until = part.end

    def complete(self, part: PartStep, passed: int) -> bool:
        """Whether nothing can come for `part` once all up to `passed` has."""
        if part.end is None:
            return False
        if passed >= part.end - 1:
            return True
        if self._known < part.end:
            return False
        before = bisect_left(self._shown, part.end)
        return before == 0 or passed >= self._shown[before - 1]

    def forget(self, number: int) -> None:
        """Steps before `number` are of no use any more."""
        while self._first < number and self._steps:
            step = self._steps.popleft()
            self._first += 1
            del self._shown[: bisect_left(self._shown, step.start)]
