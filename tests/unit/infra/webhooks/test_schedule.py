"""Attempts lie within a day, with growing pauses; what an endpoint asks for is honoured."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.webhooks.schedule import (
    PAUSES_MS,
    SPREAD,
    SUSTAINED_MS,
    WINDOW_MS,
    is_sustained,
    next_attempt_ms,
    retry_after_ms,
)

BEGAN = 1_900_000_000_000
HOUR = 3_600_000


def attempts(chance: float) -> list[int]:
    """When the attempts of a delivery are made that always fails at once, from its beginning."""
    made = [BEGAN]
    while (following := next_attempt_ms(len(made), BEGAN, made[-1], chance)) is not None:
        made.append(following)
    return [at - BEGAN for at in made]


def test_without_chance_the_attempts_are_those_of_the_table() -> None:
    seconds = [at / 1000 for at in attempts(0.5)]
    assert seconds == [0, 5, 305, 2105, 9305, 27305, 63305, 86400]


@given(st.floats(0, 1))
def test_attempts_lie_within_a_day_and_pauses_grow_until_its_end(chance: float) -> None:
    made = attempts(chance)
    assert made[-1] == WINDOW_MS
    pauses = [later - earlier for earlier, later in pairwise(made)]
    assert pauses[:-1] == sorted(pauses[:-1])
    for pause, planned in zip(pauses[:-1], PAUSES_MS, strict=False):
        assert abs(pause - planned) <= planned * SPREAD + 1


def test_endpoints_that_failed_together_come_back_apart() -> None:
    assert next_attempt_ms(2, BEGAN, BEGAN, 0.1) != next_attempt_ms(2, BEGAN, BEGAN, 0.9)


def test_a_pause_that_was_asked_for_is_kept_within_the_day() -> None:
    asked = next_attempt_ms(1, BEGAN, BEGAN, 0.5, HOUR)
    assert asked == BEGAN + HOUR
    assert next_attempt_ms(4, BEGAN, BEGAN, 0.5, 1_000) == BEGAN + 2 * HOUR
    assert next_attempt_ms(1, BEGAN, BEGAN + HOUR, 0.5, 48 * HOUR) == BEGAN + WINDOW_MS
    assert next_attempt_ms(1, BEGAN, BEGAN + WINDOW_MS, 0.5, HOUR) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("120", 120_000),
        (" 0 ", 0),
        ("9" * 30, WINDOW_MS),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Sun, 17 Mar 2030 17:46:50 GMT", 10_000),
        ("Sun, 17 Mar 2030 17:46:50", 10_000),
        ("Fri, 01 Jan 1999 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2999 00:00:00 GMT", WINDOW_MS),
        ("Fri, 99 Jan 2999 00:00:00 GMT", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, expected: int | None) -> None:
    assert retry_after_ms(value, BEGAN) == expected


@given(st.text(max_size=60))
def test_any_header_is_a_pause_or_nothing(value: str) -> None:
    pause = retry_after_ms(value, BEGAN)
    assert pause is None or 0 <= pause <= WINDOW_MS


def test_a_failure_is_sustained_after_most_of_a_day() -> None:
    assert not is_sustained(None, BEGAN)
    assert not is_sustained(BEGAN, BEGAN + SUSTAINED_MS - 1)
    assert is_sustained(BEGAN, BEGAN + WINDOW_MS)
