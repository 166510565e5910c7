"""`/v1/events/{event}/clips`: stretches of an event, during it and after it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from infra.control.clip_schemas import ClipCreate, ClipOut, ClipPage
from infra.control.clips import ClipService
from infra.control.dependencies import Context, EventId, Page, ProjectId, Session
from infra.control.idempotency import AnswersOnce
from infra.control.job_schemas import ASKED_BEFORE
from infra.control.routes.jobs import KeyOfCaller

router = APIRouter(prefix="/v1/events/{event}/clips", tags=["clips"], route_class=AnswersOnce)

ClipId = Annotated[str, Path(description="Id of the clip.", examples=["clip_2kq5mzx7c3v4b6n7a8sd"])]


async def _service(session: Session, project: ProjectId, context: Context) -> ClipService:
    return ClipService(session, context, project)


Clips = Annotated[ClipService, Depends(_service)]


@router.post(
    "",
    status_code=201,
    summary="Make a clip of a stretch of the event",
    responses={200: {"model": ClipOut, "description": ASKED_BEFORE}},
)
async def create_clip(
    event: EventId,
    wanted: ClipCreate,
    response: Response,
    clips: Clips,
    key: KeyOfCaller,
) -> ClipOut:
    """201 for a new clip, 200 for one that was asked for before. Ask again until it is there."""
    job, is_new = await clips.create(event, wanted, key)
    (shown,) = await clips.shown([job])
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/events/{event}/clips/{shown.id}"
    return shown


@router.get("", summary="List the event's clips, newest first")
async def list_clips(event: EventId, clips: Clips, page: Page) -> ClipPage:
    jobs, following = await clips.page(event, page)
    return ClipPage(items=await clips.shown(jobs), next=following)


@router.get("/{clip}", summary="One clip, and its asset when it is there")
async def get_clip(event: EventId, clip: ClipId, clips: Clips) -> ClipOut:
    (shown,) = await clips.shown([await clips.get(event, clip)])
    return shown
