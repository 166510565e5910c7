from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from coldpath.media.gops import Share, Way, groups, is_open, share


@dataclass(frozen=True)
class Unit:
    pts: int
    is_keyframe: bool


def test_a_group_outside_is_left_out() -> None:
    assert share([0, 1, 2], 3, 9) == Share(Way.NOTHING, 0)
    assert share([9, 10], 3, 9) == Share(Way.NOTHING, 0)


def test_a_whole_group_is_copied() -> None:
    assert share([3, 6, 4, 5], 3, 7) == Share(Way.COPY, 4)


def test_the_end_is_cut_off_where_the_rest_decodes() -> None:
    assert share([3, 4, 5, 6], 3, 5) == Share(Way.COPY, 2)
    # 6 is decoded before 4 and 5, which refer to it.
    assert share([3, 6, 4, 5], 3, 6) == Share(Way.ENCODE, 3)
    assert share([3, 6, 4, 5, 9, 7, 8], 3, 7) == Share(Way.COPY, 4)


def test_a_group_that_begins_too_early_is_encoded() -> None:
    assert share([3, 4, 5], 4, 9) == Share(Way.ENCODE, 2)


def test_a_picture_before_its_keyframe_makes_a_group_open() -> None:
    assert is_open([5, 3, 4, 6])
    assert not is_open([5, 8, 6, 7])
    assert not is_open([5])


def test_what_comes_before_the_first_keyframe_is_left_out() -> None:
    units = [Unit(0, False), Unit(1, True), Unit(2, False), Unit(3, True)]
    assert list(groups(units)) == [units[1:3], units[3:]]
    assert list(groups(units[:1])) == []


lengths = st.lists(st.integers(1, 8), min_size=1, max_size=8)


@given(lengths, st.randoms(use_true_random=False), st.integers(-2, 70), st.integers(-2, 70))
def test_every_wanted_picture_is_taken_once(
    sizes: list[int], random: object, lo: int, hi: int
) -> None:
    units: list[Unit] = []
    for size in sizes:
        begin = len(units)
        rest = list(range(begin + 1, begin + size))
        random.shuffle(rest)  # type: ignore[attr-defined]
        units += [Unit(begin, True), *(Unit(pts, False) for pts in rest)]
    taken: list[int] = []
    for group in groups(units):
        times = [unit.pts for unit in group]
        found = share(times, lo, hi)
        if found.way is Way.COPY:
            taken += times[: found.count]
        elif found.way is Way.ENCODE:
            shown = [pts for pts in times if lo <= pts < hi]
            assert len(shown) == found.count
            taken += shown
    assert sorted(taken) == [pts for pts in range(len(units)) if lo <= pts < hi]
