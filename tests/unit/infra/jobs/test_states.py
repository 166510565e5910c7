import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import IllegalTransition
from infra.jobs import states
from infra.jobs.states import JobState, JobTrigger


def walk(*triggers: JobTrigger) -> JobState:
    state = JobState.QUEUED
    for trigger in triggers:
        state = states.advance(state, trigger)
    return state


T = JobTrigger


@pytest.mark.parametrize(
    ("triggers", "state"),
    [
        ((T.LEASE, T.START, T.SUCCEED), JobState.SUCCEEDED),
        ((T.LEASE, T.START, T.FAIL, T.RETRY, T.DUE, T.LEASE), JobState.LEASED),
        ((T.LEASE, T.EXPIRE, T.BURY), JobState.DEAD),
        ((T.LEASE, T.START, T.HAND_BACK), JobState.QUEUED),
        ((T.LEASE, T.START, T.LEASE), JobState.LEASED),
        ((T.LEASE, T.FAIL, T.BURY, T.REQUEUE), JobState.QUEUED),
        ((T.CANCEL,), JobState.CANCELLED),
        ((T.CANCEL, T.REQUEUE), JobState.QUEUED),
    ],
)
def test_a_life_of_a_job(triggers: tuple[JobTrigger, ...], state: JobState) -> None:
    assert walk(*triggers) is state


@pytest.mark.parametrize("state", [JobState.SUCCEEDED])
@pytest.mark.parametrize("trigger", list(JobTrigger))
def test_nothing_leaves_a_final_state(state: JobState, trigger: JobTrigger) -> None:
    with pytest.raises(IllegalTransition):
        states.advance(state, trigger)


def test_an_illegal_trigger_says_what_is_legal() -> None:
    with pytest.raises(IllegalTransition, match=r"dead does not take succeed; it takes requeue"):
        states.advance(JobState.DEAD, JobTrigger.SUCCEED)


def test_sources_are_the_edges_of_the_table() -> None:
    assert states.sources(JobTrigger.SUCCEED) == {JobState.LEASED, JobState.RUNNING}
    assert states.sources(JobTrigger.REQUEUE) == {JobState.DEAD, JobState.CANCELLED}


@settings(deadline=None)
@given(attempts=st.integers(0, 100), limit=st.integers(1, 100))
def test_the_poison_cap_buries_exactly_when_attempts_are_used_up(attempts: int, limit: int) -> None:
    follows = states.after_failure(attempts, limit)
    assert (follows is JobTrigger.BURY) == (attempts >= limit)
    assert states.after_failure(attempts, limit, permanent=True) is JobTrigger.BURY


def test_pauses_double_up_to_a_limit() -> None:
    assert [states.backoff_ms(n) for n in (1, 2, 3, 4)] == [2_000, 4_000, 8_000, 16_000]
    assert states.backoff_ms(10_000) == 300_000
