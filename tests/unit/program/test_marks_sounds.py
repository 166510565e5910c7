"""Boundaries of sounds: where those of the picture are, with gaps where nothing was heard."""

from dataclasses import replace
from fractions import Fraction

import pytest

from hotpath.media.unit import AUDIO, VIDEO, Unit
from tests.support.marking import (
    AAC,
    GERMAN,
    H264,
    HZ,
    PART,
    RATE,
    RATES,
    SCALE,
    audio,
    check_structure,
    german,
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


def test_audio_held_for_a_picture_that_never_comes_is_bounded() -> None:
    marks = writer()
    marks.begin([H264, AAC], 0)
    run(marks, sounds(600))
    assert marks.counts["held-too-long"] > 0
