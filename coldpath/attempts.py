"""The end of an attempt: what its job's row and its own row say afterwards.

Shared by `coldpath.ledger` (the attempt reports) and `coldpath.deliveries` (it never will). The
caller owns the transaction.
"""

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from coldpath.notices import tell_dead
from coldpath.records import Lease
from infra.db.jobs import Job, JobAttempt
from infra.jobs import states
from infra.jobs.orders import close_attempts, released
from infra.jobs.states import JobState

MAX_ERROR = 4_000


def failure_values(
    job: Job, error: str, now: int, *, permanent: bool = False, delay_ms: int | None = None
) -> dict[str, Any]:
    """Column values of a job whose attempt has just failed."""
    follows = states.after_failure(job.attempt_count, job.max_attempts, permanent=permanent)
    state = states.advance(JobState.FAILED, follows)
    values = {**released(state, now), "error": error[:MAX_ERROR]}
    if state is JobState.DEAD:
        return {**values, "finished_ms": now}
    pause = states.backoff_ms(job.attempt_count) if delay_ms is None else delay_ms
    return {**values, "next_attempt_ms": now + pause}


def give_up_attempt(session: Session, job: Job, now: int) -> JobState:
    """The lease ran out: the attempt is lost, and the job is tried again or buried."""
    error = f"worker {job.lease_owner} died or was cut off during attempt {job.attempt_count}"
    if job.attempt_count >= job.max_attempts:
        error += f"; all {job.max_attempts} attempts are used up"
    values = failure_values(job, error, now, delay_ms=0)
    close_attempts(session, job.id, now, "lost", error)
    for name, value in values.items():
        setattr(job, name, value)
    job.fence += 1
    session.flush()
    if job.state == JobState.DEAD:
        tell_dead(session, job, error, now)
    return JobState(job.state)


def finish_attempt(
    session: Session,
    lease: Lease,
    now: int,
    outcome: str,
    error: str | None = None,
    *,
    log: str | None,
) -> None:
    session.execute(
        update(JobAttempt)
        .where(JobAttempt.job == lease.job, JobAttempt.number == lease.fence)
        .values(ended_ms=now, outcome=outcome, error=error and error[:MAX_ERROR], log=log)
        .execution_options(synchronize_session=False)
    )
