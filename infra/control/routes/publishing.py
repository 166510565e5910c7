"""`/v1/publish`: what the publish page may know with the event's WHIP token, without an API key."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from infra.control.dependencies import Context, EventId, Session
from infra.control.ingest_schemas import PublishOut
from infra.control.problems import BadPublishToken
from infra.control.service import event_of_publisher
from infra.control.views import publish_out

router = APIRouter(prefix="/v1/publish", tags=["publishing"])
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="WhipToken",
    description="`Authorization: Bearer <ingest.whip.token>`. A token opens exactly one event.",
)


@router.get("/{event}", summary="Where to publish and how it goes; needs the WHIP token alone")
async def get_publishing(
    event: EventId,
    session: Session,
    context: Context,
    response: Response,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> PublishOut:
    """The WHIP endpoint, the event's state, and what media nodes say about the publishers."""
    response.headers["Cache-Control"] = "no-store"
    if credentials is None:
        raise BadPublishToken(
            "the request carries no WHIP token", "Send the header Authorization: Bearer <token>."
        )
    found, service = await event_of_publisher(session, context, event, credentials.credentials)
    return publish_out(found, context.links, await service.recent_facts(found.id))
