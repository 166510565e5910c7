"""`/v1/jobs` and `/v1/functions`: what the cold path does and did, and can be asked to do."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from infra.control.dependencies import Context, EventId, Page, ProjectId, Session, TheCaller
from infra.control.idempotency import AnswersOnce
from infra.control.job_schemas import (
    ASKED_BEFORE,
    FunctionList,
    JobCreate,
    JobDetail,
    JobOut,
    JobPage,
)
from infra.control.jobs import JobService, functions, job_with_attempts, page_of_jobs
from infra.control.views import function_out, job_detail, job_out
from infra.jobs import orders
from infra.jobs.filing import OwnKey
from infra.jobs.states import JobState

router = APIRouter(tags=["jobs"], route_class=AnswersOnce)

JobId = Annotated[str, Path(description="Id of the job.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[!-~]{1,128}$",
        description="A repeated request with the same key makes no second job.",
    ),
]


async def _key_of_caller(
    caller: TheCaller, idempotency_key: IdempotencyKey = None
) -> OwnKey | None:
    return None if idempotency_key is None else OwnKey(f"key {caller.key}", idempotency_key)


KeyOfCaller = Annotated[OwnKey | None, Depends(_key_of_caller, scope="function")]


async def _service(session: Session, project: ProjectId, context: Context) -> JobService:
    return JobService(session, context, project)


Jobs = Annotated[JobService, Depends(_service)]


@router.get("/v1/jobs", summary="List jobs, newest first")
async def list_jobs(
    session: Session,
    project: ProjectId,
    page: Page,
    event: Annotated[str | None, Query(description="Only jobs of this event.")] = None,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
) -> JobPage:
    rows, following = await page_of_jobs(session, project, event=event, state=state, page=page)
    return JobPage(items=[job_out(row) for row in rows], next=following)


@router.get("/v1/jobs/{job}", summary="One job with its attempts and their logs")
async def get_job(job: JobId, session: Session, project: ProjectId) -> JobDetail:
    return job_detail(*await job_with_attempts(session, project, job))


@router.post(
    "/v1/events/{event}/jobs",
    status_code=201,
    summary="Ask a function for its work",
    responses={200: {"model": JobOut, "description": ASKED_BEFORE}},
)
async def create_job(
    event: EventId,
    wanted: JobCreate,
    response: Response,
    jobs: Jobs,
    key: KeyOfCaller,
) -> JobOut:
    """201 for a new job, 200 for one that was asked for before."""
    job, is_new = await jobs.request(event, wanted, key)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job_out(job)


@router.post("/v1/jobs/{job}/cancel", summary="Stop a job for good")
async def cancel_job(job: JobId, jobs: Jobs) -> JobDetail:
    """Whoever works on it finds out at the next write, within a third of its lease."""
    return job_detail(*await jobs.order(job, orders.cancel))


@router.post(
    "/v1/jobs/{job}/retry", summary="Give a dead or cancelled job another round of attempts"
)
async def retry_job(job: JobId, jobs: Jobs) -> JobDetail:
    return job_detail(*await jobs.order(job, orders.requeue))


@router.get("/v1/functions", summary="The functions of this installation")
async def list_functions(session: Session, project: ProjectId) -> FunctionList:
    """`project` only says that the request has a key: functions belong to the installation."""
    return FunctionList(items=[function_out(row) for row in await functions(session)])
