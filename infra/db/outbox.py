"""Tables of the outbox: public events, and how far each project's numbering has come."""

from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base

# SQLite counts up only a column that is called INTEGER.
Counted = BigInteger().with_variant(Integer, "sqlite")
_UNNUMBERED = text("sequence IS NULL AND target IS NULL")


class OutboxMessage(Base):
    """One public event. `infra.outbox.recording` writes it, the relay numbers it."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("id"),
        UniqueConstraint("project", "sequence"),
        Index(
            "ix_outbox_unnumbered",
            "project",
            "position",
            sqlite_where=_UNNUMBERED,
            postgresql_where=_UNNUMBERED,
        ),
        Index(None, "at_ms"),
    )

    position: Mapped[int] = mapped_column(Counted, primary_key=True)
    """Handed out before the commit: it says nothing about the order of commits."""
    id: Mapped[str] = mapped_column(String(64))
    """What receivers know it by: `webhook-id`."""
    project: Mapped[str] = mapped_column(String(64))
    sequence: Mapped[int | None]
    """Place among the project's messages, given after the commit."""
    event: Mapped[str | None] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]]
    at_ms: Mapped[int]
    target: Mapped[str | None] = mapped_column(String(64))
    """The only webhook it is for; such a message is never numbered."""
    traceparent: Mapped[str | None] = mapped_column(String(64))
    """Of what made it true."""


class OutboxHead(Base):
    """The last number that was given in a project; its row is the lock of the numbering."""

    __tablename__ = "outbox_heads"

    project: Mapped[str] = mapped_column(String(64), primary_key=True)
    sequence: Mapped[int] = mapped_column(default=0)
