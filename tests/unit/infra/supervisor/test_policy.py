import pytest

from infra.supervisor.policy import GiveUp, Restart, RestartLimits, RestartPolicy, describe_exit

LIMITS = RestartLimits(first_ms=100, max_ms=1000, stable_ms=5000, max_failed_starts=3)


def once_ready(now_ms: int = 0) -> RestartPolicy:
    policy = RestartPolicy(LIMITS)
    policy.receive_ready(now_ms)
    return policy


def test_delays_double_up_to_the_limit() -> None:
    policy = once_ready()
    delays = [policy.receive_exit(1, 10) for _ in range(6)]
    assert delays == [Restart(ms) for ms in (100, 200, 400, 800, 1000, 1000)]


def test_delays_start_over_after_a_stable_run() -> None:
    policy = once_ready()
    policy.receive_exit(1, 10)
    policy.receive_exit(1, 20)
    policy.receive_ready(1_000)
    assert policy.receive_exit(1, 6_000) == Restart(100)


def test_a_run_that_was_not_stable_keeps_the_delay() -> None:
    policy = once_ready()
    policy.receive_exit(1, 10)
    policy.receive_ready(1_000)
    assert policy.receive_exit(1, 5_999) == Restart(200)


def test_repeated_readiness_counts_from_the_first() -> None:
    policy = once_ready(0)
    policy.receive_ready(4_900)
    policy.receive_exit(1, 10_000)
    assert policy.receive_exit(1, 10_001) == Restart(200)


def test_settings_that_cannot_be_used_are_not_tried_again() -> None:
    assert isinstance(RestartPolicy(LIMITS).receive_exit(2, 0), GiveUp)


def test_a_role_that_was_ready_is_never_given_up() -> None:
    policy = once_ready()
    assert all(isinstance(policy.receive_exit(2, 0), Restart) for _ in range(50))
    assert policy.restarts == 50


def test_a_role_that_never_became_ready_is_given_up_after_some_starts() -> None:
    policy = RestartPolicy(LIMITS)
    decisions = [policy.receive_exit(1, now) for now in range(3)]
    assert decisions[:2] == [Restart(100), Restart(200)]
    assert decisions[2] == GiveUp("it ended 3 times without becoming ready")


@pytest.mark.parametrize(
    ("status", "words"), [(0, "exit status 0"), (2, "exit status 2"), (-9, "killed by signal 9")]
)
def test_exits_in_words(status: int, words: str) -> None:
    assert describe_exit(status) == words
