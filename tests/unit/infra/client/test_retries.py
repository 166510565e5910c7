"""Pauses grow, spread, end in time, and never repeat what may have been done."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.client.retries import Outcome, Retries, outcome_of

RETRIES = Retries(attempts=5, first_s=0.2, longest_s=1.0, total_s=10)


def pause(
    failed: int,
    outcome: Outcome = Outcome.REFUSED,
    *,
    repeatable: bool = True,
    spent_s: float = 0,
    chance: float = 1,
    after_s: float | None = None,
) -> float | None:
    return RETRIES.pause_s(
        failed,
        outcome,
        repeatable=repeatable,
        spent_s=spent_s,
        chance=chance,
        retry_after_s=after_s,
    )


def test_pauses_double_up_to_the_longest_and_end_with_the_attempts() -> None:
    assert [pause(failed) for failed in range(1, 6)] == [0.2, 0.4, 0.8, 1.0, None]


def test_chance_decides_over_the_whole_pause() -> None:
    assert pause(3, chance=0) == 0
    assert pause(3, chance=0.5) == 0.4


def test_retry_after_is_waited_for_and_a_little_longer() -> None:
    assert pause(1, after_s=3, chance=0) == 3
    assert pause(1, after_s=3, chance=1) == pytest.approx(3.2)


def test_a_pause_that_does_not_fit_into_the_time_is_none() -> None:
    assert pause(1, after_s=9, chance=0) == 9
    assert pause(1, after_s=10, chance=0) is None
    assert pause(1, spent_s=9.9) is None


def test_what_may_have_been_done_is_repeated_only_where_that_is_harmless() -> None:
    assert pause(1, Outcome.UNKNOWN, repeatable=True) is not None
    assert pause(1, Outcome.UNKNOWN, repeatable=False) is None
    assert pause(1, Outcome.REFUSED, repeatable=False) is not None
    assert pause(1, Outcome.NOT_SENT, repeatable=False) is not None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *[(429, Outcome.REFUSED), (503, Outcome.REFUSED)],
        *[(502, Outcome.UNKNOWN), (504, Outcome.UNKNOWN)],
        *[(status, Outcome.FINAL) for status in (400, 401, 404, 409, 412, 422, 500)],
    ],
)
def test_statuses(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


@settings(deadline=None)
@given(
    retries=st.builds(
        Retries,
        attempts=st.integers(1, 60),
        first_s=st.floats(0.01, 10),
        longest_s=st.floats(0.01, 100),
        total_s=st.floats(0.01, 1000),
    ),
    chances=st.lists(st.floats(0, 1), min_size=60, max_size=60),
    after_s=st.none() | st.floats(0, 100),
)
def test_pauses_together_never_take_longer_than_the_total(
    retries: Retries, chances: list[float], after_s: float | None
) -> None:
    spent = 0.0
    for failed, chance in enumerate(chances, 1):
        found = retries.pause_s(
            failed,
            Outcome.REFUSED,
            repeatable=True,
            spent_s=spent,
            chance=chance,
            retry_after_s=after_s,
        )
        if found is None:
            break
        assert failed < retries.attempts
        assert found >= (after_s or 0)
        spent += found
    assert spent < retries.total_s


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"first_s": 0}, {"longest_s": -1}, {"total_s": 0}]
)
def test_a_schedule_without_an_attempt_or_time_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one attempt"):
        Retries(**wrong)
