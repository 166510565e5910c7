"""`/v1/events`: schedule, look up, change, end, and what belongs to one event."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from infra.control.dependencies import Context, EventId, Page, ProjectId, Session
from infra.control.event_schemas import EventCreate, EventOut, EventPage, EventPatch
from infra.control.job_schemas import AssetPage
from infra.control.jobs import page_of_assets
from infra.control.schemas import required_at
from infra.control.service import EventService
from infra.control.viewer_schemas import TokenCreate, TokenOut
from infra.control.views import asset_out, event_out
from infra.db.control import Event
from infra.db.jobs import Asset
from infra.lifecycle import EventState

router = APIRouter(prefix="/v1/events", tags=["events"])


async def _shown(service: EventService, context: Context, event: Event) -> EventOut:
    facts = await service.recent_facts(event.id)
    return event_out(event, context.links, await service.secrets(), facts)


@router.post("", status_code=201, summary="Schedule an event")
async def create_event(
    wanted: EventCreate, response: Response, session: Session, project: ProjectId, context: Context
) -> EventOut:
    """Returns the ingest address at once; encoders may connect from now on."""
    service = EventService(session, context, project)
    event = await service.create(wanted)
    response.headers["Location"] = f"/v1/events/{event.id}"
    return event_out(event, context.links, await service.secrets())


@router.get("", summary="List events, newest first")
async def list_events(
    session: Session,
    project: ProjectId,
    context: Context,
    page: Page,
    state: Annotated[EventState | None, Query(description="Only events in this state.")] = None,
) -> EventPage:
    service = EventService(session, context, project)
    rows, following = await service.page(page, state)
    secrets = await service.secrets()
    items = [event_out(row, context.links, secrets) for row in rows]
    return EventPage(items=items, next=following)


@router.get("/{event}", summary="One event")
async def get_event(
    event: EventId, session: Session, project: ProjectId, context: Context
) -> EventOut:
    """With the latest connections, refusals and warnings in `ingest.recent`."""
    service = EventService(session, context, project)
    return await _shown(service, context, await service.get(event))


@router.patch("/{event}", summary="Change an event")
async def patch_event(
    event: EventId, changes: EventPatch, session: Session, project: ProjectId, context: Context
) -> EventOut:
    service = EventService(session, context, project)
    return await _shown(service, context, await service.patch(event, changes))


@router.delete("/{event}", summary="Cancel an event that was never live")
async def cancel_event(
    event: EventId, session: Session, project: ProjectId, context: Context
) -> EventOut:
    """The event stays readable with state `cancelled`. Repeating it is harmless."""
    service = EventService(session, context, project)
    return await _shown(service, context, await service.cancel(event))


@router.post("/{event}/end", summary="End a running event")
async def end_event(
    event: EventId, session: Session, project: ProjectId, context: Context
) -> EventOut:
    """Publishers are disconnected and the archive begins. Repeating it is harmless."""
    service = EventService(session, context, project)
    return await _shown(service, context, await service.end(event))


@router.post("/{event}/rotate-key", summary="Replace stream key, passphrase and WHIP token")
async def rotate_key(
    event: EventId, session: Session, project: ProjectId, context: Context
) -> EventOut:
    """Encoders with the old key are refused; the answer holds the new ingest address."""
    service = EventService(session, context, project)
    return await _shown(service, context, await service.rotate_key(event))


@router.post("/{event}/tokens", status_code=201, summary="Issue a viewer token")
async def create_token(
    event: EventId,
    session: Session,
    project: ProjectId,
    context: Context,
    wanted: TokenCreate | None = None,
) -> TokenOut:
    """Media nodes verify tokens offline, so a token cannot be called back: keep `ttl_s` short."""
    service = EventService(session, context, project)
    issued = await service.issue_token(event, wanted or TokenCreate())
    return TokenOut(
        token=issued.token,
        expires_at=required_at(issued.expires_at_ms),
        hls_url=context.links.hls(project, event, issued.token),
        whep_url=context.links.whep(project, event, issued.token),
        player_url=context.links.player(event, issued.token),
        vod_url=context.links.recording(event, issued.token),
    )


@router.get("/{event}/assets", summary="Recordings and what was made of them", tags=["assets"])
async def list_assets(
    event: EventId,
    session: Session,
    project: ProjectId,
    context: Context,
    page: Page,
    *,
    kind: Annotated[
        str | None,
        Query(description="Only assets of this kind, such as `poster`; newest first, as always."),
    ] = None,
) -> AssetPage:
    """Each asset comes with a download URL that anyone may use until `url_expires_at`."""
    await EventService(session, context, project).get(event)
    rows, following = await page_of_assets(session, project, event, page, kind)
    names = [_saved_as(row) for row in rows]
    urls = await context.presigner.urls(
        [(row.key, name) for row, name in zip(rows, names, strict=True)]
    )
    expires_ms = context.now_ms() + context.presigner.expires_s * 1000
    items = [
        asset_out(row, context.links, url, expires_ms) for row, url in zip(rows, urls, strict=True)
    ]
    return AssetPage(items=items, next=following)


def _saved_as(asset: Asset) -> str | None:
    """A browser saves films and shows everything else."""
    return asset.key.rsplit("/", 1)[-1] if asset.content_type == "video/mp4" else None
