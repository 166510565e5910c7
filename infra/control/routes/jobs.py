"""`/v1/jobs`: what the cold path does and did."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from infra.control.dependencies import Page, ProjectId, Session
from infra.control.job_schemas import JobDetail, JobPage
from infra.control.jobs import JobState, job_with_attempts, page_of_jobs
from infra.control.views import job_detail, job_out

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("", summary="List jobs, newest first")
async def list_jobs(
    session: Session,
    project: ProjectId,
    page: Page,
    event: Annotated[str | None, Query(description="Only jobs of this event.")] = None,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
) -> JobPage:
    rows, following = await page_of_jobs(session, project, event=event, state=state, page=page)
    return JobPage(items=[job_out(row) for row in rows], next=following)


@router.get("/{job}", summary="One job with its attempts")
async def get_job(
    job: Annotated[str, Path(description="Id of the job.")], session: Session, project: ProjectId
) -> JobDetail:
    return job_detail(*await job_with_attempts(session, project, job))
