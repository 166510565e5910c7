"""Every rung of a ladder has the source's parts and segments, whatever its encoder does."""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.encode.ladder_marks import MAX_STEPS, LadderMarks, Patience
from hotpath.encode.ladder_steps import MAX_SHOWN
from hotpath.hls.events import Event, GapSegment, Incomplete, SegmentReady
from hotpath.hls.segmenter import Segmenter
from hotpath.media.unit import VIDEO, FormatChange, PartCut, Sample, SegmentCut, Unit
from tests.support.ladder import EPOCH_NS, SOURCE, Pretended, parts, pictures, published, segments

RUNGS = ("720p", "360p")
LATE_NS, START_NS = Patience().late_ns, Patience().start_ns
SECOND = 90_000


def told(child: Pretended) -> list[Event]:
    return Segmenter().receive(child.items)


def pretended(**options: object) -> Pretended:
    return Pretended(LadderMarks(RUNGS), RUNGS, **options)  # type: ignore[arg-type]


def tiles(events: list[Event], track: str) -> bool:
    """Parts of a track follow each other without a hole within each segment."""
    own = parts(events, track)
    return all(
        own[a].start + own[a].duration == own[b].start
        for a, b in pairwise(sorted(own))
        if a[0] == b[0]
    )


@dataclass(frozen=True)
class Source:
    duration: int
    gop: int
    reorder: int

    def units(self) -> list[Unit]:
        return pictures(count=150, gop=self.gop, reorder=self.reorder, duration=self.duration)


sources = st.builds(
    Source,
    st.sampled_from([1500, 1800, 3000, 3003, 3600, 3754]),
    st.integers(5, 120),
    st.integers(0, 3),
)
few = settings(max_examples=40, deadline=None)


@few
@given(sources, st.integers(0, 8))
def test_rungs_have_the_parts_and_segments_of_the_source(shape: Source, lag: int) -> None:
    source = shape.units()
    events = told(pretended(lag=lag).receive(published(source)))
    frame = source[1].dts - source[0].dts
    theirs = parts(events, VIDEO)
    for rung in RUNGS:
        own = parts(events, rung)
        assert own.keys() == theirs.keys()
        assert sum(len(part.units) for part in own.values()) == len(source)
        assert tiles(events, rung)
        for place, part in own.items():
            assert abs(part.duration - theirs[place].duration) <= frame
            assert part.discontinuity_seq == theirs[place].discontinuity_seq
            assert part.independent == (place[1] == 0)
        assert all(isinstance(each, SegmentReady) for each in segments(events, rung).values())


@few
@given(sources)
def test_a_segment_begins_with_the_picture_that_begins_the_sources(shape: Source) -> None:
    source = shape.units()
    events = told(pretended(lag=3).receive(published(source)))
    for place, part in parts(events, VIDEO).items():
        first = part.units[0]
        if place[1] == 0 and first.keyframe:
            own = parts(events, "720p")[place]
            assert (own.units[0].pts, own.pdt_ns) == (first.pts, part.pdt_ns)


