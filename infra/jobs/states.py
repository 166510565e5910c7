"""Job states as a transition table.

Invariant: a job changes state only along an edge of the table, and `succeeded` has no way out; an
illegal trigger raises and changes nothing. The ledger builds the WHERE clause
of each of its updates from this table, so the database enforces the same edges.

    queued ──lease──► leased ──start──► running ──succeed──► succeeded
      ▲  ▲               │ hand_back       │ fail, expire
      │  └───────────────┴─────────────────┤
      └─due── retrying ◄──retry── failed ◄─┘
                                  └──bury──► dead, cancelled ──requeue──► queued
"""

from enum import StrEnum

from infra.errors import IllegalTransition


class JobState(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """An attempt failed and nothing was decided yet; never outlives the ledger's transaction."""
    RETRYING = "retrying"
    DEAD = "dead"
    CANCELLED = "cancelled"


class JobTrigger(StrEnum):
    LEASE = "lease"
    START = "start"
    SUCCEED = "succeed"
    FAIL = "fail"
    EXPIRE = "expire"
    """The lease ran out: the worker died, or was cut off from the database."""
    HAND_BACK = "hand_back"
    """The worker stops in order and gives the job back; the attempt is not held against it."""
    RETRY = "retry"
    DUE = "due"
    """The pause before the next attempt is over."""
    BURY = "bury"
    """No attempts left, or trying again cannot help."""
    REQUEUE = "requeue"
    """Somebody gives a job that was given up another round."""
    CANCEL = "cancel"


_S, _T = JobState, JobTrigger
TRANSITIONS: dict[tuple[JobState, JobTrigger], JobState] = {
    (_S.QUEUED, _T.LEASE): _S.LEASED,
    # A delivery may come just before the dispatcher marked the retry as due.
    (_S.RETRYING, _T.LEASE): _S.LEASED,
    # A delivery of a dead worker's job comes back while its row still says who ran it.
    (_S.LEASED, _T.LEASE): _S.LEASED,
    (_S.RUNNING, _T.LEASE): _S.LEASED,
    (_S.LEASED, _T.START): _S.RUNNING,
    (_S.LEASED, _T.SUCCEED): _S.SUCCEEDED,
    (_S.RUNNING, _T.SUCCEED): _S.SUCCEEDED,
    (_S.LEASED, _T.FAIL): _S.FAILED,
    (_S.RUNNING, _T.FAIL): _S.FAILED,
    (_S.LEASED, _T.EXPIRE): _S.FAILED,
    (_S.RUNNING, _T.EXPIRE): _S.FAILED,
    (_S.LEASED, _T.HAND_BACK): _S.QUEUED,
    (_S.RUNNING, _T.HAND_BACK): _S.QUEUED,
    (_S.FAILED, _T.RETRY): _S.RETRYING,
    (_S.FAILED, _T.BURY): _S.DEAD,
    (_S.RETRYING, _T.DUE): _S.QUEUED,
    (_S.DEAD, _T.REQUEUE): _S.QUEUED,
    (_S.CANCELLED, _T.REQUEUE): _S.QUEUED,
    (_S.QUEUED, _T.CANCEL): _S.CANCELLED,
    (_S.LEASED, _T.CANCEL): _S.CANCELLED,
    (_S.RUNNING, _T.CANCEL): _S.CANCELLED,
    (_S.RETRYING, _T.CANCEL): _S.CANCELLED,
}

OWNED = frozenset({JobState.LEASED, JobState.RUNNING})
"""States in which exactly one attempt holds the lease."""


def advance(state: JobState, trigger: JobTrigger) -> JobState:
    """The state after `trigger`; raises `IllegalTransition` when the table has no such edge."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        allowed = sorted(t.value for s, t in TRANSITIONS if s is state)
        raise IllegalTransition(
            f"a job that is {state} does not take {trigger}; it takes "
            f"{', '.join(allowed) or 'nothing'}"
        ) from None


def sources(trigger: JobTrigger) -> frozenset[JobState]:
    """The states from which `trigger` is legal."""
    return frozenset(state for state, t in TRANSITIONS if t is trigger)


def after_failure(attempts: int, max_attempts: int, *, permanent: bool = False) -> JobTrigger:
    """What follows a failed attempt: another one, or the grave (the poison cap)."""
    if permanent or attempts >= max_attempts:
        return JobTrigger.BURY
    return JobTrigger.RETRY


def backoff_ms(attempts: int, *, base_ms: int = 2_000, limit_ms: int = 300_000) -> int:
    """Pause before the next attempt: doubles with each one. Jobs of one dead worker come back
    through the broker one by one, so no random spread is needed."""
    return min(limit_ms, base_ms << min(max(attempts - 1, 0), 30))
