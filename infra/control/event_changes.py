"""What a client changes of an event's row. Reads and writes the row alone; nothing here commits.

Invariant: a change that media nodes must learn of raises the revision, and one that time depends on
moves the moment at which the clock looks. What is refused leaves the row to be rolled back.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from infra.control.event_fields import end_after_start
from infra.control.event_schemas import EventCreate, EventPatch
from infra.control.ids import new_id
from infra.control.problems import Conflict, Invalid
from infra.control.schedule import Timetable, next_look
from infra.control.schemas import at, to_ms
from infra.db.control import OPEN_STATES, Event
from infra.lifecycle import WAITING, AutoStart, EventState

BEFORE_LIVE = WAITING | {EventState.DRAFT}
_FIXED_ON_AIR = ("renditions", "dvr_window_s", "recording", "auto_start")
"""Fixed when the event is live: players keep what they began with."""
_NODES_SEE = (
    *("access", "takeover", "reconnect_window_s", "renditions", "dvr_window_s", "recording"),
)
_PLAIN = (
    *("time_zone", "lobby_opens_s", "auto_end", "end_grace_s", "latency", "cold_functions"),
    "tiers",
)
_COLUMNS = {"metadata": "custom"}
"""Columns with other names than their fields."""


def new_event(wanted: EventCreate, project: str, kid: str, now_ms: int) -> Event:
    event = Event(
        id=new_id("ev_"),
        project=project,
        name=wanted.name,
        name_folded=wanted.name.casefold(),
        state=(EventState.DRAFT if wanted.draft else EventState.SCHEDULED).value,
        access=wanted.access,
        takeover=wanted.takeover,
        starts_at_ms=to_ms(wanted.starts_at),
        ends_at_ms=to_ms(wanted.ends_at),
        time_zone=wanted.time_zone,
        lobby_opens_s=wanted.lobby_opens_s,
        auto_start=wanted.auto_start.value,
        auto_end=wanted.auto_end,
        end_grace_s=wanted.end_grace_s,
        reconnect_window_s=wanted.reconnect_window_s,
        target_duration_s=wanted.target_duration_s,
        renditions=wanted.renditions,
        dvr_window_s=wanted.dvr_window_s,
        recording=wanted.recording,
        latency=wanted.latency.value,
        cold_functions=wanted.cold_functions,
        tiers=wanted.tiers,
        labels=wanted.labels,
        custom=wanted.metadata,
        kid=kid,
        generation=1,
        revision=1,
        published_revision=0,
        recording_degraded=False,
        created_ms=now_ms,
        updated_ms=now_ms,
    )
    look_again(event, now_ms)
    return event


def timetable_of(event: Event) -> Timetable:
    """The event as the clock sees it."""
    return Timetable(
        state=EventState(event.state),
        starts_at_ms=event.starts_at_ms,
        ends_at_ms=event.ends_at_ms,
        lobby_opens_s=event.lobby_opens_s,
        auto_start=AutoStart(event.auto_start),
        auto_end=event.auto_end,
        end_grace_s=event.end_grace_s,
        on_air=event.on_air_ms is not None,
    )


def look_again(event: Event, now_ms: int) -> None:
    """Note when the clock has to look at the event as it is now."""
    event.due_ms = next_look(timetable_of(event), now_ms)


def change(event: Event, changes: EventPatch, now_ms: int) -> None:
    """Write what the client sent into the row."""
    sent: dict[str, Any] = {
        name: value.value if isinstance(value, StrEnum) else value
        for name in changes.model_fields_set
        for value in (getattr(changes, name),)
    }
    _require_changeable(event, sent)
    if "name" in sent:
        event.name, event.name_folded = changes.name or "", (changes.name or "").casefold()
    for field in ("starts_at", "ends_at"):
        if field in sent:
            setattr(event, f"{field}_ms", to_ms(sent[field]))
    for field in (*_PLAIN, "labels", "metadata"):
        if field in sent:
            setattr(event, _COLUMNS.get(field, field), sent[field])
    for field in _NODES_SEE:
        if field in sent and getattr(event, field) != sent[field]:
            setattr(event, field, sent[field])
            event.revision += 1
    held_back = timetable_of(event).holds_back
    event.auto_start = sent.get("auto_start", event.auto_start)
    _require_sense(event)
    if timetable_of(event).holds_back != held_back:
        event.revision += 1
    event.updated_ms = now_ms
    look_again(event, now_ms)


def _require_changeable(event: Event, sent: Mapping[str, Any]) -> None:
    state = EventState(event.state)
    if state is EventState.CANCELLED:
        raise Conflict(f"event {event.id} is cancelled", "Create a new event.")
    if "starts_at" in sent and state not in BEFORE_LIVE:
        raise Conflict(
            f"event {event.id} is {state}, so its start cannot move", "Leave starts_at out."
        )
    if "ends_at" in sent and state not in BEFORE_LIVE | OPEN_STATES:
        raise Conflict(f"event {event.id} is {state}, so its end cannot move", "Leave ends_at out.")
    for field in _FIXED_ON_AIR:
        if field in sent and sent[field] != getattr(event, field) and state not in BEFORE_LIVE:
            raise Conflict(
                f"event {event.id} is {state}, so its {field} cannot change",
                f"Leave {field} out.",
            )


def _require_sense(event: Event) -> None:
    """What a client sent may contradict what is there."""
    starts_at: datetime | None = at(event.starts_at_ms)
    try:
        end_after_start(starts_at, at(event.ends_at_ms))
    except ValueError as error:
        raise Invalid(str(error), "Send both, or one that fits the other.") from error
    if event.auto_start == AutoStart.AT_TIME and starts_at is None:
        raise Invalid("auto_start at_time needs starts_at", "Send starts_at, or on_publish.")
    if event.dvr_window_s and not event.recording:
        raise Invalid("dvr_window_s needs the recording", "Send recording true, or dvr_window_s 0.")
    if event.auto_end and event.ends_at_ms is None:
        raise Invalid("auto_end needs ends_at", "Send ends_at, or auto_end false.")
