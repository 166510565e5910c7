"""Numbers committed public events, hands them to their receivers, and forgets old ones.

Invariant: numbering a message and owing it to the webhooks that asked for it are one transaction,
so each message is owed exactly once, whichever of several control processes does it.

Upstream: the table `outbox`. Downstream: `infra.webhooks.deliveries`, listeners of the stream.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from infra.db.outbox import OutboxMessage
from infra.outbox import numbering

Owe = Callable[[Session, Sequence[OutboxMessage], int], None]
PROJECTS = 100
"""In one pass."""
MESSAGES = 200
"""Of one project, in one transaction."""
FORGOTTEN = 1_000
"""Messages deleted in one transaction."""
DAY_MS = 24 * 3600 * 1000


class Relay:
    """One pass at a time; the caller repeats it."""

    def __init__(
        self,
        writing: async_sessionmaker[AsyncSession],
        reading: async_sessionmaker[AsyncSession],
        owe: Owe,
        tell: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._writing = writing
        self._reading = reading
        self._owe = owe
        self._tell = tell
        self._now_ms = now_ms

    async def step(self) -> int:
        """Number what is there; returns how many messages it was."""
        async with self._reading() as session:
            projects = await session.run_sync(numbering.owed, PROJECTS)
        numbered = 0
        for project in projects:
            async with self._writing() as session, session.begin():
                numbered += await session.run_sync(self._number, project)
        if numbered:
            self._tell()
        return numbered

    def _number(self, session: Session, project: str) -> int:
        rows = numbering.number(session, project, MESSAGES)
        self._owe(session, rows, self._now_ms())
        return len(rows)

    async def forget(self, days: int) -> int:
        """Delete messages older than this, with their deliveries; returns how many, at most
        `FORGOTTEN`."""
        old = (
            select(OutboxMessage.position)
            .where(OutboxMessage.at_ms < self._now_ms() - days * DAY_MS)
            .limit(FORGOTTEN)
        )
        async with self._writing() as session, session.begin():
            positions = (await session.scalars(old)).all()
            if positions:
                gone = delete(OutboxMessage).where(OutboxMessage.position.in_(positions))
                await session.execute(gone)
        return len(positions)
