"""The markers of events that media nodes hear of: those that can still be news, or be listed.

Invariant: a marker that was made or has ended a moment ago is among them, however many others its
event has. Upstream: `publisher`. Unix ms are an argument.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from infra.db.control import Event
from infra.db.markers import Marker
from infra.events.desired import DesiredMarker

MARKERS_SENT = 100
"""Of an event those that changed last, and as many of those that are not over; the rest has passed
out of playlists, but for those of events with a window of hours."""
_PER_QUERY = 1_000
"""Events; databases bound the parameters of a query."""
_WINDOW_MS = 1125
"""For a second of window: playlists list a sixteenth more at most, and nodes hear of it later."""


async def markers_of(
    session: AsyncSession, events: Sequence[str], now_ms: int
) -> Mapping[str, Sequence[DesiredMarker]]:
    """Event -> the markers that are sent, oldest first."""
    ended = and_(Marker.end_ms >= Marker.created_ms, Marker.end_ms <= now_ms)
    changed = case((ended, Marker.end_ms), else_=Marker.created_ms)
    going_on = or_(Marker.end_ms.is_(None), Marker.end_ms > now_ms)
    over = func.coalesce(Marker.end_ms, Marker.start_ms)
    in_window = and_(Event.dvr_window_s > 0, over >= now_ms - _WINDOW_MS * Event.dvr_window_s)
    by_change = func.row_number().over(
        partition_by=Marker.event, order_by=(changed.desc(), Marker.id.desc())
    )
    of_its_kind = func.row_number().over(
        partition_by=(Marker.event, case((going_on, 1), else_=0)),
        order_by=(Marker.created_ms.desc(), Marker.id.desc()),
    )
    found: dict[str, list[DesiredMarker]] = {}
    for at in range(0, len(events), _PER_QUERY):
        ranked = (
            select(
                Marker,
                by_change.label("by_change"),
                of_its_kind.label("of_its_kind"),
                case((going_on, 1), else_=0).label("going_on"),
                case((in_window, 1), else_=0).label("in_window"),
            )
            .join(Event, Event.id == Marker.event)
            .where(Marker.event.in_(events[at : at + _PER_QUERY]))
            .subquery()
        )
        sent = aliased(Marker, ranked)
        query = select(sent).where(
            or_(
                ranked.c.by_change <= MARKERS_SENT,
                and_(ranked.c.going_on == 1, ranked.c.of_its_kind <= MARKERS_SENT),
                ranked.c.in_window == 1,
            )
        )
        for marker in await session.scalars(query.order_by(sent.created_ms, sent.id)):
            found.setdefault(marker.event, []).append(_desired(marker))
    return found


def _desired(marker: Marker) -> DesiredMarker:
    return DesiredMarker(
        id=marker.id,
        kind=marker.kind,
        title=marker.title,
        start_ms=marker.start_ms,
        end_ms=marker.end_ms,
        data=marker.data,
    )
