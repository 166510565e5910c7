"""A source as the programme marks it, and a child that encodes a ladder without encoding."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from hotpath.encode.ladder_marks import LadderMarks
from hotpath.encode.ladder_steps import Cue
from hotpath.hls.events import Event, GapSegment, Incomplete, PartReady, SegmentReady
from hotpath.media.unit import (
    VIDEO,
    Codec,
    Format,
    FormatChange,
    Item,
    PartCut,
    ProgramEnd,
    Sample,
    SegmentCut,
    Unit,
)
from hotpath.program.marks import MarkWriter

MS = 1_000_000
EPOCH_NS = 1_790_000_000_000_000_000
SOURCE = Format(VIDEO, Codec.H264, 90_000, b"source", "avc1.4d001f", 1280, 720)


def pictures(
    *, count: int, gop: int, reorder: int, duration: int = 3000, at: int = 0
) -> list[Unit]:
    """A publisher's units in decode order, each P-picture before `reorder` B-pictures."""
    units: list[Unit] = []
    delay = duration if reorder else 0
    for first in range(0, count, gop):
        shown = list(range(min(gop, count - first)))
        order = shown[:1]
        rest = shown[1:]
        while rest:
            group, rest = rest[: reorder + 1], rest[reorder + 1 :]
            order += [group[-1], *group[:-1]]
        for position, display in enumerate(order):
            dts = at + (first + position) * duration
            pts = at + (first + display) * duration + delay
            ns = EPOCH_NS + dts * 100_000 // 9
            units.append(Unit(VIDEO, pts, dts, position == 0, b"picture", ns, ns))
    return units


def published(*stretches: Sequence[Unit], sources: Sequence[Format] = ()) -> list[Item]:
    """What the programme publishes; each stretch is another publisher, with its own format."""
    writer = MarkWriter(epoch_ns=EPOCH_NS)
    items: list[Item] = []
    for units, source in zip(stretches, sources or [SOURCE] * len(stretches), strict=True):
        items += writer.begin([source], EPOCH_NS)
        for unit in units:
            items += writer.write(unit, unit.ingest_ns)
        items += writer.close(EPOCH_NS)
    return items + writer.end(EPOCH_NS, final=True)


@dataclass
class Pretended:
    """A child as the parent sees it: its pictures come later by `lag` units."""

    marks: LadderMarks
    rungs: Sequence[str]
    lag: int = 0
    leaves_out: Callable[[int], bool] = lambda _pts: False
    """Whether the picture is left out if nothing forbids it."""
    dead: Callable[[int], bool] = lambda _pts: False
    """Whether there is no child while this unit of the source comes."""
    items: list[Item] = field(default_factory=list)
    """Everything on the bus, the source's own items included."""
    now: int = 0
    _held: list[Unit] = field(default_factory=list)
    _decoding: list[Unit] = field(default_factory=list)
    _cues: list[Cue] = field(default_factory=list)
    _highest: int = -1

    def receive(self, items: Iterable[Item]) -> "Pretended":
        for item in items:
            if isinstance(item, ProgramEnd):
                self._drain()
                self.items += self.marks.finish(self.now)
            self.items.append(item)
            match item:
                case FormatChange(format=format):
                    self.marks.describe_source(format, self.now)
                case Sample():
                    self._sample(item)
                case PartCut() | SegmentCut():
                    self.items += self.marks.source_cut(item, self.now)
        return self

    def _sample(self, item: Sample) -> None:
        unit = item.unit
        self.now = max(self.now, unit.dts * 100_000 // 9)
        self.items += self.marks.poll(self.now)
        cue = self.marks.source_unit(item)
        if self.dead(unit.dts):
            self._held, self._decoding, self._cues, self._highest = [], [], [], -1
            return
        if cue is not None:
            self._cues.append(cue)
        if self._highest < 0 and not unit.keyframe:
            return
        self._highest = max(self._highest, unit.pts)
        self._decoding.append(unit)
        if unit.keyframe:
            ready = [u for u in self._decoding if u.pts < unit.pts]
        else:
            ready = [u for u in self._decoding if u.pts < self._highest or u.pts == u.dts]
        for each in sorted(ready, key=lambda u: u.pts):
            self._decoding.remove(each)
            self._held.append(each)
        while len(self._held) > self.lag:
            self._show(self._held.pop(0))

    def _drain(self) -> None:
        for unit in [*self._held, *sorted(self._decoding, key=lambda u: u.pts)]:
            self._show(unit)

    def _show(self, unit: Unit) -> None:
        due = [cue for cue in self._cues if cue.pts <= unit.pts]
        if not due and self.leaves_out(unit.pts):
            self.items += self.marks.left_out(unit.pts, self.now)
            return
        self._cues = [cue for cue in self._cues if cue.pts > unit.pts]
        key = any(cue.key for cue in due)
        for rung in self.rungs:
            if key:
                self.marks.describe(rung, Format(VIDEO, Codec.H264, 90_000, rung.encode(), "avc1"))
            made = replace(unit, dts=unit.pts, keyframe=key, data=b"encoded")
            self.items += self.marks.receive(rung, made, self.now, EPOCH_NS + self.now)


def parts(events: Iterable[Event], track: str) -> dict[tuple[int, int], PartReady]:
    return {
        (each.msn, each.part): each
        for each in events
        if isinstance(each, PartReady) and each.format.track == track
    }


def segments(events: Iterable[Event], track: str) -> dict[int, Event]:
    """How each segment of the track came out."""
    return {
        each.msn: each
        for each in events
        if isinstance(each, SegmentReady | GapSegment | Incomplete) and each.format.track == track
    }
