"""`/v1/overview` and readings: what whoever looks after events wants to see at once."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from infra.auth.scopes import Scope, allows
from infra.control.callers import Caller
from infra.control.context import ControlContext
from infra.control.dependencies import Context, EventId, KeyHolder, TheCaller, begun
from infra.control.overview import Overview
from infra.control.overview_schemas import OverviewOut, ReadingList, reading_out
from infra.control.readings import ReadingListener
from infra.control.schemas import Moment, required_at, to_ms
from infra.control.service import EventService

router = APIRouter(tags=["overview"])
READING = "reading"


@router.get("/v1/overview", summary="The project at a glance")
async def get_overview(caller: TheCaller, project: KeyHolder, context: Context) -> OverviewOut:
    """Events by state, how those on the air do, work that is not done, webhooks. Bounded: of what
    is over it has the newest only. Read it again when `GET /v1/stream` tells of something."""
    now_ms = context.now_ms()
    async with begun(context.databases.reading) as session:
        overview = Overview(session, project, now_ms)
        name, events = await overview.name(), await overview.events()
        may_jobs = allows(caller.scopes, Scope.JOBS_READ)
        jobs = await overview.jobs() if may_jobs else None
        may_webhooks = allows(caller.scopes, Scope.WEBHOOKS_READ)
        webhooks = await overview.webhooks() if may_webhooks else None
    # The database waits for no bus.
    readings = await context.readings.newest(project, events.on_air)
    return OverviewOut(
        at=required_at(now_ms),
        project=project,
        project_name=name,
        scopes=sorted(caller.scopes),
        readings=readings is not None,
        events=events.out(readings or {}),
        jobs=jobs,
        webhooks=webhooks,
    )


@router.get("/v1/events/{event}/readings", summary="How an event did within the last hour")
async def list_readings(
    event: EventId,
    project: KeyHolder,
    context: Context,
    since: Annotated[Moment | None, Query(description="From this time on.")] = None,
) -> ReadingList:
    """One every five seconds while it is on the air, for an hour, oldest first."""
    async with begun(context.databases.reading) as session:
        await EventService(session, context, project).get(event)
    found = await context.readings.kept(project, event, to_ms(since) or 0)
    return ReadingList(items=[reading_out(one) for one in found])


class _Place:
    """Holds the listener of a request until its response has ended."""

    def __init__(self, context: ControlContext) -> None:
        self._context = context
        self._listener: ReadingListener | None = None

    def take(self, caller: Caller) -> ReadingListener:
        self._listener = self._context.readings.join(caller.project)
        self._context.held_open.add(caller, self._listener)
        return self._listener

    def give_back(self) -> None:
        if self._listener is not None:
            self._context.held_open.discard(self._listener)
            self._context.readings.leave(self._listener)


async def _place(context: Context) -> AsyncIterator[_Place]:
    place = _Place(context)
    try:
        yield place
    finally:
        place.give_back()


async def _listener(
    _alone: KeyHolder,
    caller: TheCaller,
    place: Annotated[_Place, Depends(_place, scope="request")],
) -> ReadingListener:
    return place.take(caller)


@router.get(
    "/v1/readings/stream", response_class=EventSourceResponse, summary="Follow the readings"
)
async def stream_readings(
    listener: Annotated[ReadingListener, Depends(_listener, scope="function")],
    event: Annotated[str | None, Query(max_length=64, description="Only of this event.")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Readings of all events of the project as they are taken: `event` is `reading`, `data` as in
    the list. Nothing makes up for those that a connection missed; the list has them. The stream
    ends after an hour, and within seconds when its key is revoked, expires or is replaced."""
    while (reading := await listener.next()) is not None:
        if event in (None, reading.event):
            yield ServerSentEvent(event=READING, raw_data=reading_out(reading).model_dump_json())
