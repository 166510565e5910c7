"""`/v1/events/{event}/revocations`: viewer tokens that open nothing any more."""

from typing import Annotated

from fastapi import APIRouter, Depends

from infra.control.dependencies import Context, EventId, Page, ProjectId, Session
from infra.control.idempotency import AnswersOnce
from infra.control.revocation_schemas import (
    RevocationCreate,
    RevocationOut,
    RevocationPage,
    revocation_out,
)
from infra.control.revocations import RevocationService

router = APIRouter(
    prefix="/v1/events/{event}/revocations", tags=["events"], route_class=AnswersOnce
)


async def _service(session: Session, project: ProjectId, context: Context) -> RevocationService:
    return RevocationService(session, context, project)


Revocations = Annotated[RevocationService, Depends(_service)]


@router.post("", status_code=201, summary="Call viewer tokens back")
async def create_revocation(
    event: EventId, wanted: RevocationCreate, revocations: Revocations
) -> RevocationOut:
    """Running sessions end within two seconds. Tokens that are issued from now on are not meant."""
    return revocation_out(await revocations.create(event, wanted))


@router.get("", summary="List what was called back, newest first")
async def list_revocations(event: EventId, revocations: Revocations, page: Page) -> RevocationPage:
    rows, following = await revocations.page(event, page)
    return RevocationPage(items=[revocation_out(row) for row in rows], next=following)
