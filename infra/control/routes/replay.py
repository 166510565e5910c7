"""`/v1/events/{event}/replay`: what people did, stored to be shown beside the recording."""

from fastapi import APIRouter, Response

from infra.control.dependencies import (
    Change,
    Context,
    EventId,
    KeyHolder,
    ProjectId,
    Session,
    begun,
)
from infra.control.replay_schemas import ReplayOut
from infra.control.replays import ReplayService, replay_out
from infra.jobs.replay import CONTENT_TYPE, Replay

router = APIRouter(prefix="/v1/events/{event}/replay", tags=["replay"])


@router.put(
    "",
    status_code=201,
    summary="Store what happened during the event",
    responses={200: {"model": ReplayOut, "description": "It is there already."}},
)
async def put_replay(
    event: EventId,
    wanted: Replay,
    *,
    project: KeyHolder,
    context: Context,
    change: Change,
    response: Response,
) -> ReplayOut:
    """201 for a new one, which replaces the one before; 200 for the one that is there."""
    async with begun(context.databases.reading) as session:
        place = await ReplayService(session, context, project).place(event, wanted)
    if not place.stored:
        # With no transaction open: nobody waits for the store but this request.
        await context.objects.put(place.request.key, place.text, CONTENT_TYPE)
    async with change() as session:
        job, is_new = await ReplayService(session, context, project).file(event, place)
        response.status_code = 201 if is_new else 200
    return replay_out(job, context.links)


@router.get("", summary="The event's replay")
async def get_replay(
    event: EventId, session: Session, project: ProjectId, context: Context
) -> ReplayOut:
    return replay_out(await ReplayService(session, context, project).get(event), context.links)
