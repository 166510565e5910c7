"""What the API shows of the cold path: jobs with their attempts, and assets. Reads only."""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.paging import PageRequest, page_of
from infra.control.problems import NotFound
from infra.db.jobs import Asset, Job, JobAttempt
from infra.keys import is_name


class JobState(StrEnum):
    """States a job can be asked for."""

    QUEUED = "queued"
    LEASED = "leased"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRYING = "retrying"
    DEAD = "dead"
    CANCELLED = "cancelled"


async def page_of_jobs(
    session: AsyncSession,
    project: str,
    *,
    event: str | None,
    state: JobState | None,
    page: PageRequest,
) -> tuple[Sequence[Job], str | None]:
    """The project's jobs, newest first."""
    wanted: list[ColumnElement[bool]] = [Job.project == project]
    if event is not None:
        if not is_name(event):
            return [], None
        wanted.append(Job.event == event)
    if state is not None:
        wanted.append(Job.state == state.value)
    return await page_of(session, select(Job).where(*wanted), Job, page)


async def job_with_attempts(
    session: AsyncSession, project: str, job_id: str
) -> tuple[Job, Sequence[JobAttempt]]:
    """One job of the project and its attempts in order."""
    job = None
    if is_name(job_id):
        job = await session.scalar(select(Job).where(Job.id == job_id, Job.project == project))
    if job is None:
        raise NotFound(
            f"there is no job {job_id[:80]!r} in this project",
            "List the project's jobs with GET /v1/jobs.",
        )
    attempts = await session.scalars(
        select(JobAttempt).where(JobAttempt.job == job.id).order_by(JobAttempt.number)
    )
    return job, attempts.all()


async def page_of_assets(
    session: AsyncSession, project: str, event: str, page: PageRequest
) -> tuple[Sequence[Asset], str | None]:
    """What was made from the event, newest first."""
    query = select(Asset).where(Asset.project == project, Asset.event == event)
    return await page_of(session, query, Asset, page)
