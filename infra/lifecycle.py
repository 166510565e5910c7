"""Event states as a transition table, and who may cause each transition.

Invariant: a state changes only along an edge of the table, caused by an actor that its trigger
names; anything else raises and changes nothing. Pure.

Upstream: `infra.db.events_state`, for the API, media nodes' facts, the clock and the cold path.
"""

from enum import StrEnum

from infra.errors import ActorRefused, IllegalTransition


class EventState(StrEnum):
    DRAFT = "draft"
    """Being prepared: publishers are refused, and viewers are told of nothing."""
    SCHEDULED = "scheduled"
    LOBBY = "lobby"
    """The start is near: viewers come and see a countdown."""
    LIVE = "live"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    ARCHIVED = "archived"
    CANCELLED = "cancelled"


WAITING = frozenset({EventState.SCHEDULED, EventState.LOBBY})
"""States of an event that has not begun, and may."""


class AutoStart(StrEnum):
    ON_PUBLISH = "on_publish"
    """The first picture begins the event, whenever it comes."""
    AT_TIME = "at_time"
    """Pictures that come before the start are seen by nobody."""


class Actor(StrEnum):
    """Who causes transitions."""

    API = "api"
    """A client of the control API."""
    MEDIA_NODE = "media-node"
    CLOCK = "clock"
    """Control, when a time has come."""
    COLD_PATH = "cold-path"


class Trigger(StrEnum):
    SCHEDULE = "schedule"
    """`POST /v1/events/{id}/schedule`."""
    RESCHEDULE = "reschedule"
    """The start was moved, so that the lobby is to open later."""
    LOBBY_OPENS = "lobby.opens"
    """The start is `lobby_opens_s` away."""
    START = "start"
    """The time has come of an event whose pictures were held back until then."""
    PROGRAM_LIVE = "program.live"
    """The first keyframe of a publisher was published."""
    PUBLISHER_LOST = "publisher.lost"
    PROGRAM_ENDED = "program.ended"
    """The reconnect window passed, or the programme was closed on request."""
    END = "end"
    """`POST /v1/events/{id}/end`."""
    EXPIRE = "expire"
    """The announced end has passed, whether anything was published or not."""
    CANCEL = "cancel"
    """`DELETE /v1/events/{id}` before the event was live."""
    ARCHIVE_READY = "archive.ready"


_S, _T, _A = EventState, Trigger, Actor
# A final manifest in the bucket proves what a media node could not report: see
# `coldpath.event_state`.
_WITNESSES = frozenset({_A.MEDIA_NODE, _A.COLD_PATH})
ACTORS: dict[Trigger, frozenset[Actor]] = {
    _T.SCHEDULE: frozenset({_A.API}),
    _T.RESCHEDULE: frozenset({_A.API}),
    _T.LOBBY_OPENS: frozenset({_A.CLOCK}),
    _T.START: frozenset({_A.CLOCK}),
    _T.PROGRAM_LIVE: _WITNESSES,
    _T.PUBLISHER_LOST: _WITNESSES,
    _T.PROGRAM_ENDED: _WITNESSES,
    _T.END: frozenset({_A.API}),
    _T.EXPIRE: frozenset({_A.CLOCK}),
    _T.CANCEL: frozenset({_A.API}),
    _T.ARCHIVE_READY: frozenset({_A.COLD_PATH}),
}

TRANSITIONS: dict[tuple[EventState, Trigger], EventState] = {
    (_S.DRAFT, _T.SCHEDULE): _S.SCHEDULED,
    (_S.DRAFT, _T.CANCEL): _S.CANCELLED,
    (_S.SCHEDULED, _T.LOBBY_OPENS): _S.LOBBY,
    (_S.SCHEDULED, _T.START): _S.LIVE,
    (_S.SCHEDULED, _T.PROGRAM_LIVE): _S.LIVE,
    (_S.SCHEDULED, _T.EXPIRE): _S.ENDED,
    (_S.SCHEDULED, _T.CANCEL): _S.CANCELLED,
    (_S.LOBBY, _T.RESCHEDULE): _S.SCHEDULED,
    (_S.LOBBY, _T.START): _S.LIVE,
    (_S.LOBBY, _T.PROGRAM_LIVE): _S.LIVE,
    (_S.LOBBY, _T.EXPIRE): _S.ENDED,
    (_S.LOBBY, _T.CANCEL): _S.CANCELLED,
    (_S.LIVE, _T.PROGRAM_LIVE): _S.LIVE,
    (_S.LIVE, _T.PUBLISHER_LOST): _S.RECONNECTING,
    (_S.LIVE, _T.PROGRAM_ENDED): _S.ENDED,
    (_S.LIVE, _T.END): _S.ENDED,
    (_S.LIVE, _T.EXPIRE): _S.ENDED,
    (_S.RECONNECTING, _T.PUBLISHER_LOST): _S.RECONNECTING,
    (_S.RECONNECTING, _T.PROGRAM_LIVE): _S.LIVE,
    (_S.RECONNECTING, _T.PROGRAM_ENDED): _S.ENDED,
    (_S.RECONNECTING, _T.END): _S.ENDED,
    (_S.RECONNECTING, _T.EXPIRE): _S.ENDED,
    # Facts of a node may arrive after the event was ended by the API or the clock.
    (_S.ENDED, _T.PUBLISHER_LOST): _S.ENDED,
    (_S.ENDED, _T.PROGRAM_LIVE): _S.ENDED,
    (_S.ENDED, _T.PROGRAM_ENDED): _S.ENDED,
    (_S.ENDED, _T.ARCHIVE_READY): _S.ARCHIVED,
    (_S.ARCHIVED, _T.ARCHIVE_READY): _S.ARCHIVED,
    (_S.ARCHIVED, _T.PUBLISHER_LOST): _S.ARCHIVED,
    (_S.ARCHIVED, _T.PROGRAM_LIVE): _S.ARCHIVED,
    (_S.ARCHIVED, _T.PROGRAM_ENDED): _S.ARCHIVED,
}


def advance(state: EventState, trigger: Trigger, actor: Actor) -> EventState:
    """The state after `trigger`; raises `IllegalTransition` when the table has no such edge, and
    `ActorRefused` when this actor may not cause it."""
    if actor not in ACTORS[trigger]:
        allowed = ", ".join(sorted(ACTORS[trigger]))
        raise ActorRefused(f"{trigger} is not for {actor} to cause; it is for {allowed}")
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        legal = sorted({t.value for s, t in TRANSITIONS if s is state})
        raise IllegalTransition(
            f"an event that is {state} does not take {trigger}; "
            f"it takes {', '.join(legal) or 'nothing'}"
        ) from None
