"""`/v1/events/{event}/markers`: timed metadata, from here into playlists and control channels."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from infra.control.dependencies import Context, EventId, Page, ProjectId, Session
from infra.control.idempotency import AnswersOnce
from infra.control.marker_schemas import (
    MarkerCreate,
    MarkerOut,
    MarkerPage,
    MarkerPatch,
    marker_out,
)
from infra.control.markers import MarkerService

router = APIRouter(prefix="/v1/events/{event}/markers", tags=["markers"], route_class=AnswersOnce)


async def _service(session: Session, project: ProjectId, context: Context) -> MarkerService:
    return MarkerService(session, context, project)


Markers = Annotated[MarkerService, Depends(_service)]
MarkerId = Annotated[
    str, Path(description="Id of the marker.", examples=["mk_2kq5mzx7c3v4b6n7a8sd"])
]


@router.post("", status_code=201, summary="Put a marker on the event's timeline")
async def create_marker(
    event: EventId, wanted: MarkerCreate, response: Response, markers: Markers
) -> MarkerOut:
    """Viewers get it at once: an EXT-X-DATERANGE in every playlist, an SSE `marker` over WHEP."""
    marker = await markers.create(event, wanted)
    response.headers["Location"] = f"/v1/events/{marker.event}/markers/{marker.id}"
    return marker_out(marker)


@router.get("", summary="List the event's markers, newest first")
async def list_markers(event: EventId, markers: Markers, page: Page) -> MarkerPage:
    rows, following = await markers.page(event, page)
    return MarkerPage(items=[marker_out(row) for row in rows], next=following)


@router.get("/{marker}", summary="One marker")
async def get_marker(event: EventId, marker: MarkerId, markers: Markers) -> MarkerOut:
    return marker_out(await markers.get(event, marker))


@router.patch("/{marker}", summary="End a marker whose end is open")
async def end_marker(
    event: EventId, marker: MarkerId, changes: MarkerPatch, markers: Markers
) -> MarkerOut:
    """A poll closes, a chapter is over. An end is set once: players keep what they were told."""
    return marker_out(await markers.end(event, marker, changes.end))
