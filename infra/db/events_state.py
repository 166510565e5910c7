"""The only way an event's state changes: along the table of `infra.lifecycle`, in a transaction.

Invariant: an illegal trigger, or one that this actor may not cause, raises and leaves the row as it
was. The caller owns the transaction.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.db.control import OPEN_STATES, Event
from infra.errors import UnknownEvent
from infra.lifecycle import WAITING, Actor, AutoStart, EventState, Trigger, advance
from infra.outbox.catalogue import NoticeType
from infra.outbox.recording import Notice, record


def advance_event(
    session: Session, event_id: str, trigger: Trigger, now_ms: int, *, by: Actor
) -> EventState:
    """Apply `trigger` to the event and return its state; the row stays locked until commit.

    Raises `UnknownEvent`, or `IllegalTransition` when the table has no such edge for this actor.
    """
    row = session.scalars(
        select(Event)
        .where(Event.id == event_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise UnknownEvent(f"there is no event {event_id}")
    before = EventState(row.state)
    after = advance(before, trigger, by)
    if after is EventState.LIVE or trigger is Trigger.PROGRAM_LIVE:
        row.started_ms = row.started_ms or now_ms
    if after is not before:
        row.state = after.value
        row.updated_ms = now_ms
        if after is EventState.ENDED:
            row.ended_ms = now_ms
        if _nodes_must_know(row, before, after):
            row.revision += 1
        data = {"name": row.name, "state": after.value, "previous": before.value}
        kind = NoticeType(f"event.{after.value}")
        record(session, Notice(row.project, row.id, kind, data, row.traceparent), now_ms)
    session.flush()
    return after


def _nodes_must_know(row: Event, before: EventState, after: EventState) -> bool:
    """Whether publishers may connect is another matter now, or whether viewers may watch."""
    opened_or_closed = (before in OPEN_STATES) != (after in OPEN_STATES)
    was_held_back = row.auto_start == AutoStart.AT_TIME and before in WAITING
    return opened_or_closed or (was_held_back and after not in WAITING)
