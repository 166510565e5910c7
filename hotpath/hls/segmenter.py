"""Marked units in, parts and segments out: the programme's boundaries made concrete.

Invariant: whatever the order of items, per rendition every emitted `PartReady` belongs to the one
open segment, part numbers rise, and each `SegmentReady`, `GapSegment` or `Incomplete` is emitted
once per media sequence number and in rising order. Nothing is decided here: parts and segments end
where the items say so.

Upstream: `hotpath.bus` cursors by way of `packager`. Downstream: `fmp4`, `playlist`, the recorder.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from hotpath.hls.events import (
    Ended,
    Event,
    GapSegment,
    Incomplete,
    InitNeeded,
    PartReady,
    SegmentReady,
)
from hotpath.media.unit import (
    COMPANION,
    Format,
    FormatChange,
    Item,
    PartCut,
    ProgramEnd,
    Sample,
    SegmentCut,
)

NS = 1_000_000_000


@dataclass(slots=True)
class _OpenSegment:
    msn: int
    start: int
    discontinuity_seq: int
    pdt_ns: int
    emitted_until: int
    """Ticks: end of the last emitted part."""
    next_part: int = 0
    """The part that is open, or opens next."""


@dataclass(slots=True)
class _Track:
    format: Format
    init: int
    segment: _OpenSegment | None = None
    samples: list[Sample] = field(default_factory=list)
    """Units of the open part."""
    last_msn: int = -1
    """The newest segment that was closed."""
    last_end: int = 0
    """Ticks: where that segment ended."""
    resync: bool = True
    """At the start and after a loss: only the first unit of a segment may follow."""


@dataclass(frozen=True, slots=True)
class _Anchor:
    """What the first unit of a segment, in whichever track, says about the segment."""

    discontinuity_seq: int
    pts: int
    timescale: int
    pdt_ns: int

    def pdt_at(self, ticks: int, timescale: int) -> int:
        apart = ticks * self.timescale - self.pts * timescale
        return self.pdt_ns + apart * NS // (timescale * self.timescale)


def _incomplete(track: _Track, segment: _OpenSegment, duration: int) -> Incomplete:
    """The open segment as it is, of which `duration` should have been."""
    return Incomplete(
        track.format,
        track.init,
        segment.msn,
        segment.start,
        duration,
        segment.emitted_until - segment.start,
        segment.discontinuity_seq,
        segment.pdt_ns,
    )


class Segmenter:
    """One reader's view of a programme; see the module for the invariant."""

    ANCHORS = 16
    """Segments whose discontinuity number and wall clock are remembered for gaps."""

    def __init__(self) -> None:
        self._tracks: dict[str, _Track] = {}
        self._anchors: dict[int, _Anchor] = {}
        self._ended = False

    def receive(self, items: Iterable[Item]) -> list[Event]:
        """Events that the items complete, in order."""
        events: list[Event] = []
        for item in items:
            if self._ended:
                break
            match item:
                case Sample():
                    self._receive_sample(item, events)
                case PartCut():
                    self._receive_part_cut(item, events)
                case SegmentCut():
                    self._receive_segment_cut(item, events)
                case FormatChange() if item.format.track != COMPANION:
                    self._receive_format(item, events)
                case ProgramEnd(final=final):
                    for track in self._tracks.values():
                        self._close_lost(track, events)
                    self._ended = True
                    events.append(Ended(final))
        return events

    def skipped(self) -> None:
        """Items were lost before the next one: every track starts again at a segment."""
        for track in self._tracks.values():
            track.resync = True
            track.samples.clear()

    def _receive_format(self, item: FormatChange, events: list[Event]) -> None:
        name = item.format.track
        track = self._tracks.get(name)
        if track is None:
            self._tracks[name] = _Track(item.format, item.number)
        else:
            if track.segment is not None and not track.resync:
                # The programme cuts before it changes a format, so this reader missed the cut.
                track.resync = True
                track.samples.clear()
            if track.format.timescale != item.format.timescale:
                scale = (item.format.timescale, track.format.timescale)
                self._close_lost(track, events)
                track.last_end = track.last_end * scale[0] // scale[1]
            track.format, track.init = item.format, item.number
        events.append(InitNeeded(item.format, item.number))

    def _receive_sample(self, item: Sample, events: list[Event]) -> None:
        track = self._tracks.get(item.unit.track)
        if track is None:
            return
        mark = item.mark
        if track.resync and not self._resynchronise(track, item, events):
            return
        segment = track.segment
        if segment is None:
            segment = self._open_segment(track, item, events)
        # Anything else would be of a segment that is closed or has lost a cut: left out.
        if segment is not None and (segment.msn, segment.next_part) == (mark.msn, mark.part):
            latest = track.samples[-1].unit.dts if track.samples else segment.start
            if item.unit.dts >= latest:
                track.samples.append(item)

    def _open_segment(
        self, track: _Track, item: Sample, events: list[Event]
    ) -> _OpenSegment | None:
        mark, dts = item.mark, item.unit.dts
        if mark.msn <= track.last_msn or mark.part != 0:
            return None
        if 0 <= track.last_msn < mark.msn - 1:
            self._account(track, mark.msn, dts, self._anchor(track, item), events)
        self._anchors.setdefault(mark.msn, self._anchor(track, item))
        while len(self._anchors) > self.ANCHORS:
            del self._anchors[next(iter(self._anchors))]
        track.segment = _OpenSegment(mark.msn, dts, mark.discontinuity_seq, mark.pdt_ns, dts)
        return track.segment

    def _anchor(self, track: _Track, item: Sample) -> _Anchor:
        mark = item.mark
        return _Anchor(mark.discontinuity_seq, item.unit.pts, track.format.timescale, mark.pdt_ns)

    def _resynchronise(self, track: _Track, item: Sample, events: list[Event]) -> bool:
        """Whether `item` starts a segment; if so, what was lost before it is accounted for."""
        mark = item.mark
        open_msn = track.segment.msn if track.segment is not None else track.last_msn
        if mark.part != 0 or not mark.independent or mark.msn <= open_msn:
            return False
        self._account(track, mark.msn, item.unit.dts, self._anchor(track, item), events)
        return True

    def _account(
        self, track: _Track, msn: int, until: int, anchor: _Anchor, events: list[Event]
    ) -> None:
        """Emit every segment below `msn` that this reader did not get whole."""
        track.resync = False
        segment = track.segment
        if segment is None and track.last_msn < 0:
            return  # nothing was emitted yet: there is nothing to account for
        first, start = track.last_msn + 1, track.last_end
        if segment is not None:
            first, start = segment.msn, segment.start
        missing, lost = msn - first, max(until - start, 0)
        for index in range(missing):
            # The lost segments' own boundaries are unknown; equal shares keep each of them
            # within the longest, and the sum exact.
            begin, end = start + lost * index // missing, start + lost * (index + 1) // missing
            emitted, sequence = 0, anchor.discontinuity_seq
            pdt_ns = anchor.pdt_at(begin, track.format.timescale)
            if index == 0 and segment is not None:
                emitted = segment.emitted_until - segment.start
                sequence, pdt_ns = segment.discontinuity_seq, segment.pdt_ns
            duration = max(end - begin, emitted)
            events.append(
                Incomplete(
                    track.format,
                    track.init,
                    first + index,
                    begin,
                    duration,
                    emitted,
                    sequence,
                    pdt_ns,
                )
            )
        track.segment = None
        track.last_msn, track.last_end = max(track.last_msn, msn - 1), until

    def _close_lost(self, track: _Track, events: list[Event]) -> None:
        """End the open segment with what was emitted of it."""
        segment = track.segment
        if segment is None:
            return
        events.append(_incomplete(track, segment, segment.emitted_until - segment.start))
        track.segment, track.last_msn = None, segment.msn
        track.last_end = segment.emitted_until

    def _receive_part_cut(self, item: PartCut, events: list[Event]) -> None:
        track = self._tracks.get(item.track)
        if track is None or track.resync or track.segment is None:
            return
        if track.segment.msn == item.msn:
            self._emit_part(track, track.segment, item.end, events)

    def _receive_segment_cut(self, item: SegmentCut, events: list[Event]) -> None:
        track = self._tracks.get(item.track)
        if track is None or item.msn <= track.last_msn:
            return
        missed = track.segment is None and 0 <= track.last_msn < item.msn - 1
        if track.resync or missed:
            open_msn = track.segment.msn if track.segment is not None else track.last_msn
            anchor = self._anchor_for(item.msn)
            if not item.gap or anchor is None or item.msn <= open_msn:
                return
            self._account(track, item.msn, item.start, anchor, events)
        segment = track.segment
        if segment is not None and segment.msn == item.msn:
            duration = max(item.end - segment.start, 0)
            if item.gap:
                track.samples = []
                events.append(_incomplete(track, segment, duration))
            else:
                self._emit_part(track, segment, item.end, events, last=True)
                events.append(SegmentReady(track.format, item.msn, segment.start, duration))
        elif segment is None:
            self._emit_gap(track, item, events)
        else:
            return
        track.segment, track.last_msn, track.last_end = None, item.msn, item.end

    def _anchor_for(self, msn: int) -> _Anchor | None:
        """What is known of the segment from another track, else of the newest one."""
        newest = max(self._anchors, default=None)
        return self._anchors.get(msn) or (None if newest is None else self._anchors[newest])

    def _emit_gap(self, track: _Track, item: SegmentCut, events: list[Event]) -> None:
        anchor = self._anchor_for(item.msn)
        if anchor is None:
            return  # no track has shown any media yet: there is no wall clock to tell
        events.append(
            GapSegment(
                track.format,
                track.init,
                item.msn,
                item.start,
                max(item.end - item.start, 0),
                anchor.discontinuity_seq,
                anchor.pdt_at(item.start, track.format.timescale),
            )
        )

    def _emit_part(
        self,
        track: _Track,
        segment: _OpenSegment,
        end: int,
        events: list[Event],
        *,
        last: bool = False,
    ) -> None:
        samples = track.samples
        if not samples:
            return
        times = [sample.unit.dts for sample in samples]
        ends = [*times[1:], end]
        first = samples[0]
        events.append(
            PartReady(
                format=track.format,
                init=track.init,
                msn=segment.msn,
                part=first.mark.part,
                units=tuple(sample.unit for sample in samples),
                durations=tuple(max(b - a, 0) for a, b in zip(times, ends, strict=True)),
                start=times[0],
                independent=first.mark.independent,
                discontinuity_seq=first.mark.discontinuity_seq,
                pdt_ns=first.mark.pdt_ns,
                last=last,
            )
        )
        segment.emitted_until = max(end, times[-1])
        segment.next_part += 1
        track.samples = []
