"""Moving an event on from the cold path, also when the hot path's news has not arrived yet.

A final manifest proves that the programme was live and is over. Its archive can be ready before
control applied the media node's facts (control or the bus was down), so the missing edges are
taken first; the facts, when they come, change nothing.
"""

from sqlalchemy.orm import Session

from infra.db.events_state import advance_event
from infra.errors import IllegalTransition, UnknownEvent
from infra.lifecycle import Actor, Trigger

_MISSED = (Trigger.PROGRAM_LIVE, Trigger.PROGRAM_ENDED)


def advance_or_catch_up(session: Session, event: str, trigger: Trigger, now_ms: int) -> bool:
    """Applies `trigger`; False when the event does not exist or was cancelled."""
    try:
        advance_event(session, event, trigger, now_ms, by=Actor.COLD_PATH)
    except UnknownEvent:
        return False
    except IllegalTransition:
        return _catch_up(session, event, trigger, now_ms)
    return True


def _catch_up(session: Session, event: str, trigger: Trigger, now_ms: int) -> bool:
    try:
        for missed in (*_MISSED, trigger):
            advance_event(session, event, missed, now_ms, by=Actor.COLD_PATH)
    except IllegalTransition:
        return False
    return True
