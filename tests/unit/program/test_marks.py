"""Part and segment boundaries: decided once, at once, within the limits of LL-HLS."""

from fractions import Fraction

import pytest

from hotpath.media.unit import (
    AUDIO,
    VIDEO,
    Codec,
    Format,
    FormatChange,
    PartCut,
    ProgramEnd,
    SegmentCut,
)
from tests.support.marking import (
    AAC,
    H264,
    HZ,
    PART,
    RATE,
    RATES,
    SCALE,
    check_structure,
    interleaved,
    parts,
    pictures,
    record,
    run,
    samples,
    segments,
    sounds,
    video,
    writer,
)


@pytest.mark.parametrize("fps", RATES.values(), ids=RATES.keys())
@pytest.mark.parametrize("gop_s", [0.5, 1, 2, 4])
def test_parts_are_legal_at_every_frame_rate(fps: Fraction, gop_s: float) -> None:
    items = record(interleaved(pictures(fps, 20, round(fps * gop_s)), sounds(20)))
    check_structure(items)
    for track in (VIDEO, AUDIO):
        for duration, last in parts(items, track):
            assert duration <= PART + 1e-9
            assert last or duration >= 0.85 * PART
        for cut in segments(items, track):
            assert (cut.end - cut.start) / SCALE[track] <= 2.5


@pytest.mark.parametrize("fps", RATES.values(), ids=RATES.keys())
def test_segments_start_at_keyframes_when_gops_fit(fps: Fraction) -> None:
    items = record(interleaved(pictures(fps, 12, round(fps)), sounds(12)))
    first = {s.mark.msn: s.unit for s in reversed(samples(items, VIDEO))}
    assert all(unit.keyframe for unit in first.values())
    cuts = segments(items, VIDEO)
    assert all(abs((cut.end - cut.start) / HZ - 2) < 0.05 for cut in cuts)


def test_a_part_is_cut_with_the_last_unit_that_fits() -> None:
    marks = writer()
    marks.begin([H264], 0)
    for n in range(5):
        assert not any(
            isinstance(i, PartCut) for i in marks.write(video(n * 3000, keyframe=n == 0), 0)
        )
    assert PartCut(VIDEO, 0, 0, 18_000) in marks.write(video(15_000), 0)


def test_a_long_gop_is_cut_at_the_target_without_waiting_for_the_next_unit() -> None:
    marks = writer()
    marks.begin([H264], 0)
    units = pictures(30, 10, 120)
    items = run(marks, units[: 120 + 59])
    assert not any(cut.start == 4 * HZ for cut in segments(items, VIDEO))
    cut = segments(marks.write(units[179], 0), VIDEO)
    assert [(c.start, c.end) for c in cut] == [(4 * HZ, 6 * HZ)]
    run(marks, units[180:])
    assert marks.counts["segment-without-keyframe"] >= 2


def test_the_first_unit_of_a_part_is_independent_when_it_is_a_keyframe() -> None:
    items = record(pictures(30, 4, 30), (H264,))
    independent = [s.unit.dts for s in samples(items, VIDEO) if s.mark.independent]
    assert independent == [0, HZ, 2 * HZ, 3 * HZ]


def test_the_date_of_a_unit_is_when_it_is_shown() -> None:
    marks = writer()
    marks.begin([H264], 0)
    (sample,) = samples(marks.write(video(0, keyframe=True, pts=9000), 0), VIDEO)
    assert sample.mark.pdt_ns == 1_000 + 100_000_000


def test_silent_video_becomes_gaps_while_audio_goes_on() -> None:
    seen = [u for u in pictures(30, 20, 60) if not 3.5 * HZ <= u.dts < 12 * HZ]
    items = record(interleaved(seen, sounds(20)))
    check_structure(items)
    assert [cut for cut in segments(items, VIDEO) if cut.gap]
    assert all((cut.end - cut.start) / HZ <= 2.5 for cut in segments(items, VIDEO))
    assert not [cut for cut in segments(items, AUDIO) if cut.gap]
    assert len(samples(items, AUDIO)) >= len(sounds(20)) - 12


def test_damaged_video_is_left_out_until_the_next_keyframe() -> None:
    units = pictures(30, 6, 30)
    units[40] = video(units[40].dts, damaged=True)
    items = record(units, (H264,))
    check_structure(items)
    lost = {unit.dts for unit in units} - {s.unit.dts for s in samples(items, VIDEO)}
    assert lost == {unit.dts for unit in units[40:60]}


def test_a_discontinuity_closes_everything_and_counts() -> None:
    marks = writer(msn=7, discontinuity_seq=3)
    items = marks.begin([H264, AAC], 0)
    items += run(marks, interleaved(pictures(30, 3, 30), sounds(3)))
    change = marks.begin([H264, AAC], 0)
    assert {cut.track for cut in change if isinstance(cut, SegmentCut)} == {VIDEO, AUDIO}
    assert not any(isinstance(item, FormatChange) for item in change)
    items += change
    later = interleaved(pictures(30, 3, 30, 20 * HZ), sounds(3, 20 * RATE))
    items += [*run(marks, later), *marks.end(0, final=True)]
    check_structure(items)
    assert items[-1] == ProgramEnd(final=True)
    sequences = {s.mark.discontinuity_seq for s in samples(items, VIDEO)}
    assert sequences == {3, 4}
    assert min(s.mark.msn for s in samples(items, VIDEO)) == 7
    assert 20 * HZ in {cut.start for cut in segments(items, VIDEO)}


def test_beginning_twice_without_media_is_one_discontinuity() -> None:
    marks = writer()
    marks.begin([H264], 0)
    marks.begin([H264], 0)
    assert marks.discontinuity_seq == 0
    run(marks, pictures(30, 1, 30))
    marks.begin([H264], 0)
    marks.begin([H264], 0)
    assert marks.discontinuity_seq == 1


def test_another_resolution_gets_the_next_init_section() -> None:
    marks = writer()
    assert marks.begin([H264, AAC], 0) == [FormatChange(H264, 0), FormatChange(AAC, 0)]
    run(marks, pictures(30, 1, 30))
    larger = Format(VIDEO, Codec.H264, HZ, b"sps2", "avc1.42c01f", 1280, 720)
    items = marks.begin([larger, AAC], 0)
    assert items[-1] == FormatChange(larger, 1)
    assert isinstance(items[-2], SegmentCut)


def test_closing_publishes_what_is_open_and_goes_on_without_discontinuity() -> None:
    marks = writer()
    items = marks.begin([H264, AAC], 0)
    items += run(marks, interleaved(pictures(30, 1.1, 60), sounds(1.1)))
    closed = marks.close(0)
    assert {cut.track for cut in closed if isinstance(cut, SegmentCut)} == {VIDEO, AUDIO}
    assert marks.close(0) == []
    items += closed
    rest = interleaved(pictures(30, 3, 60), sounds(3))
    items += run(marks, [unit for unit in rest if unit.dts / SCALE[unit.track] >= 1.1])
    items += marks.end(0, final=False)
    check_structure(items)
    assert {s.mark.discontinuity_seq for s in samples(items, VIDEO)} == {0}
