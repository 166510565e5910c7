"""Control's tables of what became of viewer tokens: called back, or of another tier."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base


class TokenRevocation(Base):
    """One token, all of a subject, or all of an event; a new one raises the event's revision."""

    __tablename__ = "token_revocations"
    __table_args__ = (Index(None, "event", "created_ms", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(ForeignKey("events.id"))
    token: Mapped[str | None] = mapped_column(String(64))
    subject: Mapped[str | None] = mapped_column(String(128))
    until_s: Mapped[int]
    """Unix seconds: tokens issued later are not meant."""
    created_ms: Mapped[int]


class TierChangeRow(Base):
    """The tier of a subject's tokens; a new one raises the event's revision."""

    __tablename__ = "tier_changes"
    __table_args__ = (
        Index(None, "event", "created_ms", "id"),
        Index(None, "event", "subject", unique=True),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(ForeignKey("events.id"))
    subject: Mapped[str] = mapped_column(String(128))
    tier: Mapped[str] = mapped_column(String(16))
    cap: Mapped[str | None] = mapped_column(String(16))
    until_s: Mapped[int]
    """Unix seconds: tokens issued later are not meant."""
    created_ms: Mapped[int]
