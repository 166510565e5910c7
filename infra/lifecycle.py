"""Event states as a transition table.

Invariant: a state changes only along an edge of the table; an illegal trigger raises and changes
nothing.
"""

from enum import StrEnum

from infra.errors import IllegalTransition


class EventState(StrEnum):
    SCHEDULED = "scheduled"
    LIVE = "live"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    ARCHIVED = "archived"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    PROGRAM_LIVE = "program.live"
    """The first keyframe of a publisher was published."""
    PUBLISHER_LOST = "publisher.lost"
    PROGRAM_ENDED = "program.ended"
    """The reconnect window passed, or the programme was closed on request."""
    END = "end"
    """`POST /v1/events/{id}/end`."""
    CANCEL = "cancel"
    """`DELETE /v1/events/{id}` before anything was published."""
    ARCHIVE_READY = "archive.ready"


_S, _T = EventState, Trigger
TRANSITIONS: dict[tuple[EventState, Trigger], EventState] = {
    (_S.SCHEDULED, _T.PROGRAM_LIVE): _S.LIVE,
    (_S.SCHEDULED, _T.CANCEL): _S.CANCELLED,
    (_S.LIVE, _T.PROGRAM_LIVE): _S.LIVE,
    (_S.LIVE, _T.PUBLISHER_LOST): _S.RECONNECTING,
    (_S.LIVE, _T.PROGRAM_ENDED): _S.ENDED,
    (_S.LIVE, _T.END): _S.ENDED,
    (_S.RECONNECTING, _T.PUBLISHER_LOST): _S.RECONNECTING,
    (_S.RECONNECTING, _T.PROGRAM_LIVE): _S.LIVE,
    (_S.RECONNECTING, _T.PROGRAM_ENDED): _S.ENDED,
    (_S.RECONNECTING, _T.END): _S.ENDED,
    # Facts of a node may arrive after the API call that ended the event.
    (_S.ENDED, _T.PUBLISHER_LOST): _S.ENDED,
    (_S.ENDED, _T.PROGRAM_LIVE): _S.ENDED,
    (_S.ENDED, _T.PROGRAM_ENDED): _S.ENDED,
    (_S.ENDED, _T.ARCHIVE_READY): _S.ARCHIVED,
    (_S.ARCHIVED, _T.ARCHIVE_READY): _S.ARCHIVED,
    (_S.ARCHIVED, _T.PUBLISHER_LOST): _S.ARCHIVED,
    (_S.ARCHIVED, _T.PROGRAM_LIVE): _S.ARCHIVED,
    (_S.ARCHIVED, _T.PROGRAM_ENDED): _S.ARCHIVED,
}


def advance(state: EventState, trigger: Trigger) -> EventState:
    """The state after `trigger`; raises `IllegalTransition` when the table has no such edge."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        allowed = sorted({t.value for s, t in TRANSITIONS if s is state})
        raise IllegalTransition(
            f"an event that is {state} does not take {trigger}; "
            f"it takes {', '.join(allowed) or 'nothing'}"
        ) from None
