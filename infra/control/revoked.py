"""The revocations and changed tiers in force, as the database has them.

Downstream: the publisher (media nodes), `viewing` (recordings), and whoever issues a token.
"""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.policy import Tier
from infra.auth.revocation import Revocation, Revoked
from infra.auth.tier_changes import TierChange, TierChanges
from infra.control.viewer_schemas import MAX_TTL_S
from infra.db.revocations import TierChangeRow, TokenRevocation

_PER_QUERY = 500
Row = TypeVar("Row", TokenRevocation, TierChangeRow)


async def revocations_of(
    session: AsyncSession, events: Sequence[str], now_ms: int
) -> dict[str, list[Revocation]]:
    """Event -> those in force, oldest first."""
    found: dict[str, list[Revocation]] = {}
    for row in await _in_force(session, TokenRevocation, events, now_ms):
        each = Revocation(row.token, row.subject, row.until_s)
        found.setdefault(row.event, []).append(each)
    return found


async def tiers_of(
    session: AsyncSession, events: Sequence[str], now_ms: int
) -> dict[str, list[TierChange]]:
    """Event -> those in force, oldest first."""
    found: dict[str, list[TierChange]] = {}
    for row in await _in_force(session, TierChangeRow, events, now_ms):
        each = TierChange(row.subject, Tier(row.tier), row.cap, row.until_s)
        found.setdefault(row.event, []).append(each)
    return found


async def _in_force(
    session: AsyncSession, table: type[Row], events: Sequence[str], now_ms: int
) -> list[Row]:
    """Of an event oldest first. What older ones cover has expired since."""
    found: list[Row] = []
    for at in range(0, len(events), _PER_QUERY):
        query = select(table).where(
            table.event.in_(events[at : at + _PER_QUERY]),
            table.created_ms > now_ms - MAX_TTL_S * 1000,
        )
        found += await session.scalars(query.order_by(table.created_ms, table.id))
    return found


async def revoked_of(session: AsyncSession, event: str, now_ms: int) -> Revoked:
    return Revoked.of((await revocations_of(session, [event], now_ms)).get(event, ()))


async def changes_of(session: AsyncSession, event: str, now_ms: int) -> TierChanges:
    return TierChanges.of((await tiers_of(session, [event], now_ms)).get(event, ()))
