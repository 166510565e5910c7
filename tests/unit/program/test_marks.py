"""Part and segment boundaries: decided once, at once, within the limits of LL-HLS."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.media.unit import (
    AUDIO,
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

HZ = 90_000
RATE = 48_000
PART = 0.215
H264 = Format(VIDEO, Codec.H264, HZ, b"sps", "avc1.42c01f", 640, 360)
AAC = Format(
    AUDIO, Codec.AAC, RATE, b"asc", "mp4a.40.2", sample_rate=RATE, channels=2, frame_duration=1024
)
GERMAN = replace(AAC, track="audio-2", timescale=44_100, sample_rate=44_100, language="de")
SCALE = {VIDEO: HZ, AUDIO: RATE, GERMAN.track: GERMAN.timescale}
RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "30": Fraction(30),
    "50": Fraction(50),
    "59.94": Fraction(60000, 1001),
    "60": Fraction(60),
}


def video(
    dts: int, *, keyframe: bool = False, pts: int | None = None, damaged: bool = False
) -> Unit:
    shown = dts if pts is None else pts
    return Unit(VIDEO, shown, dts, keyframe, b"v", 0, 0, damaged=damaged)


def audio(dts: int) -> Unit:
    return Unit(AUDIO, dts, dts, True, b"a", 0, 0)


def pictures(fps: Fraction | int, seconds: float, gop: int, start: int = 0) -> list[Unit]:
    count = int(seconds * fps)
    return [video(start + round(n * HZ / fps), keyframe=n % gop == 0) for n in range(count)]


def sounds(seconds: float, start: int = 0) -> list[Unit]:
    return [audio(start + n * 1024) for n in range(int(seconds * RATE / 1024))]


def interleaved(*tracks: Sequence[Unit]) -> list[Unit]:
    units = [unit for track in tracks for unit in track]
    return sorted(units, key=lambda unit: Fraction(unit.dts, SCALE[unit.track]))


def writer(**options: int) -> MarkWriter:
    return MarkWriter(epoch_ns=1_000, **options)


def run(marks: MarkWriter, units: Iterable[Unit]) -> list[Item]:
    return [item for unit in units for item in marks.write(unit, 0)]


def record(
    units: Iterable[Unit], formats: Sequence[Format] = (H264, AAC), **options: int
) -> list[Item]:
    marks = writer(**options)
    return [*marks.begin(formats, 0), *run(marks, units), *marks.end(0, final=True)]


def samples(items: Iterable[Item], track: str) -> list[Sample]:
    return [item for item in items if isinstance(item, Sample) and item.unit.track == track]


def segments(items: Iterable[Item], track: str) -> list[SegmentCut]:
    return [item for item in items if isinstance(item, SegmentCut) and item.track == track]


def parts(items: Iterable[Item], track: str) -> list[tuple[float, bool]]:
    """(duration in seconds, whether it is the last of its segment) of every part."""
    found: list[tuple[float, bool]] = []
    start: int | None = None
    for item in items:
        match item:
            case Sample(unit=unit) if unit.track == track:
                start = unit.dts if start is None else start
            case PartCut(track=name, end=end) if name == track and start is not None:
                found.append(((end - start) / SCALE[track], False))
                start = None
            case SegmentCut(track=name, end=end) if name == track:
                if start is not None:
                    found.append(((end - start) / SCALE[track], True))
                elif found:
                    found[-1] = (found[-1][0], True)
                start = None
            case _:
                pass
    return found


def check_structure(items: Sequence[Item]) -> None:
    """What must hold for any input: order, tiling, one part and segment per unit."""
    for track in SCALE:
        last = (-1, -1, -1)
        last_dts, floor = None, None
        open_msn, open_part = None, None
        for item in items:
            match item:
                case Sample(unit=unit, mark=mark) if unit.track == track:
                    assert mark.part == 0 if open_msn != mark.msn else mark.part >= open_part
                    position = (mark.msn, mark.part, unit.dts)
                    assert position > last
                    assert last_dts is None or unit.dts > last_dts
                    assert floor is None or unit.dts >= floor
                    assert unit.pts >= unit.dts
                    last, last_dts = position, unit.dts
                    open_msn, open_part = mark.msn, mark.part
                case PartCut(track=name, msn=msn, part=part, end=end) if name == track:
                    assert (msn, part) == last[:2]
                    assert last_dts is not None
                    assert end > last_dts
                    floor = end
                    open_part = part + 1
                case SegmentCut(track=name, msn=msn, start=start, end=end, gap=gap) if (
                    name == track
                ):
                    assert end > start
                    assert gap == (msn != last[0])
                    assert gap or (last_dts is not None and end > last_dts)
                    last = (msn, 10**9, last[2])
                    floor, open_msn = end, None
                case _:
                    pass
        numbers = [cut.msn for cut in segments(items, track)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        marked = {item.mark.msn for item in samples(items, track)}
        assert marked == {cut.msn for cut in segments(items, track) if not cut.gap}


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


def test_audio_segments_start_at_the_first_frame_at_or_after_the_picture() -> None:
    items = record(interleaved(pictures(30, 12, 60), sounds(12)))
    starts = {cut.msn: cut.start for cut in segments(items, VIDEO)}
    firsts = {s.mark.msn: s.unit.dts for s in reversed(samples(items, AUDIO))}
    assert len(firsts) == 6
    for msn, dts in firsts.items():
        apart = Fraction(dts, RATE) - Fraction(starts[msn], HZ)
        assert 0 <= apart < Fraction(1024, RATE)


@pytest.mark.parametrize("lag_s", [-0.5, -0.1, 0.1, 0.5])
def test_audio_that_arrives_early_or_late_still_lands_in_its_segment(lag_s: float) -> None:
    def arrival(unit: Unit) -> float:
        return unit.dts / SCALE[unit.track] + (lag_s if unit.track == AUDIO else 0)

    items = record(sorted([*pictures(30, 12, 60), *sounds(12)], key=arrival))
    check_structure(items)
    starts = {cut.msn: cut.start for cut in segments(items, VIDEO)}
    firsts = {s.mark.msn: s.unit.dts for s in reversed(samples(items, AUDIO))}
    for msn, dts in firsts.items():
        assert 0 <= Fraction(dts, RATE) - Fraction(starts[msn], HZ) < Fraction(1024, RATE)
    assert len(samples(items, VIDEO)) == 360


def test_audio_is_published_as_soon_as_the_picture_has_passed_it() -> None:
    marks = writer()
    marks.begin([H264, AAC], 0)
    marks.write(video(0, keyframe=True), 0)
    assert samples(marks.write(audio(0), 5), AUDIO)[0].published_ns == 5
    assert samples(marks.write(audio(1024), 5), AUDIO)
    assert not marks.write(audio(2048), 5)
    assert len(samples(marks.write(video(3000), 6), AUDIO)) == 1


def test_a_segment_without_audio_is_a_gap_of_the_same_length() -> None:
    heard = [unit for unit in sounds(14) if not 3.9 <= unit.dts / RATE < 8.2]
    items = record(interleaved(pictures(30, 14, 60), heard))
    check_structure(items)
    gaps = [cut for cut in segments(items, AUDIO) if cut.gap]
    assert [cut.msn for cut in gaps] == [2, 3]
    video_cuts = {cut.msn: cut for cut in segments(items, VIDEO)}
    for cut in gaps:
        assert abs(cut.end / RATE - video_cuts[cut.msn].end / HZ) < 0.03


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


def test_a_track_that_turns_up_late_joins_the_open_segment() -> None:
    marks = writer()
    items = marks.begin([H264], 0)
    units = interleaved(pictures(30, 9, 60), sounds(9))
    early = [u for u in units if u.track == VIDEO and u.dts < 3 * HZ]
    items += run(marks, early)
    items += marks.add(AAC)
    late = [u for u in units if u.dts / SCALE[u.track] >= 3]
    items += [*run(marks, late), *marks.end(0, final=True)]
    check_structure(items)
    assert {s.mark.msn for s in samples(items, AUDIO)} == {1, 2, 3, 4}


def german(seconds: float) -> list[Unit]:
    return [
        Unit(GERMAN.track, n * 1024, n * 1024, True, b"g", 0, 0)
        for n in range(int(seconds * GERMAN.timescale / 1024))
    ]


@pytest.mark.parametrize("fps", RATES.values(), ids=RATES.keys())
def test_parts_of_a_further_sound_are_legal_and_its_segments_aligned(fps: Fraction) -> None:
    units = interleaved(pictures(fps, 12, round(fps * 2)), sounds(12), german(12))
    items = record(units, (H264, AAC, GERMAN))
    check_structure(items)
    for duration, last in parts(items, GERMAN.track):
        assert duration <= PART + 1e-9
        assert last or duration >= 0.85 * PART
    starts = {cut.msn: cut.start for cut in segments(items, VIDEO)}
    firsts = {s.mark.msn: s.unit.dts for s in reversed(samples(items, GERMAN.track))}
    assert firsts.keys() == starts.keys()
    for msn, dts in firsts.items():
        assert 0 <= Fraction(dts, 44_100) - Fraction(starts[msn], HZ) < Fraction(1024, 44_100)


def test_a_further_sound_that_stops_has_gaps_and_the_others_are_as_without_it() -> None:
    both = interleaved(pictures(30, 14, 60), sounds(14))
    heard = [unit for unit in german(14) if not 3.9 <= unit.dts / 44_100 < 8.2]
    items = record(interleaved(both, heard), (H264, AAC, GERMAN))
    check_structure(items)
    assert [cut.msn for cut in segments(items, GERMAN.track) if cut.gap] == [2, 3]
    alone = record(both)
    for track in (VIDEO, AUDIO):
        assert samples(items, track) == samples(alone, track)
        assert segments(items, track) == segments(alone, track)


def test_a_further_sound_that_leaves_has_gaps_and_may_join_again() -> None:
    marks = writer()
    items = marks.begin([H264, AAC, GERMAN], 0)
    units = interleaved(pictures(30, 14, 60), sounds(14), german(14))
    items += run(marks, [u for u in units if u.dts / SCALE[u.track] < 3])
    marks.remove(GERMAN.track)
    items += run(marks, [u for u in units if 3 <= u.dts / SCALE[u.track] < 9])
    assert not marks.can_add(replace(GERMAN, config=b"other"))
    assert marks.can_add(GERMAN)
    items += marks.add(GERMAN)
    items += run(marks, [u for u in units if u.dts / SCALE[u.track] >= 9])
    items += marks.end(0, final=True)
    check_structure(items)
    gaps = [cut.gap for cut in segments(items, GERMAN.track)]
    assert gaps == [False, False, True, True, False, False, False]
    assert len(segments(items, VIDEO)) == len(gaps)


def test_the_first_sound_leads_where_there_is_no_picture() -> None:
    items = record(interleaved(sounds(6), german(6)), (GERMAN, AAC))
    check_structure(items)
    cuts = segments(items, AUDIO)
    assert all((cut.end - cut.start) % 1024 == 0 for cut in cuts)
    assert all(1.9 < (cut.end - cut.start) / RATE <= 2 for cut in cuts[:-1])
    assert len(segments(items, GERMAN.track)) == len(cuts)


def test_audio_only_is_cut_at_the_target() -> None:
    items = record(sounds(10), (AAC,))
    check_structure(items)
    cuts = segments(items, AUDIO)
    assert all(1.9 < (cut.end - cut.start) / RATE <= 2 for cut in cuts[:-1])
    assert all(last or d >= 0.85 * PART for d, last in parts(items, AUDIO))


def test_a_publisher_without_picture_leaves_gaps_in_it() -> None:
    marks = writer()
    items = marks.begin([H264, AAC], 0)
    items += run(marks, interleaved(pictures(30, 2, 30), sounds(2)))
    items += marks.begin([AAC], 0)
    items += [*run(marks, sounds(6, 10 * RATE)), *marks.end(0, final=True)]
    check_structure(items)
    assert len([cut for cut in segments(items, VIDEO) if cut.gap]) >= 2
    assert segments(items, VIDEO)[-1].msn == segments(items, AUDIO)[-1].msn


def test_duplicate_and_decreasing_times_are_moved_forward() -> None:
    dts = [0, 3000, 3000, 2500, 6000, 9000, 8999, 12_000]
    items = record([video(d, keyframe=d == 0) for d in dts], (H264,))
    check_structure(items)
    assert len(samples(items, VIDEO)) == len(dts)


def test_audio_held_for_a_picture_that_never_comes_is_bounded() -> None:
    marks = writer()
    marks.begin([H264, AAC], 0)
    run(marks, sounds(600))
    assert marks.counts["held-too-long"] > 0


@pytest.mark.parametrize("fps", RATES.values(), ids=RATES.keys())
def test_timestamps_rounded_to_milliseconds_keep_parts_legal(fps: Fraction) -> None:
    rounded = [
        video(round(n * 1000 / fps) * 90, keyframe=n % round(fps * 2) == 0)
        for n in range(int(20 * fps))
    ]
    items = record(interleaved(rounded, sounds(20)))
    check_structure(items)
    for duration, last in parts(items, VIDEO):
        assert duration <= PART + 1e-9
        assert last or duration >= 0.85 * PART


def test_a_late_frame_is_not_expected_to_make_its_segment_too_long() -> None:
    items = record([video(0, keyframe=True), video(70_501)], (H264,), target_duration_s=1)
    assert all(cut.end - cut.start <= 1.5 * HZ for cut in segments(items, VIDEO))


steps = st.lists(
    st.tuples(
        st.sampled_from([VIDEO, VIDEO, AUDIO, GERMAN.track]),
        st.one_of(
            st.just(3000),
            st.integers(-4000, 9000),
            st.integers(9000, 80_000),
            st.integers(0, 900_000),
        ),
        st.sampled_from(
            ["", "", "", "key", "damaged", "close", "begin", "other", "leave", "join", "alone"]
        ),
    ),
    max_size=250,
)


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(1, 6))
def test_structure_holds_for_any_times(moves: list[tuple[str, int, str]], target: int) -> None:
    marks = writer(target_duration_s=target)
    other = Format(VIDEO, Codec.H264, HZ, b"sps2", "avc1.42c01f", 1280, 720)
    video_format = H264
    items = marks.begin([video_format, AAC, GERMAN], 0)
    clock = dict.fromkeys(SCALE, 0)
    for track, step, what in moves:
        if what == "close":
            items += marks.close(0)
        elif what in ("begin", "other"):
            if what == "other":
                video_format = other if video_format is H264 else H264
            items += marks.begin([video_format, AAC, GERMAN], 0)
        elif what == "leave":
            marks.remove(GERMAN.track)
        elif what == "join":
            items += marks.add(GERMAN)
        elif what == "alone":
            items += marks.begin([video_format, AAC], 0)
        clock[track] += step
        ticks = max(0, clock[track]) * SCALE[track] // HZ
        unit = (
            video(ticks, keyframe=what == "key", damaged=what == "damaged")
            if track == VIDEO
            else replace(audio(ticks), track=track)
        )
        items += marks.write(unit, 0)
    items += marks.end(0, final=True)
    check_structure(items)
    for track, scale in SCALE.items():
        for cut in segments(items, track):
            held = scale // 2 if track != VIDEO else 0
            assert cut.end - cut.start <= (target + 0.5) * scale + held
