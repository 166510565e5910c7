"""Boundaries of units whose times are rounded, repeated, late, or made up."""

from dataclasses import replace
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath.media.unit import AUDIO, VIDEO, Codec, Format
from tests.support.marking import (
    AAC,
    GERMAN,
    H264,
    HZ,
    PART,
    RATES,
    SCALE,
    audio,
    check_structure,
    interleaved,
    parts,
    record,
    samples,
    segments,
    sounds,
    video,
    writer,
)


def test_duplicate_and_decreasing_times_are_moved_forward() -> None:
    dts = [0, 3000, 3000, 2500, 6000, 9000, 8999, 12_000]
    items = record([video(d, keyframe=d == 0) for d in dts], (H264,))
    check_structure(items)
    assert len(samples(items, VIDEO)) == len(dts)


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


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(720, round(PART * HZ)), min_size=20, max_size=150), st.integers(5, 90))
def test_parts_are_legal_and_tile_whatever_the_distance_of_frames(
    steps: list[int], gop: int
) -> None:
    # Cameras slow down in the dark, and encoders leave out what they have no time for.
    times = [0, *accumulate(steps)]
    items = record([video(at, keyframe=n % gop == 0) for n, at in enumerate(times)], (H264,))
    check_structure(items)
    for duration, last in parts(items, VIDEO):
        assert duration <= PART + 1e-9
        assert last or duration >= 0.85 * PART
    lengths = sum(duration for duration, _ in parts(items, VIDEO))
    assert lengths == pytest.approx(sum(cut.end - cut.start for cut in segments(items, VIDEO)) / HZ)


@pytest.mark.parametrize("fps", [7.5, 12, 14, 22.9])
def test_a_picture_that_is_decoded_early_is_shown_when_it_was(fps: float) -> None:
    times = [round(n * HZ / fps) for n in range(int(20 * fps))]
    items = record([video(at, keyframe=n % 30 == 0) for n, at in enumerate(times)], (H264,))
    for sample, at in zip(samples(items, VIDEO), times, strict=True):
        assert abs(sample.unit.pts - at) * 4 <= HZ / fps
        assert sample.unit.dts >= at - PART * HZ


def test_a_picture_that_stands_still_for_longer_than_a_part_ends_its_part_at_the_target() -> None:
    times = [0, 3000, 6000, 60_000, 63_000, 66_000]
    items = record([video(at, keyframe=at == 0) for at in times], (H264,))
    assert parts(items, VIDEO)[0] == (PART, False)
    assert [s.unit.dts for s in samples(items, VIDEO)] == times


def test_frames_longer_than_a_part_are_parts_as_long_as_they_last() -> None:
    times = [n * 30_000 for n in range(20)]
    items = record([video(at, keyframe=at == 0) for at in times], (H264,))
    assert [s.unit.dts for s in samples(items, VIDEO)][2:] == times[2:]
    assert {round(duration, 6) for duration, _ in parts(items, VIDEO)[2:]} == {0.333333}


def test_pictures_that_come_often_again_are_soon_shown_when_they_were() -> None:
    # A camera that was off, with a black picture a second, or a screen on which nothing moved.
    slow = [n * HZ for n in range(8)]
    fast = [8 * HZ + n * 3000 for n in range(120)]
    items = record([video(at, keyframe=at % HZ == 0) for at in (*slow, *fast)], (H264,))
    check_structure(items)
    shown = [sample.unit.pts for sample in samples(items, VIDEO)]
    late = [at - dts for at, dts in zip(shown, (*slow, *fast), strict=True)]
    assert max(late) <= HZ
    assert max(late[len(slow) + 31 :]) <= 30


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
