"""Recording a public event in the transaction that makes it true.

Invariant: a notice exists if and only if its transaction is committed. Recording takes no lock and
waits for nobody; numbers are given later, by `infra.outbox.relay`.

Upstream: everything that changes what clients may be told of. Downstream: the table `outbox`. The
caller owns the transaction.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from infra.db.outbox import OutboxMessage
from infra.outbox.catalogue import NoticeType
from infra.telemetry.tracing import current_traceparent


@dataclass(frozen=True, slots=True)
class Notice:
    """One public event."""

    project: str
    event: str | None
    """None: it is not about one event."""
    type: NoticeType
    data: Mapping[str, Any]
    """Small, JSON, without secrets: it leaves the house."""
    traceparent: str | None = None
    """Of what it is about; the trace of whoever makes it true goes first."""


def record(session: Session, notice: Notice, now_ms: int, *, target: str | None = None) -> int:
    """Add the notice; with `target` it is for that webhook alone. Returns its position."""
    values = {
        "id": f"msg_{secrets.token_hex(12)}",
        "project": notice.project,
        "event": notice.event,
        "type": notice.type.value,
        "data": dict(notice.data),
        "at_ms": now_ms,
        "target": target,
        "traceparent": current_traceparent() or notice.traceparent,
    }
    made = session.execute(insert(OutboxMessage).values(values).returning(OutboxMessage.position))
    return made.scalar_one()
