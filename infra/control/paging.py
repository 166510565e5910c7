"""Keyset pagination: newest first by (creation, id), so pages neither skip nor repeat rows.

A cursor is opaque to clients and names the last row of the page before.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.audit import AuditEntry
from infra.db.control import ApiKey, Event, Project
from infra.db.jobs import Asset, Job
from infra.db.markers import Marker

_FORM = re.compile(r"(\d{1,15}):([a-z0-9][a-z0-9_-]{0,63})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    created_ms: int
    id: str

    def encode(self) -> str:
        text = f"{self.created_ms}:{self.id}".encode()
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Raises ValueError for anything that `encode` did not make."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            match = _FORM.fullmatch(raw.decode())
        except ValueError as error:
            raise ValueError("no cursor of this API") from error
        if match is None:
            raise ValueError("no cursor of this API")
        return cls(int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page a client asked for."""

    limit: int
    after: Cursor | None = None


R = TypeVar("R", Event, Job, Asset, Marker, ApiKey, Project, AuditEntry)


async def page_of(
    session: AsyncSession, query: Select[R], table: type[R], page: PageRequest
) -> tuple[Sequence[R], str | None]:
    """One page of the query's rows, newest first, and the cursor of the next page, if any."""
    if page.after is not None:
        last_seen = tuple_(page.after.created_ms, page.after.id)
        query = query.where(tuple_(table.created_ms, table.id) < last_seen)
    query = query.order_by(table.created_ms.desc(), table.id.desc()).limit(page.limit + 1)
    rows = (await session.scalars(query)).all()
    if len(rows) <= page.limit:
        return rows, None
    last = rows[page.limit - 1]
    return rows[: page.limit], Cursor(last.created_ms, last.id).encode()
