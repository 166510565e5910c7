"""`/v1/audit`: who changed what in a project, and who was refused."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from infra.control.audit_schemas import AuditPage, Outcome, audit_out
from infra.control.dependencies import Page, ProjectId, Session
from infra.control.paging import page_of
from infra.control.schemas import Moment, to_ms
from infra.db.audit import AuditEntry

router = APIRouter(prefix="/v1/audit", tags=["audit"])

_WORD = r"^[A-Za-z0-9._-]{1,200}$"


@router.get("", summary="Calls that changed something or were refused, newest first")
async def list_audit(
    session: Session,
    project: ProjectId,
    page: Page,
    *,
    key: Annotated[
        str | None, Query(pattern=_WORD, description="Only calls with this key, by its id.")
    ] = None,
    event: Annotated[
        str | None, Query(pattern=_WORD, description="Only calls about this event.")
    ] = None,
    operation: Annotated[
        str | None, Query(pattern=_WORD, description="Only this `operationId`.")
    ] = None,
    request_id: Annotated[
        str | None, Query(pattern=_WORD, description="Only this request.")
    ] = None,
    outcome: Annotated[Outcome | None, Query(description="Only calls that ended so.")] = None,
    since: Annotated[Moment | None, Query(description="From this time on.")] = None,
    until: Annotated[Moment | None, Query(description="Before this time.")] = None,
) -> AuditPage:
    """Refusals follow a moment after their answers."""
    query = select(AuditEntry).where(AuditEntry.project == project)
    for column, value in (
        (AuditEntry.key, key),
        (AuditEntry.event, event),
        (AuditEntry.operation, operation),
        (AuditEntry.request, request_id),
        (AuditEntry.outcome, outcome),
    ):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(AuditEntry.created_ms >= to_ms(since))
    if until is not None:
        query = query.where(AuditEntry.created_ms < to_ms(until))
    rows, following = await page_of(session, query, AuditEntry, page)
    return AuditPage(items=[audit_out(row) for row in rows], next=following)
