"""What the clock owes an event, and when to look at it next. Pure: time is an argument.

Invariant: every trigger that `due` names is legal in the event's state, and applying them one after
the other comes to an end; `next_look` is never later than the moment at which `due` names one.

Upstream: rows of events, as control has them. Downstream: `infra.control.event_clock`, and the
service, which notes `next_look` with every change. Table of states: `infra.lifecycle`.
"""

from dataclasses import dataclass

from infra.lifecycle import WAITING, AutoStart, EventState, Trigger

_ON_AIR = frozenset({EventState.LIVE, EventState.RECONNECTING})


@dataclass(frozen=True, slots=True)
class Timetable:
    """An event as the clock sees it. Times are Unix milliseconds."""

    state: EventState
    starts_at_ms: int | None = None
    ends_at_ms: int | None = None
    lobby_opens_s: int = 900
    auto_start: AutoStart = AutoStart.ON_PUBLISH
    auto_end: bool = False
    end_grace_s: int = 0
    on_air: bool = False
    """Its programme has pictures, which are held back."""

    @property
    def lobby_at_ms(self) -> int | None:
        """When the lobby opens."""
        return None if self.starts_at_ms is None else self.starts_at_ms - self.lobby_opens_s * 1000

    @property
    def expires_at_ms(self) -> int | None:
        """When the event is ended, if nobody ends it before."""
        if self.ends_at_ms is None or not self.auto_end:
            return None
        return self.ends_at_ms + self.end_grace_s * 1000

    @property
    def holds_back(self) -> bool:
        """Pictures are seen by nobody yet."""
        at_time = self.auto_start is AutoStart.AT_TIME and self.starts_at_ms is not None
        return at_time and self.state in WAITING


def due(event: Timetable, now_ms: int) -> Trigger | None:
    """The next thing that time has brought; None: nothing."""
    if _passed(event.expires_at_ms, now_ms) and event.state in WAITING | _ON_AIR:
        return Trigger.EXPIRE
    if event.state not in WAITING:
        return None
    if event.on_air and (not event.holds_back or _passed(event.starts_at_ms, now_ms)):
        return Trigger.START
    if event.state is EventState.SCHEDULED and _passed(event.lobby_at_ms, now_ms):
        return Trigger.LOBBY_OPENS
    return None


def next_look(event: Timetable, now_ms: int) -> int | None:
    """When something may be due, `now_ms` at the earliest; None: never, as things are."""
    if due(event, now_ms) is not None:
        return now_ms
    moments: list[int | None] = []
    if event.state in WAITING | _ON_AIR:
        moments.append(event.expires_at_ms)
    if event.state is EventState.SCHEDULED:
        moments.append(event.lobby_at_ms)
    if event.holds_back:
        moments.append(event.starts_at_ms)
    return min((at for at in moments if at is not None and at > now_ms), default=None)


def holds_back(event: Timetable, at_ms: int) -> bool:
    """Whether a picture of that moment comes too early to begin the event."""
    return event.holds_back and not _passed(event.starts_at_ms, at_ms)


def _passed(moment_ms: int | None, now_ms: int) -> bool:
    return moment_ms is not None and now_ms >= moment_ms
