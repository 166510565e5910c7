"""What the API shows of the cold path, and what it may order: a new job, an end, another round.

Invariant: whatever is written here, the ledger's own rules hold: a request is filed once, an order
goes along an edge of the table of states and raises the fence. Every query is scoped to one
project; none commits.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from infra.control.context import ControlContext
from infra.control.job_schemas import JobCreate
from infra.control.paging import PageRequest, page_of
from infra.control.problems import Conflict, Invalid, NotFound
from infra.control.service import EventService
from infra.db.control import Event
from infra.db.jobs import BROKEN, Asset, Function, Job, JobAttempt
from infra.jobs import orders
from infra.jobs.filing import JobRequest, OwnKey, insert_new, job_row, requested
from infra.jobs.states import JobState
from infra.keys import ProgramKey, is_name
from infra.telemetry.tracing import current_traceparent

Order = Callable[[Session, str, int], bool]


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
    session: AsyncSession, project: str, event: str, page: PageRequest, kind: str | None = None
) -> tuple[Sequence[Asset], str | None]:
    """What was made from the event, newest first."""
    query = select(Asset).where(Asset.project == project, Asset.event == event)
    if kind is not None:
        query = query.where(Asset.kind == kind)
    return await page_of(session, query, Asset, page)


async def functions(session: AsyncSession) -> Sequence[Function]:
    """Every function that a dispatcher ever had, by name."""
    return (await session.scalars(select(Function).order_by(Function.name))).all()


_GIVEN_UP = (JobState.DEAD, JobState.CANCELLED)


class JobService:
    """Orders of one project's clients, within one transaction."""

    def __init__(self, session: AsyncSession, context: ControlContext, project: str) -> None:
        self._session = session
        self._context = context
        self._project = project
        self._events = EventService(session, context, project)

    async def request(
        self, event_id: str, wanted: JobCreate, key: OwnKey | None
    ) -> tuple[Job, bool]:
        """The job that does what is wanted, and whether it is new. Equal requests are one job,
        also in days to come, unless their keys are different ones; one that was given up or
        cancelled gets another round."""
        event = await self._events.get(event_id)
        asked = _request(await self._function(wanted.function), event, wanted, key)
        request = replace(asked, traceparent=current_traceparent())
        row = job_row(request, self._context.now_ms())
        is_new = await self._session.run_sync(lambda sync: insert_new(sync, Job, row))
        job = await self._session.get_one(Job, request.id)
        if job.state in _GIVEN_UP:
            job, _ = await self.order(job.id, orders.requeue)
        return job, is_new

    async def order(self, job_id: str, order: Order) -> tuple[Job, Sequence[JobAttempt]]:
        """Carries out `infra.jobs.orders.cancel` or `requeue`."""
        job, _ = await job_with_attempts(self._session, self._project, job_id)
        now = self._context.now_ms()
        if not await self._session.run_sync(lambda sync: order(sync, job_id, now)):
            await self._session.refresh(job)
            raise Conflict(f"job {job_id} is {job.state}", _REMEDIES[order])
        self._session.expire_all()
        return await job_with_attempts(self._session, self._project, job_id)

    async def _function(self, name: str) -> Function:
        function = await self._session.get(Function, name)
        if function is not None and function.trigger == BROKEN:
            raise Invalid(
                f"function {name!r} cannot run here: {function.doc}",
                "Who runs this installation mends or removes its package, and starts the "
                "dispatcher and the workers anew.",
            )
        if function is None or function.trigger != "request":
            raise Invalid(
                f"there is no function {name!r} that can be asked for",
                "List the functions with GET /v1/functions; it must be one with trigger request.",
            )
        return function


def _request(function: Function, event: Event, wanted: JobCreate, key: OwnKey | None) -> JobRequest:
    return requested(
        function.name,
        ProgramKey(event.project, event.id, wanted.feed),
        wanted.params,
        queue=function.terms["queue"],
        max_attempts=function.terms["max_attempts"],
        timeout_s=function.terms["timeout_s"],
        apart=key,
    )


_REMEDIES: dict[Order, str] = {
    orders.cancel: "Only a job that is not over can be cancelled.",
    orders.requeue: "Only a dead or cancelled job can be given another round; "
    "others go on by themselves.",
}
