"""Samples counted against timestamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.encode.soundclock import Fill, Restart, SoundClock


def clock(rate: int = 48_000, clock_in: int = 90_000, base: int = 500) -> SoundClock:
    return SoundClock(clock_in, rate, base)


@pytest.mark.parametrize("rate", [44_100, 48_000, 32_000])
def test_rounded_timestamps_are_no_hole_however_long_it_goes_on(rate: int) -> None:
    sound = clock(rate)
    for n in range(20_000):
        pts = 500 + round(n * 1024 * 90_000 / rate)
        assert sound.expects(pts, 1024) is None
        sound.receive(1024, n, None)


def test_a_missing_frame_is_filled_with_exactly_its_samples() -> None:
    sound = clock()
    sound.receive(960, 1, None)
    assert sound.expects(500 + 3 * 1800, 960) == Fill(1920)
    sound.fill(1920)
    assert sound.expects(500 + 3 * 1800, 960) is None


@pytest.mark.parametrize(("off_ms", "step"), [(1001, Restart()), (-31, Restart()), (-29, None)])
def test_jumps_and_jitter(off_ms: int, step: Restart | None) -> None:
    sound = clock()
    sound.receive(960, 1, None)
    assert sound.expects(500 + 1800 + off_ms * 90, 960) == step


def test_the_origin_is_the_frame_that_holds_the_sample() -> None:
    sound = clock()
    for n in range(5):
        sound.receive(1024, n, 100 + n)
    assert [sound.origin(s) for s in (0, 1023, 1024, 2500, 99_999)] == [
        (0, 100),
        (0, 100),
        (1, 101),
        (2, 102),
        (4, 104),
    ]


@given(st.lists(st.integers(0, 90_000 * 3), min_size=1, max_size=50))
def test_after_a_fill_the_frame_is_where_its_timestamp_says(gaps: list[int]) -> None:
    sound = clock()
    pts = 500
    for gap in gaps:
        pts += gap
        step = sound.expects(pts, 960)
        if isinstance(step, Restart):
            sound = clock(base=pts)
        elif isinstance(step, Fill):
            sound.fill(step.samples)
        off = (pts - sound.base) * 48_000 / 90_000 - sound.count
        assert abs(off) <= 1.5 * 960 + 1
        sound.receive(960, 0, None)
        pts += 1800
