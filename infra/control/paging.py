"""Keyset pagination: by a moment and the id, so pages neither skip nor repeat rows.

Invariant: a cursor, which is opaque to clients, names the last row of the page before and the order
that it was in; it leads nowhere in another order.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.problems import Invalid
from infra.db.audit import AuditEntry
from infra.db.control import ApiKey, Event, Organisation, Project
from infra.db.jobs import Asset, Job
from infra.db.markers import Marker
from infra.db.revocations import TierChangeRow, TokenRevocation
from infra.db.webhooks import Webhook, WebhookDelivery

_FORM = re.compile(r"([a-z]?)(\d{1,15}):([a-z0-9][a-z0-9_-]{0,63})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    at_ms: int
    id: str
    order: str = ""

    def encode(self) -> str:
        text = f"{self.order}{self.at_ms}:{self.id}".encode()
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
        return cls(int(match[2]), match[3], match[1])


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page a client asked for."""

    limit: int
    after: Cursor | None = None


R = TypeVar(
    "R",
    Event,
    Job,
    Asset,
    Marker,
    Webhook,
    WebhookDelivery,
    ApiKey,
    Project,
    Organisation,
    AuditEntry,
    TierChangeRow,
    TokenRevocation,
)


@dataclass(frozen=True, slots=True)
class Order(Generic[R]):
    """What rows are sorted by, beside their ids."""

    name: str
    """In cursors; at most one letter."""
    key: ColumnElement[int] | None
    """None: when they were made."""
    of: Callable[[R], int]
    """What `key` is for a row."""
    descending: bool


CREATED: Order[Any] = Order("", None, lambda row: int(row.created_ms), descending=True)
"""Newest first."""


async def page_of(
    session: AsyncSession,
    query: Select[R],
    table: type[R],
    page: PageRequest,
    order: Order[Any] = CREATED,
) -> tuple[Sequence[R], str | None]:
    """One page of the query's rows in that order, and the cursor of the next page, if any."""
    key: Any = table.created_ms if order.key is None else order.key
    if page.after is not None:
        if page.after.order != order.name:
            raise Invalid(
                "after is the cursor of a list in another order",
                "Pass the value of next from the page before, and the same sort.",
            )
        place, last_seen = tuple_(key, table.id), tuple_(page.after.at_ms, page.after.id)
        query = query.where(place < last_seen if order.descending else place > last_seen)
    by = (key.desc(), table.id.desc()) if order.descending else (key, table.id)
    rows = (await session.scalars(query.order_by(*by).limit(page.limit + 1))).all()
    if len(rows) <= page.limit:
        return rows, None
    last = rows[page.limit - 1]
    return rows[: page.limit], Cursor(order.of(last), last.id, order.name).encode()
