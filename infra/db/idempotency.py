"""Control's table of answers to requests that carried an `Idempotency-Key`."""

from typing import Any

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base


class KeptAnswer(Base):
    """What a POST was answered, in the transaction that did what it asked for."""

    __tablename__ = "kept_answers"
    __table_args__ = (Index(None, "created_ms"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of caller, project and key; it tells none of them."""
    project: Mapped[str | None] = mapped_column(String(64))
    """None: the caller had no API key."""
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    """Sealed with the caller's own secret: answers hold stream keys and API keys."""
    created_ms: Mapped[int]
