"""Control's table of what was changed or refused, and by whom."""

from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base


class AuditEntry(Base):
    """One call that changed something, or wanted to. Never changed; deleted when it is old."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "project", "created_ms", "id"), Index(None, "created_ms"))

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str | None] = mapped_column(String(64))
    """None: the caller was nobody we know."""
    key: Mapped[str | None] = mapped_column(String(64))
    """Id of the API key; no foreign key, so that the entry outlives it."""
    ip: Mapped[str] = mapped_column(String(64))
    operation: Mapped[str] = mapped_column(String(200))
    """`operationId` of the API's description."""
    event: Mapped[str | None] = mapped_column(String(64))
    objects: Mapped[dict[str, Any]]
    """Ids by name: those of the path, and of what was `created`."""
    outcome: Mapped[str] = mapped_column(String(16))
    """done | refused."""
    status: Mapped[int]
    request: Mapped[str] = mapped_column(String(64))
    created_ms: Mapped[int]
