"""The revocations and changed tiers in force, as the database has them.

Downstream: the publisher (media nodes), `viewing` (recordings), and whoever issues a token.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.policy import Tier
from infra.auth.revocation import Revocation, Revoked
from infra.auth.tier_changes import TierChange, TierChanges
from infra.control.viewer_schemas import MAX_TTL_S
from infra.db.revocations import TierChangeRow, TokenRevocation

_PER_QUERY = 500


async def revocations_of(
    session: AsyncSession, events: Sequence[str], now_ms: int
) -> dict[str, list[Revocation]]:
    """Event -> those in force, oldest first."""
    found: dict[str, list[Revocation]] = {}
    for at in range(0, len(events), _PER_QUERY):
        query = select(TokenRevocation).where(
            TokenRevocation.event.in_(events[at : at + _PER_QUERY]),
            # What it covers has expired since.
            TokenRevocation.created_ms > now_ms - MAX_TTL_S * 1000,
        )
        order = TokenRevocation.created_ms, TokenRevocation.id
        for row in await session.scalars(query.order_by(*order)):
            each = Revocation(row.token, row.subject, row.until_s)
            found.setdefault(row.event, []).append(each)
    return found


async def tiers_of(
    session: AsyncSession, events: Sequence[str], now_ms: int
) -> dict[str, list[TierChange]]:
    """Event -> those in force, oldest first."""
    found: dict[str, list[TierChange]] = {}
    for at in range(0, len(events), _PER_QUERY):
        query = select(TierChangeRow).where(
            TierChangeRow.event.in_(events[at : at + _PER_QUERY]),
            # What it covers has expired since.
            TierChangeRow.created_ms > now_ms - MAX_TTL_S * 1000,
        )
        order = TierChangeRow.created_ms, TierChangeRow.id
        for row in await session.scalars(query.order_by(*order)):
            each = TierChange(row.subject, Tier(row.tier), row.cap, row.until_s)
            found.setdefault(row.event, []).append(each)
    return found


async def revoked_of(session: AsyncSession, event: str, now_ms: int) -> Revoked:
    return Revoked.of((await revocations_of(session, [event], now_ms)).get(event, ()))


async def changes_of(session: AsyncSession, event: str, now_ms: int) -> TierChanges:
    return TierChanges.of((await tiers_of(session, [event], now_ms)).get(event, ()))
