"""Pictures are left out whole, counted by the caller, and never all of them."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hotpath.encode.lateness import PAUSE_MS, Lateness

MS = 1_000_000


def test_left_out_from_the_limit_on_until_the_queue_is_short() -> None:
    lateness = Lateness(300)
    waits = [0, 299, 301, 200, 101, 99, 200]
    found = [lateness.leaves_out(wait * MS, n * 10 * MS) for n, wait in enumerate(waits)]
    assert found == [False, False, True, True, True, False, False]


def test_a_machine_that_is_always_late_shows_a_picture_now_and_then() -> None:
    lateness = Lateness(300)
    shown = [n for n in range(100) if not lateness.leaves_out(2_000 * MS, n * 33 * MS)]
    gaps = {b - a for a, b in itertools.pairwise(shown)}
    assert len(shown) >= 6
    assert gaps == {-(-PAUSE_MS // 33)}


@given(st.lists(st.integers(0, 1000), max_size=60))
def test_whatever_waits_no_more_than_the_lower_limit_is_shown(waits: list[int]) -> None:
    lateness = Lateness(300)
    for n, wait in enumerate(waits):
        left_out = lateness.leaves_out(wait * MS, n * MS)
        assert not (left_out and wait <= 100)
