"""The rendition one viewer gets: what moves it, how soon, and what does not."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.fanout.choice import SECOND, STAY, Choice, Health, Move, Off

RATES = (3_000_000, 1_200_000, 500_000)
GOOD = Health()
LOSSY = Health(lost=0.3)
STUCK = Health(dropped=12)


def run(
    choice: Choice, reports: Sequence[tuple[int, Health]], start_s: int = 0
) -> list[tuple[int, int | str]]:
    """Every decision in (second, level or reason); each report is repeated once a second."""
    decisions: list[tuple[int, int | str]] = []
    second = start_s
    for seconds, health in reports:
        for _ in range(seconds):
            match choice.receive(health, second * SECOND):
                case Move(level=level):
                    decisions.append((second, level))
                case Off(reason=reason):
                    decisions.append((second, reason))
            second += 1
    return decisions


@pytest.mark.parametrize(
    "health",
    [
        GOOD,
        Health(lost=0.05, jitter_ms=50),
        Health(remb_bps=100_000),
        Health(jitter_ms=500),
        Health(rtt_ms=2_000),
    ],
)
def test_what_a_viewer_can_live_with_moves_nothing(health: Health) -> None:
    assert run(Choice(RATES), [(120, health)]) == []


@pytest.mark.parametrize(
    "health",
    [
        LOSSY,
        STUCK,
        Health(waiting=True),
        Health(lost=0.06, remb_bps=1_000_000),
        Health(jitter_ms=80, remb_bps=1_000_000),
        Health(lost=0.05, rtt_ms=1_500),
    ],
)
def test_a_viewer_that_cannot_keep_up_moves_one_down(health: Health) -> None:
    assert run(Choice(RATES), [(4, health)]) == [(3, 1)]


def test_sustained_failure_walks_down_to_audio_and_then_off() -> None:
    decisions = run(Choice(RATES), [(60, LOSSY)])
    assert [level for _, level in decisions[:3]] == [1, 2, 3]
    assert [second for second, _ in decisions[:4]] == [3, 6, 16, 36]
    assert decisions[3][1] == "30% of the packets are lost, on audio alone too"


def test_one_bad_report_moves_nothing() -> None:
    assert run(Choice(RATES), [(1, LOSSY), (1, GOOD)] * 30) == []


MIDDLING = Health(lost=0.08)


@pytest.mark.parametrize("between", [1, 2, 3, 5])
def test_bad_reports_with_middling_ones_between_move_nothing(between: int) -> None:
    assert run(Choice(RATES), [(1, LOSSY), (between, MIDDLING)] * 30) == []
    assert run(Choice(RATES), [(3, LOSSY), (between, MIDDLING)] * 30) == []


def test_after_a_move_a_middling_time_is_not_counted_towards_the_next() -> None:
    assert run(Choice(RATES), [(4, LOSSY), (20, MIDDLING), (1, LOSSY)]) == [(3, 1)]
    assert run(Choice(RATES), [(4, LOSSY), (20, MIDDLING), (4, LOSSY)]) == [(3, 1), (27, 2)]


def test_thirty_percent_loss_for_five_seconds_keeps_the_only_picture() -> None:
    assert run(Choice([2_400_000]), [(10, GOOD), (5, LOSSY), (30, GOOD)]) == []


def test_loss_that_retransmission_repairs_keeps_the_last_picture() -> None:
    choice = Choice(RATES)
    assert run(choice, [(60, Health(lost=0.15))]) == [(3, 1), (6, 2)]


def test_recovery_goes_up_one_at_a_time() -> None:
    choice = Choice(RATES)
    assert run(choice, [(7, LOSSY)]) == [(3, 1), (6, 2)]
    assert run(choice, [(30, GOOD)], 10) == [(18, 1), (26, 0)]


def test_a_step_up_that_fails_waits_twice_as_long_next_time() -> None:
    choice = Choice(RATES[:2])
    assert run(choice, [(4, LOSSY)]) == [(3, 1)]
    assert run(choice, [(9, GOOD), (4, LOSSY)], 10) == [(18, 0), (22, 1)]
    assert run(choice, [(30, GOOD)], 23) == [(39, 0)]


def test_a_step_up_that_holds_restores_the_short_wait() -> None:
    choice = Choice(RATES[:2])
    run(choice, [(4, LOSSY), (9, GOOD), (4, LOSSY), (40, GOOD)])
    assert choice.level == 0
    assert run(choice, [(4, LOSSY), (9, GOOD)], 100) == [(103, 1), (112, 0)]


def test_the_way_back_from_audio_is_taken_back_soon_when_it_fails() -> None:
    choice = Choice([2_400_000])
    assert run(choice, [(11, STUCK), (9, GOOD), (4, STUCK)]) == [(10, 1), (19, 0), (23, 1)]


def test_an_estimate_too_small_for_the_next_rendition_holds_the_viewer_below_it() -> None:
    choice = Choice(RATES)
    run(choice, [(4, LOSSY)])
    assert run(choice, [(60, Health(remb_bps=2_000_000))], 10) == []
    assert run(choice, [(2, Health(remb_bps=4_000_000))], 70) == [(70, 0)]


def test_without_audio_the_last_picture_is_kept_until_it_is_hopeless() -> None:
    decisions = run(Choice([2_400_000], audio=False), [(40, LOSSY)])
    assert decisions[0] == (30, "30% of the packets are lost")


def test_renditions_that_come_and_go() -> None:
    choice = Choice(RATES)
    run(choice, [(7, LOSSY)])
    assert choice.level == 2
    # The one above is gone: the viewer has what it had, and knows of none below.
    choice.renditions([RATES[0], RATES[2]], 1)
    assert run(choice, [(9, GOOD)], start_s=7) == [(15, 0)]
    choice.renditions([], 0)
    assert choice.audio_only
    choice.renditions(RATES, 0)
    assert choice.level == 0


def test_audio_only_stays_audio_only_when_renditions_change() -> None:
    choice = Choice([2_400_000])
    run(choice, [(11, STUCK)])
    choice.renditions(RATES, 0)
    assert choice.audio_only


def test_no_report_is_no_verdict() -> None:
    assert Choice(RATES).receive(GOOD, 0) == STAY


HEALTH = st.builds(
    Health,
    lost=st.sampled_from([0.0, 0.05, 0.15, 0.3, 0.9]),
    jitter_ms=st.integers(0, 200),
    rtt_ms=st.integers(0, 3_000),
    remb_bps=st.one_of(st.none(), st.integers(10_000, 9_000_000)),
    dropped=st.sampled_from([0, 0, 0, 5]),
    waiting=st.booleans(),
)


@given(st.lists(st.tuples(HEALTH, st.integers(1, 12)), max_size=200), st.integers(0, 3))
def test_whatever_is_reported_a_viewer_moves_one_step_within_what_there_is(
    reports: list[tuple[Health, int]], renditions: int
) -> None:
    choice, now, level = Choice(RATES[:renditions]), 0, 0
    for health, seconds in reports:
        now += seconds * SECOND
        match choice.receive(health, now):
            case Move(level=moved):
                assert abs(moved - level) == 1
                assert 0 <= moved <= renditions
                level = moved
            case Off():
                assert level == renditions
        assert choice.level == level
