"""What the API does with tiers that change while their viewers watch. Nothing here commits.

Invariant: a change is kept for as long as a token that it covers can live, and no longer; each
raises the event's revision, so that the publisher takes it to the media nodes, which tell running
sessions. A subject has one at most, an event a bounded number.
"""

from collections.abc import Sequence

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.context import ControlContext
from infra.control.ids import new_id
from infra.control.paging import PageRequest, page_of
from infra.control.problems import Conflict
from infra.control.revoked import changes_of, revoked_of
from infra.control.service import EventService
from infra.control.tier_schemas import TierChangeCreate
from infra.control.viewer_schemas import MAX_TTL_S
from infra.control.viewer_tokens import require_offered
from infra.db.control import Event
from infra.db.revocations import TierChangeRow

MAX_CHANGES = 1_000
"""In force, of one event: all of them travel to its media nodes with every change."""


class TierChangeService:
    """Changed tiers of one project's events, within one transaction."""

    def __init__(self, session: AsyncSession, context: ControlContext, project: str) -> None:
        self._session = session
        self._now_ms = context.now_ms()
        self._events = EventService(session, context, project)

    async def create(self, event_id: str, wanted: TierChangeCreate) -> TierChangeRow:
        """The same subject again takes the place of the one before."""
        event = await self._events.get(event_id, for_update=True)
        require_offered(event, wanted.tier)
        until = await self._until(event, wanted.subject)
        over = TierChangeRow.created_ms <= self._now_ms - MAX_TTL_S * 1000
        outdone = or_(over, TierChangeRow.subject == wanted.subject)
        await self._session.execute(
            delete(TierChangeRow).where(TierChangeRow.event == event.id, outdone)
        )
        await self._require_room(event)
        row = TierChangeRow(
            id=new_id("tc_"),
            project=event.project,
            event=event.id,
            subject=wanted.subject,
            tier=wanted.tier.value,
            cap=wanted.max_rendition,
            until_s=until,
            created_ms=self._now_ms,
        )
        self._session.add(row)
        event.revision += 1
        event.updated_ms = self._now_ms
        await self._session.flush()
        return row

    async def page(
        self, event_id: str, page: PageRequest
    ) -> tuple[Sequence[TierChangeRow], str | None]:
        event = await self._events.get(event_id)
        query = select(TierChangeRow).where(TierChangeRow.event == event.id)
        return await page_of(self._session, query, TierChangeRow, page)

    async def _until(self, event: Event, subject: str) -> int:
        """No token that the subject has been issued was issued later."""
        now_s = self._now_ms // 1000
        revoked = await revoked_of(self._session, event.id, self._now_ms)
        changes = await changes_of(self._session, event.id, self._now_ms)
        return changes.issued_after(subject, revoked.issued_after(subject, now_s))

    async def _require_room(self, event: Event) -> None:
        query = select(func.count()).where(TierChangeRow.event == event.id)
        if (await self._session.scalar(query) or 0) >= MAX_CHANGES:
            raise Conflict(
                f"event {event.id} has {MAX_CHANGES} changed tiers already",
                "Issue the viewer a new token with the tier, and hand it to the player.",
            )
