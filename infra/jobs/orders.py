"""What a person may order of a job: stop it, or give it another round.

Invariant: an order raises the fence in the UPDATE that carries it out, so whoever holds the job
finds out at the next write. Upstream: the ledger and the control API. Downstream: the jobs table.
The caller owns the transaction.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from infra.db.jobs import Job, JobAttempt
from infra.jobs.states import JobState, JobTrigger, sources


def cancel(session: Session, job: str, now: int) -> bool:
    """Stops the job; False when it is over already."""
    values = {**released(JobState.CANCELLED, now), "finished_ms": now}
    changed = _transition(session, job, JobTrigger.CANCEL, values)
    if changed:
        close_attempts(session, job, now, "cancelled", None)
    return changed


def requeue(session: Session, job: str, now: int) -> bool:
    """Gives a dead or cancelled job a fresh round of attempts; False when it is neither."""
    values = {
        **released(JobState.QUEUED, now),
        "attempt_count": 0,
        "delivery_sent_ms": None,
        # The first attempt of the new round says when it began.
        "started_ms": None,
        "finished_ms": None,
    }
    return _transition(session, job, JobTrigger.REQUEUE, values)


def released(state: JobState, now: int) -> dict[str, Any]:
    """Column values of a job that nobody holds any more."""
    return {
        "state": state.value,
        "lease_owner": None,
        "lease_until_ms": None,
        "next_attempt_ms": None,
        "updated_ms": now,
    }


def close_attempts(session: Session, job: str, now: int, outcome: str, error: str | None) -> None:
    """Ends every attempt of the job that still counts as running."""
    session.execute(
        update(JobAttempt)
        .where(JobAttempt.job == job, JobAttempt.ended_ms.is_(None))
        .values(ended_ms=now, outcome=outcome, error=error)
        .execution_options(synchronize_session=False)
    )


def _transition(session: Session, job: str, trigger: JobTrigger, values: Mapping[str, Any]) -> bool:
    changed = session.execute(
        update(Job)
        .where(Job.id == job, Job.state.in_(sources(trigger)))
        .values(**values, fence=Job.fence + 1)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    return changed is not None
