"""Tables of webhooks: endpoints of clients, what is sent to them, and how each attempt went."""

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base
from infra.db.outbox import Counted

_PENDING = text("state = 'pending'")


class Webhook(Base):
    """One endpoint of a client."""

    __tablename__ = "webhooks"
    __table_args__ = (Index(None, "project", "created_ms", "id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(String(64))
    url: Mapped[str] = mapped_column(String(2000))
    types: Mapped[list[str]]
    """Patterns of `infra.outbox.catalogue`."""
    description: Mapped[str] = mapped_column(String(200), default="")
    enabled: Mapped[bool] = mapped_column(default=True, server_default=true())
    disabled_reason: Mapped[str | None] = mapped_column(String(300))
    """Why we disabled it; None: we did not."""
    secret: Mapped[str] = mapped_column(String(120))
    """`whsec_…`: it signs, so it cannot be a hash."""
    old_secret: Mapped[str | None] = mapped_column(String(120))
    old_until_ms: Mapped[int | None]
    """Until then the old secret signs as well."""
    failing_since_ms: Mapped[int | None]
    """The first failure after the last success."""
    created_ms: Mapped[int]
    updated_ms: Mapped[int]


class WebhookDelivery(Base):
    """One message on its way to one endpoint."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("webhook", "message"),
        Index(None, "message"),
        Index(None, "webhook", "created_ms", "id"),
        Index(
            "ix_webhook_deliveries_due",
            "webhook",
            "next_attempt_ms",
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project: Mapped[str] = mapped_column(String(64))
    webhook: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    message: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("outbox.position", ondelete="CASCADE")
    )
    state: Mapped[str] = mapped_column(String(16))
    """pending | delivered | failed"""
    attempt_count: Mapped[int] = mapped_column(default=0)
    """Counted when an attempt starts; it fences off one whose lease ran out."""
    round_from: Mapped[int] = mapped_column(default=0)
    """`attempt_count` when the round began; a replay begins another one."""
    round_ms: Mapped[int]
    """When the round began, for its 24 hours."""
    next_attempt_ms: Mapped[int | None]
    """While an attempt runs: when its lease ends and another process may take over."""
    created_ms: Mapped[int]
    updated_ms: Mapped[int]
    delivered_ms: Mapped[int | None]


class WebhookAttempt(Base):
    """One request, and what came of it."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (UniqueConstraint("delivery", "number"),)

    position: Mapped[int] = mapped_column(Counted, primary_key=True)
    project: Mapped[str] = mapped_column(String(64))
    delivery: Mapped[str] = mapped_column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"))
    number: Mapped[int]
    at_ms: Mapped[int]
    duration_ms: Mapped[int]
    status: Mapped[int | None]
    """Of the answer; None: there was none."""
    error: Mapped[str | None] = mapped_column(String(300))
    excerpt: Mapped[str] = mapped_column(Text, default="")
    """The beginning of the answer's body."""
