"""Reading numbered public events: from a number on, and where a project's numbers are."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.outbox import OutboxHead, OutboxMessage
from infra.outbox.message import Message


async def after(
    session: AsyncSession, project: str, sequence: int, limit: int
) -> Sequence[Message]:
    """The project's messages behind this number, in order."""
    query = (
        select(OutboxMessage)
        .where(OutboxMessage.project == project, OutboxMessage.sequence > sequence)
        .order_by(OutboxMessage.sequence)
        .limit(limit)
    )
    return [message_of(row) for row in await session.scalars(query)]


async def heads(session: AsyncSession, projects: Collection[str]) -> Mapping[str, int]:
    """The last number of each project that has any."""
    query = select(OutboxHead).where(OutboxHead.project.in_(projects))
    return {head.project: head.sequence for head in await session.scalars(query)}


async def first_kept(session: AsyncSession, project: str) -> int | None:
    """The lowest number that was not tidied away; None: nothing is kept."""
    query = select(func.min(OutboxMessage.sequence)).where(OutboxMessage.project == project)
    return await session.scalar(query)


def message_of(row: OutboxMessage) -> Message:
    return Message(
        id=row.id,
        sequence=row.sequence,
        project=row.project,
        event=row.event,
        type=row.type,
        data=row.data,
        at_ms=row.at_ms,
    )
