"""What is to happen follows from a seed, and leaves nothing out."""

from itertools import groupby, pairwise

import pytest

from tests.chaos.schedule import (
    LEAST_LENGTH_S,
    LEAST_S,
    MOST_S,
    REST_S,
    TERMS,
    Kind,
    schedule,
)

LENGTHS = (LEAST_LENGTH_S, 100.0, 600.0, 3600.0)
SEEDS = range(20)
every = pytest.mark.parametrize("seconds", LENGTHS)


@every
def test_a_seed_says_it_all(seconds: float) -> None:
    assert schedule(7, seconds) == schedule(7, seconds)
    assert len({schedule(seed, seconds) for seed in SEEDS}) == len(SEEDS)


@every
@pytest.mark.parametrize("seed", SEEDS)
def test_every_kind_happens_and_none_is_forgotten_for_long(seed: int, seconds: float) -> None:
    kinds = [one.kind for one in schedule(seed, seconds)]
    assert len(kinds) % len(Kind) == 0
    for begin in range(0, len(kinds), len(Kind)):
        assert set(kinds[begin : begin + len(Kind)]) == set(Kind)


@every
@pytest.mark.parametrize("seed", SEEDS)
def test_one_comes_soon_after_the_other_and_all_are_over_in_time(seed: int, seconds: float) -> None:
    found = schedule(seed, seconds)
    assert LEAST_S <= found[0].at_s <= MOST_S
    assert all(LEAST_S <= b.at_s - a.at_s <= MOST_S for a, b in pairwise(found))
    assert max(one.until_s for one in found) <= seconds
    assert found[-1].until_s >= 0.6 * seconds
    for one in found:
        assert TERMS[one.kind].least_s <= one.seconds <= TERMS[one.kind].most_s


@pytest.mark.parametrize("seed", SEEDS)
def test_what_happens_to_one_part_does_not_overlap(seed: int) -> None:
    by_target = sorted(schedule(seed, 600), key=lambda one: (one.target, one.at_s))
    for _, of_one in groupby(by_target, key=lambda one: one.target):
        assert all(a.until_s + REST_S <= b.at_s + 1e-9 for a, b in pairwise(of_one))


def test_too_short_a_time_is_refused() -> None:
    with pytest.raises(ValueError, match="take 60 s"):
        schedule(1, 59)
