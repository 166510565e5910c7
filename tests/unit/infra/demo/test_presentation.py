"""The playback clock."""

from itertools import pairwise

import pytest

from infra.demo.barcode import Stamp
from infra.demo.player import nearest_rank
from infra.demo.presentation import FASTER, SEEK_NS, Presentation, Stall

MS = 1_000_000
FRAME = 40 * MS


def playing(*, has_audio: bool = False, start: int = 0) -> Presentation:
    return Presentation(start, has_audio=has_audio)


def test_first_frame_is_shown_when_it_is_ready_and_the_rest_at_its_pace() -> None:
    clock = playing()
    for n in range(4):
        clock.receive_video(n * FRAME, Stamp(0, n), 1000 * MS)
    assert [frame.shown_ns for frame in clock.shown] == [1000 * MS + n * FRAME for n in range(4)]
    assert not clock.stalls


def test_frames_before_the_start_are_decoded_but_not_shown() -> None:
    clock = playing(start=2 * FRAME)
    for n in range(4):
        clock.receive_video(n * FRAME, Stamp(0, n), n)
    assert [frame.stamp.index for frame in clock.shown if frame.stamp] == [2, 3]
    assert clock.shown[0].shown_ns == 2


def test_late_frame_stalls_and_moves_everything_after_it() -> None:
    clock = playing()
    clock.receive_video(0, None, 0)
    clock.receive_video(FRAME, None, FRAME + 100 * MS)
    clock.receive_video(2 * FRAME, None, FRAME)
    assert clock.stalls == [Stall(FRAME, 100 * MS)]
    assert [frame.shown_ns for frame in clock.shown] == [
        0,
        FRAME + 100 * MS,
        2 * FRAME + 100 * MS,
    ]


def test_picture_waits_for_its_audio() -> None:
    clock = playing(has_audio=True)
    clock.receive_video(0, None, 10 * MS)
    assert not clock.shown
    clock.receive_audio(FRAME, 30 * MS)
    assert [frame.shown_ns for frame in clock.shown] == [30 * MS]


def test_audio_that_came_in_time_does_not_delay_later_pictures() -> None:
    clock = playing(has_audio=True)
    clock.receive_audio(10 * FRAME, 0)
    clock.receive_video(0, None, 10 * MS)
    clock.receive_audio(20 * FRAME, 39 * MS)
    clock.receive_video(FRAME, None, 20 * MS)
    assert [frame.shown_ns for frame in clock.shown] == [10 * MS, 10 * MS + FRAME]


def test_late_audio_is_a_stall() -> None:
    clock = playing(has_audio=True)
    clock.receive_audio(FRAME, 0)
    clock.receive_video(0, None, 0)
    clock.receive_video(FRAME, None, 1 * MS)
    clock.receive_audio(2 * FRAME, FRAME + 70 * MS)
    assert clock.stalls == [Stall(FRAME, 70 * MS)]


def test_end_shows_what_still_waits_for_audio() -> None:
    clock = playing(has_audio=True)
    clock.receive_audio(FRAME, 0)
    clock.receive_video(0, None, 0)
    clock.receive_video(FRAME, None, 0)
    clock.finish()
    assert len(clock.shown) == 2


def catching_up(early_ms: int, *, stall_ms: int = 400) -> Presentation:
    """40 s of a stream whose frames are ready so early, but for the second, which is so late."""
    clock = Presentation(0, has_audio=False, meant_ns=1_000 * MS)
    clock.receive_video(0, Stamp(0, 0), 1_000 * MS)
    clock.receive_video(FRAME, Stamp(0, 1), (1_000 + stall_ms) * MS + FRAME)
    for n in range(2, 1000):
        clock.receive_video(n * FRAME, Stamp(0, n), (1_000 + stall_ms - early_ms) * MS + n * FRAME)
    return clock


def delays_ms(clock: Presentation) -> list[float]:
    return [(frame.shown_ns - frame.media_ns) / MS for frame in clock.shown]


def test_a_start_that_is_late_passes_over_what_should_have_been_shown() -> None:
    clock = Presentation(0, has_audio=False, meant_ns=1_000 * MS)
    for n in range(50):
        clock.receive_video(n * FRAME, Stamp(0, n), 1_300 * MS + n * MS)
    assert clock.shown[0].media_ns == 8 * FRAME
    assert set(delays_ms(clock)) == {988.0}
    assert not clock.stalls


def test_a_start_that_is_always_late_begins_all_the_same() -> None:
    clock = Presentation(0, has_audio=False, meant_ns=1_000 * MS)
    for n in range(100):
        clock.receive_video(n * FRAME, Stamp(0, n), 1_300 * MS + n * FRAME)
    assert clock.shown[0].media_ns == SEEK_NS
    assert set(delays_ms(clock)) == {1_300}


def test_what_a_stall_has_cost_is_caught_up_by_playing_faster() -> None:
    clock = catching_up(early_ms=700)
    delays = delays_ms(clock)
    assert delays[1] == 1_400
    assert delays[-1] == 1_000
    assert [stall.duration_ns for stall in clock.stalls] == [400 * MS]
    steps = {round(before - after, 6) for before, after in pairwise(delays)}
    assert max(steps) == 40 * FASTER / 100
    # 8 % of five seconds, once the one that was late is a second ago.
    assert delays.index(1_000, 1) == pytest.approx(6 / 0.04, abs=2)


def test_no_more_is_caught_up_than_is_buffered() -> None:
    clock = catching_up(early_ms=300)
    assert delays_ms(clock)[-1] == 1_200
    assert len(clock.stalls) == 1


def test_nothing_is_caught_up_where_nothing_was_lost() -> None:
    assert set(delays_ms(catching_up(early_ms=700, stall_ms=0))) == {1_000}


def test_glass_to_glass_is_from_the_drawn_clock_to_the_shown_frame() -> None:
    clock = playing()
    clock.receive_video(0, Stamp(500, 0), 1_250 * MS)
    clock.receive_video(FRAME, None, 1_250 * MS)
    assert [frame.glass_to_glass_ms for frame in clock.shown] == [750.0, None]


@pytest.mark.parametrize(
    ("quantile", "expected"), [(0.0, 1.0), (0.5, 2.0), (0.75, 3.0), (0.95, 4.0), (1.0, 4.0)]
)
def test_nearest_rank(quantile: float, expected: float) -> None:
    assert nearest_rank([1.0, 2.0, 3.0, 4.0], quantile) == expected


def test_nearest_rank_of_nothing() -> None:
    assert nearest_rank([], 0.5) is None
