"""What the API does with revoked viewer tokens. Nothing here commits.

Invariant: a revocation is kept for as long as a token that it covers can live, and no longer; each
raises the event's revision, so that the publisher takes it to the media nodes, which end running
sessions. An event has a bounded number of them; one for everybody takes the place of all before.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.context import ControlContext
from infra.control.ids import new_id
from infra.control.paging import PageRequest, page_of
from infra.control.problems import Conflict
from infra.control.revocation_schemas import RevocationCreate
from infra.control.revoked import revoked_of
from infra.control.service import EventService
from infra.control.viewer_schemas import MAX_TTL_S
from infra.db.control import Event
from infra.db.revocations import TokenRevocation

MAX_REVOCATIONS = 1_000
"""In force, of one event: all of them travel to its media nodes with every change."""


class RevocationService:
    """Revocations of one project's events, within one transaction."""

    def __init__(self, session: AsyncSession, context: ControlContext, project: str) -> None:
        self._session = session
        self._now_ms = context.now_ms()
        self._events = EventService(session, context, project)

    async def create(self, event_id: str, wanted: RevocationCreate) -> TokenRevocation:
        """The same token or subject again takes the place of the one before."""
        event = await self._events.get(event_id, for_update=True)
        revoked = await revoked_of(self._session, event.id, self._now_ms)
        await self._session.execute(delete(TokenRevocation).where(self._outdone(event, wanted)))
        await self._require_room(event)
        row = TokenRevocation(
            id=new_id("rv_"),
            project=event.project,
            event=event.id,
            token=wanted.token_id,
            subject=wanted.subject,
            until_s=revoked.until(wanted.subject, self._now_ms // 1000),
            created_ms=self._now_ms,
        )
        self._session.add(row)
        event.revision += 1
        event.updated_ms = self._now_ms
        await self._session.flush()
        return row

    async def page(
        self, event_id: str, page: PageRequest
    ) -> tuple[Sequence[TokenRevocation], str | None]:
        event = await self._events.get(event_id)
        query = select(TokenRevocation).where(TokenRevocation.event == event.id)
        return await page_of(self._session, query, TokenRevocation, page)

    def _outdone(self, event: Event, wanted: RevocationCreate) -> ColumnElement[bool]:
        """Rows that say nothing beside the new one."""
        mine = TokenRevocation.event == event.id
        if wanted.everybody:
            return mine
        over = TokenRevocation.created_ms <= self._now_ms - MAX_TTL_S * 1000
        if wanted.token_id is not None:
            return mine & or_(over, TokenRevocation.token == wanted.token_id)
        return mine & or_(over, TokenRevocation.subject == wanted.subject)

    async def _require_room(self, event: Event) -> None:
        query = select(func.count()).where(TokenRevocation.event == event.id)
        if (await self._session.scalar(query) or 0) >= MAX_REVOCATIONS:
            raise Conflict(
                f"event {event.id} has {MAX_REVOCATIONS} revocations already",
                'Revoke all of its tokens with {"everybody": true}, and issue new ones.',
            )
