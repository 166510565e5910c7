"""`/v1/events/{event}/tier-changes`: viewers who watch otherwise from now on, without a reload."""

from typing import Annotated

from fastapi import APIRouter, Depends

from infra.control.dependencies import Context, EventId, Page, ProjectId, Session
from infra.control.idempotency import AnswersOnce
from infra.control.tier_changes import TierChangeService
from infra.control.tier_schemas import (
    TierChangeCreate,
    TierChangeOut,
    TierChangePage,
    tier_change_out,
)

router = APIRouter(
    prefix="/v1/events/{event}/tier-changes", tags=["events"], route_class=AnswersOnce
)


async def _service(session: Session, project: ProjectId, context: Context) -> TierChangeService:
    return TierChangeService(session, context, project)


Changes = Annotated[TierChangeService, Depends(_service)]


@router.post("", status_code=201, summary="Change a viewer's tier while it watches")
async def create_tier_change(
    event: EventId, wanted: TierChangeCreate, changes: Changes
) -> TierChangeOut:
    """For all tokens that it has been issued until now; running sessions follow within two
    seconds. A token that is issued from now on says for itself."""
    return tier_change_out(await changes.create(event, wanted))


@router.get("", summary="List the tiers that were changed, newest first")
async def list_tier_changes(event: EventId, changes: Changes, page: Page) -> TierChangePage:
    rows, following = await changes.page(event, page)
    return TierChangePage(items=[tier_change_out(row) for row in rows], next=following)
