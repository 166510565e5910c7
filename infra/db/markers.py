"""Control's table of markers: timed metadata on the timelines of events."""

from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base


class Marker(Base):
    """Something that happens at a stretch of an event's timeline.

    A change raises the revision of its event, which is what travels to the media nodes.
    """

    __tablename__ = "markers"
    __table_args__ = (
        UniqueConstraint("event", "idempotency_key"),
        Index(None, "event", "created_ms", "id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(ForeignKey("events.id"))
    kind: Mapped[str] = mapped_column(String(32))
    title: Mapped[str | None] = mapped_column(String(120))
    start_ms: Mapped[int]
    end_ms: Mapped[int | None]
    """Set once."""
    data: Mapped[dict[str, Any]]
    idempotency_key: Mapped[str | None] = mapped_column(String(128))
    request_hash: Mapped[str] = mapped_column(String(64), default="")
    """These two are the release before's, which writes them while it runs beside this one; answers
    are kept in `infra.db.idempotency` now."""
    created_ms: Mapped[int]
