"""`/v1/playback`: what a player may know without a key, and do with a viewer token."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from infra.control.clip_schemas import ClipCreate, ClipOut
from infra.control.clips import ClipService
from infra.control.dependencies import Admitted, Context, EventId, Session
from infra.control.idempotency import AnswersOnce
from infra.control.job_schemas import ASKED_BEFORE
from infra.control.links import FEED
from infra.control.problems import Forbidden
from infra.control.requests import record_of
from infra.control.routes.clips import ClipId
from infra.control.routes.jobs import IdempotencyKey
from infra.control.schemas import required_at
from infra.control.service import public_event
from infra.control.viewer_schemas import AccessOut, PlaybackOut
from infra.control.viewing import Admission
from infra.control.views import playback_out
from infra.control.vod import vod_of
from infra.control.vod_schemas import VodOut
from infra.db.control import Event
from infra.jobs.filing import OwnKey

router = APIRouter(prefix="/v1/playback", tags=["playback"], route_class=AnswersOnce)
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ViewerToken",
    description="`Authorization: Bearer <token>`, of `POST /v1/events/{event}/tokens`. An event "
    "with `access: public` needs none.",
)
_OPTIONAL: dict[str, Any] = {"security": [{}]}
"""A public event needs no token: one more way beside the one that is described anyway."""
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


@dataclass(frozen=True, slots=True)
class Viewed:
    """An event whose recording this viewer may watch."""

    event: Event
    token: str | None
    """One that is good for it."""
    clips_as: str | None
    """Who makes clips; None: the token allows none."""
    shared: bool
    """Everybody would get the same answer."""
    clips: ClipService


async def entered(
    request: Request, _counted: Admitted, event: EventId, context: Context, sent: Credentials
) -> Admission:
    token = sent.credentials if sent else None
    return await context.viewing.enter(event, FEED, token, record_of(request).ip)


Entered = Annotated[Admission, Depends(entered, scope="function")]


async def viewed(
    admission: Entered, event: EventId, session: Session, context: Context, sent: Credentials
) -> Viewed:
    # In this order: who may not watch any more gets no answer that was kept, and nobody waits for
    # a second connection while it holds a transaction.
    found = await public_event(session, event)
    claims = admission.claims
    return Viewed(
        found,
        token=sent.credentials if sent and claims else None,
        clips_as=claims.subject if claims and claims.clips else None,
        shared=sent is None and admission.public,
        clips=ClipService(session, context, found.project),
    )


Viewer = Annotated[Viewed, Depends(viewed, scope="function")]


@router.get("/{event}", summary="How to play an event; needs no API key")
async def get_playback(
    event: EventId, session: Session, context: Context, response: Response
) -> PlaybackOut:
    """With `access: token` put `/t/{token}` before the path of `hls_url` and `whep_url`. Both lead
    to the media node that has the event, where there are several: ask again when the picture stops.
    """
    # One answer serves a crowd of viewers that arrive together.
    response.headers["Cache-Control"] = "public, max-age=1"
    found = await public_event(session, event)
    return playback_out(found, context.nodes.links(context.links, found.project, event))


@router.get(
    "/{event}/access",
    summary="How a viewer may watch now; needs no API key",
    openapi_extra=_OPTIONAL,
)
async def get_access(admission: Entered, response: Response) -> AccessOut:
    """What changed within two seconds may be missing. Players ask while it may matter."""
    claims = None if admission.public else admission.claims
    response.headers["Cache-Control"] = "no-store"
    return AccessOut(
        role=None if claims is None else claims.role,
        transports=admission.rights.path.transports,
        max_rendition=admission.rights.cap,
        expires_at=None if claims is None else required_at(claims.expires_at * 1000),
    )


@router.get(
    "/{event}/recording",
    summary="How to play the recording; needs no API key",
    openapi_extra=_OPTIONAL,
)
async def get_recording(
    viewer: Viewer, session: Session, context: Context, response: Response
) -> VodOut:
    """What there is of it by now. Ask again while it is `making`."""
    response.headers["Cache-Control"] = "public, max-age=2" if viewer.shared else "no-store"
    links, token = context.links, viewer.token
    return await vod_of(
        session, viewer.event, links, token=token, may_clip=viewer.clips_as is not None
    )


@router.post(
    "/{event}/clips",
    status_code=201,
    summary="Make a clip; needs a token for clips",
    responses={200: {"model": ClipOut, "description": ASKED_BEFORE}},
)
async def create_clip(
    wanted: ClipCreate, response: Response, viewer: Viewer, idempotency_key: IdempotencyKey = None
) -> ClipOut:
    """As `POST /v1/events/{event}/clips`, with a viewer token that was issued with `clips`."""
    if viewer.clips_as is None:
        raise Forbidden(
            "the token does not allow clips",
            'Ask the organiser for one that does: POST /v1/events/{event}/tokens {"clips": true}.',
        )
    # Not the token's: a player that gets a new one is the same viewer.
    key = OwnKey(f"viewer {viewer.clips_as}", idempotency_key) if idempotency_key else None
    job, is_new = await viewer.clips.create(viewer.event.id, wanted, key)
    (shown,) = await viewer.clips.shown([job])
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/playback/{viewer.event.id}/clips/{shown.id}"
    return shown


@router.get(
    "/{event}/clips/{clip}",
    summary="One clip, for those who may watch the event",
    openapi_extra=_OPTIONAL,
)
async def get_clip(clip: ClipId, viewer: Viewer) -> ClipOut:
    (shown,) = await viewer.clips.shown([await viewer.clips.get(viewer.event.id, clip)])
    return shown
