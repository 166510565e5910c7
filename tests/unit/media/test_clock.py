from hypothesis import given
from hypothesis import strategies as st

from hotpath.media.clock import WRAP, Unwrapper, rescale


def test_a_wrap_is_no_jump() -> None:
    clock = Unwrapper()
    assert [clock.unwrap(v) for v in (WRAP - 3000, 0, 3000)] == [WRAP - 3000, WRAP, WRAP + 3000]


def test_the_other_track_before_the_wrap_stays_before_it() -> None:
    clock = Unwrapper()
    assert [clock.unwrap(v) for v in (WRAP - 10, 5, WRAP - 5)] == [WRAP - 10, WRAP + 5, WRAP - 5]


def test_a_reset_to_zero_goes_backwards_and_not_a_day_ahead() -> None:
    clock = Unwrapper()
    clock.unwrap(90_000 * 3600)
    assert clock.unwrap(0) == 0


@given(st.integers(0, WRAP * 3), st.lists(st.integers(-(WRAP // 2) + 1, WRAP // 2 - 1)))
def test_any_walk_of_small_steps_is_followed(start: int, steps: list[int]) -> None:
    clock = Unwrapper()
    at, offset = start, clock.unwrap(start % WRAP) - start
    for step in steps:
        at += step
        assert clock.unwrap(at % WRAP) - at == offset


def test_rescale_rounds_to_nearest() -> None:
    assert [rescale(1024 * n, 90_000, 44_100) for n in (1, 2, 3)] == [2090, 4180, 6269]
    assert rescale(-3, 1, 2) == -1
