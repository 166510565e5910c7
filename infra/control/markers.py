"""What the API does with markers. Each query is scoped to an event of one project; none commits.

Invariant: what players were told of a marker never changes (RFC 8216bis 4.4.5.1): an end is set
once. Each change raises the event's revision, so that the publisher takes it to the media nodes.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.context import ControlContext
from infra.control.ids import new_id
from infra.control.marker_schemas import MarkerCreate, end_ms_of, marker_out, milliseconds
from infra.control.paging import PageRequest, page_of
from infra.control.problems import Conflict, Invalid, NotFound
from infra.control.service import EventService
from infra.db.control import OPEN_STATES, Event
from infra.db.markers import Marker
from infra.keys import is_name
from infra.lifecycle import EventState
from infra.outbox.catalogue import NoticeType
from infra.outbox.recording import Notice, record

MAX_MARKERS = 1_000
"""Of one event."""


class MarkerService:
    """Markers of one project's events, within one transaction."""

    def __init__(self, session: AsyncSession, context: ControlContext, project: str) -> None:
        self._session = session
        self._context = context
        self._events = EventService(session, context, project)

    async def create(self, event_id: str, wanted: MarkerCreate) -> Marker:
        now = self._context.now_ms()
        event = await self._events.get(event_id, for_update=True)
        self._require_open(event)
        await self._require_room(event)
        start_ms = now if wanted.start is None else milliseconds(wanted.start)
        marker = Marker(
            id=new_id("mk_"),
            project=event.project,
            event=event.id,
            kind=wanted.kind,
            title=wanted.title,
            start_ms=start_ms,
            end_ms=_checked_end(start_ms, end_ms_of(wanted, start_ms)),
            data=wanted.data,
            created_ms=now,
        )
        self._session.add(marker)
        event.revision += 1
        await self._session.flush()
        await self._tell(NoticeType.MARKER_CREATED, marker)
        return marker

    async def page(self, event_id: str, page: PageRequest) -> tuple[Sequence[Marker], str | None]:
        event = await self._events.get(event_id)
        query = select(Marker).where(Marker.event == event.id)
        return await page_of(self._session, query, Marker, page)

    async def get(self, event_id: str, marker_id: str) -> Marker:
        return await self._of(await self._events.get(event_id), marker_id)

    async def end(self, event_id: str, marker_id: str, end: datetime | None) -> Marker:
        """Set the end, None being now; the same end again is harmless."""
        now = self._context.now_ms()
        event = await self._events.get(event_id, for_update=True)
        marker = await self._of(event, marker_id)
        end_ms = now if end is None else milliseconds(end)
        if marker.end_ms is not None:
            if marker.end_ms == end_ms or (end is None and marker.end_ms <= now):
                return marker
            raise Conflict(
                f"marker {marker_id} has an end already, and players were told",
                "Leave the end out when you make a marker whose end is open.",
            )
        self._require_open(event)
        marker.end_ms = _checked_end(marker.start_ms, end_ms)
        event.revision += 1
        await self._tell(NoticeType.MARKER_ENDED, marker)
        return marker

    async def _tell(self, kind: NoticeType, marker: Marker) -> None:
        shown = marker_out(marker).model_dump(mode="json", exclude={"id", "created_at"})
        notice = Notice(marker.project, marker.event, kind, {"marker": marker.id, **shown})
        await self._session.run_sync(record, notice, self._context.now_ms())

    async def _of(self, event: Event, marker_id: str) -> Marker:
        marker = await self._session.get(Marker, marker_id) if is_name(marker_id) else None
        if marker is None or marker.event != event.id:
            raise NotFound(
                f"event {event.id} has no marker {marker_id[:80]!r}",
                f"List its markers with GET /v1/events/{event.id}/markers.",
            )
        return marker

    def _require_open(self, event: Event) -> None:
        if EventState(event.state) not in OPEN_STATES:
            raise Conflict(
                f"event {event.id} is {event.state}; nobody would see its markers change",
                "Mark an event that is scheduled, live or reconnecting.",
            )

    async def _require_room(self, event: Event) -> None:
        count = await self._session.scalar(
            select(func.count()).select_from(Marker).where(Marker.event == event.id)
        )
        if (count or 0) >= MAX_MARKERS:
            raise Conflict(
                f"event {event.id} has {MAX_MARKERS} markers, as many as an event may have",
                "Put several values into the data of one marker.",
            )


def _checked_end(start_ms: int, end_ms: int | None) -> int | None:
    if end_ms is not None and end_ms < start_ms:
        raise Invalid(
            "the marker would end before it starts",
            "Send an end at or after the marker's start.",
        )
    return end_ms
