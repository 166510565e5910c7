"""Units in, parts and segments out: boundaries are the programme's, losses are accounted for."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotpath.hls.events import (
    Ended,
    Event,
    GapSegment,
    Incomplete,
    InitNeeded,
    PartReady,
    SegmentReady,
)
from hotpath.hls.segmenter import Segmenter
from hotpath.media.unit import (
    AUDIO,
    VIDEO,
    Codec,
    Format,
    FormatChange,
    Item,
    Mark,
    PartCut,
    ProgramEnd,
    Sample,
    SegmentCut,
    Unit,
)
from tests.support.coded import EPOCH_NS, coded, marked

PICTURES = Format(VIDEO, Codec.H264, 90_000, b"", "avc1.42c00d", 320, 180, frame_duration=3000)
SOUND = Format(AUDIO, Codec.AAC, 48_000, b"", "mp4a.40.2", sample_rate=48_000, channels=2)
START = [FormatChange(PICTURES, 0), FormatChange(SOUND, 0)]


def picture(dts: int, msn: int, part: int, *, first: bool = False, seq: int = 0) -> Sample:
    unit = Unit(VIDEO, dts, dts, first, b"v", EPOCH_NS, EPOCH_NS)
    return Sample(unit, Mark(msn, part, seq, first, EPOCH_NS + dts * 100_000 // 9), EPOCH_NS)


def sound(dts: int, msn: int, part: int, *, first: bool = False, seq: int = 0) -> Sample:
    unit = Unit(AUDIO, dts, dts, True, b"a", EPOCH_NS, EPOCH_NS)
    pdt_ns = EPOCH_NS + dts * 1_000_000_000 // 48_000
    return Sample(unit, Mark(msn, part, seq, first, pdt_ns), EPOCH_NS)


def of(events: Sequence[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_a_part_is_ready_at_its_cut_and_not_before() -> None:
    segmenter = Segmenter()
    units = [picture(0, 0, 0, first=True), picture(3000, 0, 0), picture(6500, 0, 0)]
    assert [type(e) for e in segmenter.receive([START[0], *units])] == [InitNeeded]
    (part,) = segmenter.receive([PartCut(VIDEO, 0, 0, 9600)])
    assert isinstance(part, PartReady)
    assert part.units == tuple(sample.unit for sample in units)
    assert part.durations == (3000, 3500, 3100)
    assert (part.start, part.duration, part.independent) == (0, 9600, True)


def test_a_segment_cut_completes_the_open_part() -> None:
    segmenter = Segmenter()
    segmenter.receive([START[0], picture(0, 4, 0, first=True), PartCut(VIDEO, 4, 0, 3000)])
    part, segment = segmenter.receive([picture(3000, 4, 1), SegmentCut(VIDEO, 4, 0, 6000)])
    assert isinstance(part, PartReady)
    assert (part.part, part.duration) == (1, 3000)
    assert segment == SegmentReady(PICTURES, 4, 0, 6000)


def test_a_segment_cut_after_its_last_part_cut_completes_nothing_twice() -> None:
    segmenter = Segmenter()
    segmenter.receive([START[0], picture(0, 4, 0, first=True), PartCut(VIDEO, 4, 0, 3000)])
    assert segmenter.receive([SegmentCut(VIDEO, 4, 0, 3000)]) == [
        SegmentReady(PICTURES, 4, 0, 3000)
    ]
    assert segmenter.receive([SegmentCut(VIDEO, 4, 0, 3000), PartCut(VIDEO, 4, 0, 3000)]) == []


def test_a_gap_takes_clock_and_discontinuity_from_the_other_track() -> None:
    segmenter = Segmenter()
    events = segmenter.receive(
        [
            *START,
            picture(180_000, 9, 0, first=True, seq=2),
            SegmentCut(VIDEO, 9, 180_000, 360_000),
            SegmentCut(AUDIO, 9, 96_000, 192_000, gap=True),
        ]
    )
    (gap,) = of(events, GapSegment)
    assert gap == GapSegment(SOUND, 0, 9, 96_000, 96_000, 2, EPOCH_NS + 2_000_000_000)


def test_a_reader_starts_with_a_segment_not_inside_one() -> None:
    segmenter = Segmenter()
    events = segmenter.receive(
        [
            START[0],
            picture(0, 3, 4, first=True),
            SegmentCut(VIDEO, 3, 0, 3000),
            picture(3000, 4, 0, first=True),
            SegmentCut(VIDEO, 4, 3000, 6000),
        ]
    )
    assert [e.msn for e in of(events, PartReady)] == [4]  # type: ignore[union-attr]
    assert [e.msn for e in of(events, SegmentReady)] == [4]  # type: ignore[union-attr]


def test_what_was_lost_is_accounted_for_once_and_to_the_tick() -> None:
    segmenter = Segmenter()
    segmenter.receive([START[0], picture(0, 0, 0, first=True), PartCut(VIDEO, 0, 0, 18_000)])
    segmenter.receive([picture(18_000, 0, 1)])
    segmenter.skipped()
    # a keyframe inside a segment does not do: its segment would lack its beginning
    assert segmenter.receive([picture(300_000, 2, 3, first=True), PartCut(VIDEO, 2, 3, 1)]) == []
    events = segmenter.receive([picture(540_001, 3, 0, first=True)])
    assert [type(event) for event in events] == [Incomplete] * 3
    spans = [(e.msn, e.start, e.duration, e.emitted) for e in events if isinstance(e, Incomplete)]
    assert spans == [(0, 0, 180_000, 18_000), (1, 180_000, 180_000, 0), (2, 360_000, 180_001, 0)]
    (done,) = of(segmenter.receive([SegmentCut(VIDEO, 3, 540_001, 543_001)]), SegmentReady)
    assert done == SegmentReady(PICTURES, 3, 540_001, 3000)


def test_a_track_that_stays_silent_after_a_loss_goes_on_with_its_gaps() -> None:
    segmenter = Segmenter()
    segmenter.receive([*START, picture(0, 0, 0, first=True), sound(0, 0, 0, first=True)])
    segmenter.receive([PartCut(AUDIO, 0, 0, 1024)])
    segmenter.skipped()
    events = segmenter.receive(
        [
            picture(180_000, 1, 0, first=True),
            SegmentCut(VIDEO, 1, 180_000, 360_000),
            SegmentCut(AUDIO, 1, 96_000, 192_000, gap=True),
        ]
    )
    audio = [e for e in events if isinstance(e, Incomplete | GapSegment) and e.format == SOUND]
    assert [(type(e), e.msn, e.start, e.duration) for e in audio] == [
        (Incomplete, 0, 0, 96_000),
        (GapSegment, 1, 96_000, 96_000),
    ]


def test_a_lost_cut_at_the_end_still_closes_the_segment() -> None:
    segmenter = Segmenter()
    segmenter.receive([START[0], picture(0, 0, 0, first=True), PartCut(VIDEO, 0, 0, 3000)])
    segmenter.skipped()
    incomplete, ended = segmenter.receive([ProgramEnd(final=True)])
    assert isinstance(incomplete, Incomplete)
    assert (incomplete.duration, incomplete.emitted) == (3000, 3000)
    assert ended == Ended(final=True)
    assert segmenter.receive([picture(3000, 1, 0, first=True)]) == []


def test_a_new_format_asks_for_its_init_section() -> None:
    segmenter = Segmenter()
    bigger = Format(VIDEO, Codec.H264, 90_000, b"x", "avc1.42c01f", 1280, 720)
    events = segmenter.receive(
        [
            START[0],
            picture(0, 0, 0, first=True),
            SegmentCut(VIDEO, 0, 0, 3000),
            FormatChange(bigger, 1),
            picture(3000, 1, 0, first=True, seq=1),
            SegmentCut(VIDEO, 1, 3000, 6000),
        ]
    )
    assert [e.number for e in of(events, InitNeeded)] == [0, 1]  # type: ignore[union-attr]
    parts = [e for e in events if isinstance(e, PartReady)]
    assert [(p.init, p.discontinuity_seq) for p in parts] == [(0, 0), (1, 1)]


def check(events: Sequence[Event]) -> None:
    """The segmenter's invariant, over all it has emitted."""
    open_msn: dict[str, int | None] = defaultdict(lambda: None)
    closed: dict[str, int] = defaultdict(lambda: -1)
    parts: dict[str, int] = defaultdict(lambda: -1)
    known: set[str] = set()
    for event in events:
        if isinstance(event, InitNeeded):
            known.add(event.format.track)
        elif isinstance(event, PartReady):
            track = event.format.track
            assert track in known
            assert event.msn > closed[track]
            assert open_msn[track] in (None, event.msn)
            if open_msn[track] is None:
                parts[track] = -1
            assert event.part == parts[track] + 1
            assert len(event.units) == len(event.durations) > 0
            assert all(duration >= 0 for duration in event.durations)
            open_msn[track], parts[track] = event.msn, event.part
        elif not isinstance(event, Ended):
            track = event.format.track
            assert event.msn > closed[track]
            if closed[track] >= 0:
                assert event.msn == closed[track] + 1
            assert open_msn[track] in (None, event.msn)
            assert event.duration >= 0
            closed[track], open_msn[track] = event.msn, None


