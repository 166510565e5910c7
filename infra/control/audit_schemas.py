"""Entries of the audit log as the API shows them."""

from typing import Literal, cast

from pydantic import Field

from infra.control.schemas import Out, Timestamp, required_at
from infra.db.audit import AuditEntry

Outcome = Literal["done", "refused"]


class AuditOut(Out):
    id: str = Field(examples=["au_2kq5mzx7c3v4b6n7a8sd"])
    at: Timestamp
    key: str | None = Field(
        description="Id of the API key; null for a viewer's or publisher's call."
    )
    ip: str = Field(examples=["203.0.113.7"])
    operation: str = Field(
        description="`operationId` in /openapi.json.", examples=["create_event_v1_events_post"]
    )
    event: str | None = Field(examples=["ev_2kq5mzx7c3v4b6n7a8sd"])
    objects: dict[str, str] = Field(
        description="Ids by name: those in the path, and of what was `created`."
    )
    outcome: Outcome
    status: int = Field(description="HTTP status of the answer.", examples=[201])
    request_id: str = Field(examples=["req_2kq5mzx7c3v4b6n7a8sd"])


class AuditPage(Out):
    items: list[AuditOut]
    next: str | None = Field(description="Pass as `after` for the next page.")


def audit_out(entry: AuditEntry) -> AuditOut:
    return AuditOut(
        id=entry.id,
        at=required_at(entry.created_ms),
        key=entry.key,
        ip=entry.ip,
        operation=entry.operation,
        event=entry.event,
        objects=entry.objects,
        outcome=cast("Outcome", entry.outcome),
        status=entry.status,
        request_id=entry.request,
    )
