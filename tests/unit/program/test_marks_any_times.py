"""Boundaries of units whose times are rounded, repeated, late, or made up."""

from dataclasses import replace
from fractions import Fraction

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