@pytest.mark.parametrize(("video", "audio"), [("h264", "aac"), ("h264-b", "opus"), (None, "aac")])
def test_every_unit_of_a_real_programme_comes_out_once(video: str | None, audio: str) -> None:
    source = coded(video, audio)
    events = Segmenter().receive(marked(source, msn=64))
    check(events)
    for format in source.formats:
        parts = [e for e in events if isinstance(e, PartReady) and e.format.track == format.track]
        assert [unit for part in parts for unit in part.units] == source.track(format.track)
        assert all(a.start + a.duration == b.start for a, b in pairwise(parts))
        limit = 215 * format.timescale / 1000
        assert all(part.duration <= limit for part in parts)
        segments = [
            e for e in events if isinstance(e, SegmentReady) and e.format.track == format.track
        ]
        assert [segment.msn for segment in segments] == list(range(64, 64 + len(segments)))
        assert sum(s.duration for s in segments) == sum(p.duration for p in parts)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.large_base_example])
@given(data=st.data())
def test_losses_anywhere_in_a_real_programme_keep_the_invariant(data: st.DataObject) -> None:
    items: list[Item] = marked(coded())
    segmenter = Segmenter()
    events: list[Event] = []
    position = 0
    while position < len(items):
        step = data.draw(st.integers(1, 120))
        events += segmenter.receive(items[position : position + step])
        position += step
        lost = data.draw(st.integers(0, 200))
        if lost and position + lost < len(items):
            position += lost
            segmenter.skipped()
            # The bus hands on the formats and begins at a keyframe.
            while position < len(items) and not (
                isinstance(item := items[position], Sample)
                and item.unit.keyframe
                and item.unit.track == VIDEO
            ):
                position += 1
    if position >= len(items) and not any(isinstance(e, Ended) for e in events):
        events += segmenter.receive([items[-1]])
    check(events)
    assert sum(isinstance(e, Ended) for e in events) == 1


ITEMS = st.one_of(
    st.builds(
        picture, st.integers(0, 10**6), st.integers(0, 6), st.integers(0, 4), first=st.booleans()
    ),
    st.builds(
        sound, st.integers(0, 10**6), st.integers(0, 6), st.integers(0, 4), first=st.booleans()
    ),
    st.builds(
        PartCut,
        st.sampled_from([VIDEO, AUDIO]),
        st.integers(0, 6),
        st.integers(0, 4),
        st.integers(0, 10**6),
    ),
    st.builds(
        SegmentCut,
        st.sampled_from([VIDEO, AUDIO]),
        st.integers(0, 6),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.booleans(),
    ),
    st.sampled_from([*START, None]),
)


@settings(max_examples=300)
@given(st.lists(ITEMS, max_size=60))
def test_any_order_of_items_keeps_the_invariant(items: list[Item | None]) -> None:
    segmenter = Segmenter()
    events = segmenter.receive(START)
    for item in items:
        if item is None:
            segmenter.skipped()
        else:
            events += segmenter.receive([item])
    events += segmenter.receive([ProgramEnd(final=False)])
    check(events)
