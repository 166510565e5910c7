"""`/v1/events`: schedule, look up, change, end, and what belongs to one event."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.policy import decide
from infra.control.callers import Caller
from infra.control.context import ControlContext
from infra.control.dependencies import Context, EventId, Page, ProjectId, Session, TheCaller
from infra.control.event_schemas import EventCreate, EventOut, EventPage, EventPatch
from infra.control.event_search import Search
from infra.control.idempotency import AnswersOnce
from infra.control.ingest_schemas import KeyRotation
from infra.control.job_schemas import AssetPage
from infra.control.jobs import page_of_assets
from infra.control.preconditions import (
    CHANGED,
    UNCHANGED,
    IfMatch,
    IfNoneMatch,
    etag_of,
    is_held,
    require_match,
)
from infra.control.schemas import required_at
from infra.control.service import EventService
from infra.control.viewer_schemas import TokenCreate, TokenOut
from infra.control.views import asset_out, event_out, without_keys
from infra.db.control import Event
from infra.db.jobs import Asset

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=AnswersOnce)


class Events:
    """The events of a request's project, as they are shown; `ETag` is a header of every answer
    with one of them."""

    def __init__(
        self, session: AsyncSession, caller: Caller, context: ControlContext, response: Response
    ) -> None:
        self.service = EventService(session, context, caller.project)
        self._links = context.links
        self._may_publish = caller.may_publish
        self._response = response

    async def shown(self, event: Event) -> EventOut:
        whole = await self._whole(event)
        # The same for every key.
        self._response.headers["ETag"] = etag_of(whole)
        return whole if self._may_publish else without_keys(whole)

    async def _whole(self, event: Event) -> EventOut:
        facts = await self.service.recent_facts(event.id)
        secrets = await self.service.secrets(event.kid)
        return event_out(event, self._links, secrets, facts)

    async def require(self, event: str, if_match: str | None) -> None:
        """The event is as the client has seen it, and stays so until the change is made."""
        if if_match is not None:
            found = await self.service.get(event, for_update=True)
            require_match(if_match, etag_of(await self._whole(found)))


async def _events(
    session: Session, caller: TheCaller, context: Context, response: Response
) -> Events:
    return Events(session, caller, context, response)


TheEvents = Annotated[Events, Depends(_events, scope="function")]


@router.post("", status_code=201, summary="Schedule an event")
async def create_event(wanted: EventCreate, response: Response, events: TheEvents) -> EventOut:
    """Returns the ingest address at once; encoders may connect from now on, if it is no draft."""
    event = await events.service.create(wanted)
    response.headers["Location"] = f"/v1/events/{event.id}"
    return await events.shown(event)


@router.get("", summary="List events, newest first unless told otherwise")
async def list_events(
    session: Session, caller: TheCaller, context: Context, page: Page, search: Search
) -> EventPage:
    """Filters go together: an event is listed when all of them fit."""
    service = EventService(session, context, caller.project)
    rows, following = await service.page(page, search)
    secrets = await service.secrets(*{row.kid for row in rows})
    items = [event_out(row, context.links, secrets) for row in rows]
    shown = items if caller.may_publish else [without_keys(one) for one in items]
    return EventPage(items=shown, next=following)


@router.get("/{event}", summary="One event", response_model=EventOut, responses=UNCHANGED)
async def get_event(
    event: EventId, events: TheEvents, response: Response, if_none_match: IfNoneMatch = None
) -> EventOut | Response:
    """With the latest connections, refusals and warnings in `ingest.recent`."""
    out = await events.shown(await events.service.get(event))
    etag = response.headers["ETag"]
    if is_held(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return out


@router.patch("/{event}", summary="Change an event", responses=CHANGED)
async def patch_event(
    event: EventId, changes: EventPatch, events: TheEvents, if_match: IfMatch = None
) -> EventOut:
    await events.require(event, if_match)
    return await events.shown(await events.service.patch(event, changes))


@router.delete("/{event}", summary="Cancel an event that was never live", responses=CHANGED)
async def cancel_event(event: EventId, events: TheEvents, if_match: IfMatch = None) -> EventOut:
    """The event stays readable with state `cancelled`. Repeating it is harmless."""
    await events.require(event, if_match)
    return await events.shown(await events.service.cancel(event))


@router.post("/{event}/schedule", summary="Schedule a draft", responses=CHANGED)
async def schedule_event(event: EventId, events: TheEvents, if_match: IfMatch = None) -> EventOut:
    """Publishers may connect and viewers find it from now on. Repeating it is harmless."""
    await events.require(event, if_match)
    return await events.shown(await events.service.schedule(event))


@router.post("/{event}/end", summary="End a running event", responses=CHANGED)
async def end_event(event: EventId, events: TheEvents, if_match: IfMatch = None) -> EventOut:
    """Publishers are disconnected and the archive begins. Repeating it is harmless."""
    await events.require(event, if_match)
    return await events.shown(await events.service.end(event))


@router.post(
    "/{event}/rotate-key",
    summary="Replace stream key, passphrase and WHIP token",
    responses=CHANGED,
)
async def rotate_key(
    event: EventId,
    events: TheEvents,
    wanted: KeyRotation | None = None,
    if_match: IfMatch = None,
) -> EventOut:
    """Encoders with the old key are refused; the answer holds the new ingest address. The new key
    comes from the project's newest secret."""
    await events.require(event, if_match)
    return await events.shown(await events.service.rotate_key(event, wanted or KeyRotation()))


@router.post("/{event}/tokens", status_code=201, summary="Issue a viewer token")
async def create_token(
    event: EventId,
    session: Session,
    project: ProjectId,
    context: Context,
    wanted: TokenCreate | None = None,
) -> TokenOut:
    """Media nodes verify it offline. `POST …/revocations` calls it back."""
    service = EventService(session, context, project)
    issued = await service.issue_token(event, wanted or TokenCreate())
    claims, links = issued.claims, context.nodes.links(context.links, project, event)
    return TokenOut(
        id=claims.token_id,
        token=issued.token,
        expires_at=required_at(claims.expires_at * 1000),
        role=claims.role,
        tier=claims.tier,
        transports=decide(claims.role, claims.tier).path.transports,
        hls_url=links.hls(project, event, issued.token),
        whep_url=links.whep(project, event, issued.token),
        player_url=links.player(event, issued.token),
        vod_url=links.recording(event, issued.token),
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