@pytest.mark.parametrize("seed", range(25, 50))
def test_rungs_of_a_source_with_uneven_frames_have_its_parts(seed: int) -> None:
    chance = Random(seed)
    lag = chance.randrange(5)
    steps = [chance.choice([3000, chance.randint(1200, 19_000)]) for _ in range(100)]
    times = [0, *accumulate(steps)]
    ns = [EPOCH_NS + at * 100_000 // 9 for at in times]
    source = [
        Unit(VIDEO, at, at, n % 40 == 0, b"picture", at_ns, at_ns)
        for n, (at, at_ns) in enumerate(zip(times, ns, strict=True))
    ]
    events = told(pretended(lag=lag).receive(published(source)))
    theirs = parts(events, VIDEO)
    for rung in RUNGS:
        own = parts(events, rung)
        assert tiles(events, rung)
        assert {p: (e.start, e.duration) for p, e in own.items()} == {
            p: (e.start, e.duration) for p, e in theirs.items()
        }
        assert {p: [u.pts for u in e.units] for p, e in own.items()} == {
            p: [u.pts for u in e.units] for p, e in theirs.items()
        }


@few
@given(sources, st.sets(st.integers(0, 149)), st.integers(0, 5))
def test_pictures_left_out_shorten_nothing(shape: Source, missing: set[int], lag: int) -> None:
    source = shape.units()
    shown = sorted(unit.pts for unit in source)
    late = {shown[n] for n in missing}
    child = pretended(lag=lag, leaves_out=lambda pts: pts in late).receive(published(source))
    events = told(child)
    theirs = segments(events, VIDEO)
    for rung in RUNGS:
        assert parts(events, rung).keys() == parts(events, VIDEO).keys()
        assert tiles(events, rung)
        for msn, segment in segments(events, rung).items():
            assert isinstance(segment, SegmentReady)
            assert abs(segment.duration - theirs[msn].duration) <= shape.duration  # type: ignore[union-attr]


@few
@given(sources, st.integers(0, 120), st.integers(1, 80), st.integers(0, 8))
def test_a_child_that_was_away_costs_the_segments_that_it_missed(
    shape: Source, first: int, count: int, lag: int
) -> None:
    source = shape.units()
    away = {unit.dts for unit in source[first : first + count]}
    child = pretended(lag=lag, dead=lambda dts: dts in away).receive(published(source))
    events = told(child)
    for rung in RUNGS:
        samples = [i for i in child.items if isinstance(i, Sample) and i.unit.track == rung]
        places = [(s.mark.msn, s.mark.part, s.unit.dts) for s in samples]
        assert places == sorted(places)
        assert len({dts for _, _, dts in places}) == len(places)
        own = segments(events, rung)
        if own:
            assert sorted(own) == list(range(min(own), max(segments(events, VIDEO)) + 1))
        for msn, segment in own.items():
            mine = [place for place in parts(events, rung) if place[0] == msn]
            assert sorted(mine) == [(msn, n) for n in range(len(mine))]
            if isinstance(segment, SegmentReady):
                assert {p for p in parts(events, VIDEO) if p[0] == msn} == set(mine)


def test_a_part_is_cut_with_its_last_picture() -> None:
    child = pretended()
    for item in published(pictures(count=90, gop=30, reorder=0)):
        child.receive([item])
        if isinstance(item, PartCut) and item.track == VIDEO:
            cuts = [i for i in child.items if isinstance(i, PartCut) and i.track != VIDEO]
            assert {(i.msn, i.part, i.end) for i in cuts[-2:]} == {(item.msn, item.part, item.end)}


def test_another_publisher_is_a_discontinuity_in_every_rung() -> None:
    first = pictures(count=100, gop=30, reorder=2)
    second = pictures(count=100, gop=25, reorder=0, duration=3600, at=330_000)
    events = told(pretended(lag=4).receive(published(first, second)))
    theirs = parts(events, VIDEO)
    assert {part.discontinuity_seq for part in theirs.values()} == {0, 1}
    for rung in RUNGS:
        own = parts(events, rung)
        assert own.keys() == theirs.keys()
        for place, part in own.items():
            assert part.discontinuity_seq == theirs[place].discontinuity_seq


def test_without_b_frames_after_b_frames_the_first_segment_is_whole() -> None:
    first = pictures(count=60, gop=30, reorder=2)
    second = pictures(count=90, gop=30, reorder=0, at=60 * 3000)
    events = told(pretended().receive(published(first, second)))
    for rung in RUNGS:
        assert parts(events, rung).keys() == parts(events, VIDEO).keys()


def test_a_rung_that_was_dropped_has_gaps_from_there_on() -> None:
    items = published(pictures(count=300, gop=30, reorder=0))
    child = pretended().receive(items[:150])
    child.rungs = RUNGS[1:]
    child.items += child.marks.drop("720p", child.now)
    events = told(child.receive(items[150:]))
    own = segments(events, "720p")
    kinds = [type(own[msn]) for msn in sorted(own)]
    assert kinds[0] is SegmentReady
    assert Incomplete in kinds or GapSegment in kinds
    assert kinds[-1] is GapSegment
    assert all(isinstance(each, SegmentReady) for each in segments(events, "360p").values())


def test_an_incomplete_segment_keeps_the_parts_that_were_published() -> None:
    source = pictures(count=240, gop=60, reorder=0)
    child = pretended(dead=lambda dts: 80 * 3000 <= dts < 130 * 3000)
    events = told(child.receive(published(source)))
    lost = segments(events, "720p")[1]
    assert isinstance(lost, Incomplete)
    assert 0 < lost.emitted < lost.duration == 2 * SECOND
    assert isinstance(segments(events, "720p")[2], GapSegment)
    assert isinstance(segments(events, "720p")[3], SegmentReady)


def test_a_rung_may_take_longer_to_catch_up_at_first() -> None:
    marks = LadderMarks(("720p",))
    marks.describe_source(SOURCE, 0)
    items = published(pictures(count=30, gop=30, reorder=0))
    for item in items:
        if isinstance(item, Sample):
            marks.source_unit(item)
        elif isinstance(item, PartCut | SegmentCut):
            assert marks.source_cut(item, 0) == []
    assert marks.next_deadline() == START_NS
    assert marks.poll(START_NS - 1) == []
    assert not marks.settled
    first = next(i for i in items if isinstance(i, Sample)).unit
    marks.describe("720p", SOURCE)
    late = START_NS - 1
    assert [type(i) for i in marks.receive("720p", first, late, 0)] == [FormatChange, Sample]
    marks.poll(START_NS)
    assert marks.settled


def test_later_pictures_are_waited_for_until_the_deadline() -> None:
    child = pretended(lag=2)
    for item in published(pictures(count=60, gop=60, reorder=0)):
        if isinstance(item, SegmentCut) and item.track == VIDEO:
            break
        child.receive([item])
    due = child.marks.next_deadline()
    assert due is not None
    assert child.now < due <= child.now + LATE_NS
    assert child.marks.poll(due - 1) == []
    assert [type(item) for item in child.marks.poll(due)] == [PartCut, PartCut]


def test_a_new_format_is_announced_before_the_segment_that_needs_it() -> None:
    child = pretended().receive(published(pictures(count=60, gop=30, reorder=0)))
    for rung in RUNGS:
        own = [
            i for i in child.items
            if (isinstance(i, FormatChange) and i.format.track == rung)
            or (isinstance(i, Sample) and i.unit.track == rung)
        ]  # fmt: skip
        assert isinstance(own[0], FormatChange)
        assert sum(isinstance(i, FormatChange) for i in own) == 1


@pytest.mark.parametrize("pictures_away", [2000])
def test_what_is_remembered_is_bounded(pictures_away: int) -> None:
    source = pictures(count=6 * pictures_away, gop=30, reorder=0)
    child = pretended(dead=lambda dts: dts >= 3000 * 60).receive(published(source)[:-1])
    steps = child.marks._steps
    assert steps.end - steps.oldest < 64
    assert len(steps._shown) < 512


def test_wall_clock_of_every_picture_is_the_sources() -> None:
    source = pictures(count=90, gop=30, reorder=2, duration=3003)
    child = pretended().receive(published(source))
    theirs = {
        i.unit.pts: i.mark.pdt_ns
        for i in child.items
        if isinstance(i, Sample) and i.unit.track == VIDEO
    }
    own = [i for i in child.items if isinstance(i, Sample) and i.unit.track == "360p"]
    assert len(own) == len(source)
    assert all(theirs[i.unit.pts] == i.mark.pdt_ns for i in own)
    assert own[0].published_ns >= EPOCH_NS


def test_what_is_remembered_is_bounded_while_no_rung_has_begun() -> None:
    marks = LadderMarks(RUNGS, Patience(start_ns=10**18))
    marks.describe_source(SOURCE, 0)
    for item in published(pictures(count=6000, gop=30, reorder=0)):
        if isinstance(item, Sample):
            marks.source_unit(item)
        elif isinstance(item, PartCut | SegmentCut):
            assert marks.source_cut(item, 0) == []
    steps = marks._steps
    assert steps.end - steps.oldest <= MAX_STEPS
    assert len(steps._shown) <= MAX_SHOWN
