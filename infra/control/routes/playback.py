"""`/v1/playback`: what a player may know without a key."""

from fastapi import APIRouter, Response

from infra.control.dependencies import Context, EventId, Session
from infra.control.service import public_event
from infra.control.viewer_schemas import PlaybackOut
from infra.control.views import playback_out

router = APIRouter(prefix="/v1/playback", tags=["playback"])


@router.get("/{event}", summary="How to play an event; needs no API key")
async def get_playback(
    event: EventId, session: Session, context: Context, response: Response
) -> PlaybackOut:
    """With `access: token` put `/t/{token}` before the path of `hls_url` and `whep_url`."""
    # One answer serves a crowd of viewers that arrive together.
    response.headers["Cache-Control"] = "public, max-age=1"
    return playback_out(await public_event(session, event), context.links)
