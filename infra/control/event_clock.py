"""What time brings to events: the lobby opens, what was held back starts, what is over ends.

Invariant: whatever is due is done once, by whichever control process comes first: it holds the
event's row from the look to the commit, and the others pass over it. An outage of the database
delays it and loses nothing. Beside it, answers that nobody asks for any more are forgotten.

Upstream: `due_ms` of events, which every change keeps up. The rules: `infra.control.schedule`.
"""

import asyncio
from collections.abc import Callable

import structlog
from prometheus_client import Counter
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.control.context import Databases
from infra.control.event_changes import look_again, timetable_of
from infra.control.idempotency import forget_old
from infra.control.schedule import due, holds_back
from infra.db.control import Event
from infra.db.events_state import advance_event
from infra.db.outage import DATABASE_ERRORS, is_outage
from infra.events.bus import Backoff
from infra.lifecycle import Actor

_log = structlog.get_logger(__name__)
_MOVED = Counter("livepath_events_by_clock_total", "What time brought to events.", ["trigger"])
BATCH = 100
"""Events in one transaction."""
_TIDY_S = 3600.0


class EventClock:
    """One `run()` for the life of the process; `ring()` from the same event loop."""

    def __init__(
        self,
        databases: Databases,
        ring: Callable[[], None],
        now_ms: Callable[[], int],
        *,
        interval_s: float = 1.0,
    ) -> None:
        """`ring` is called when events have moved."""
        self._databases = databases
        self._ring = ring
        self._now_ms = now_ms
        self._interval_s = interval_s
        self._bell = asyncio.Event()
        self._tidy_at = 0.0
        self.problem: str | None = None
        """None while the database answers; a readiness check."""

    def ring(self) -> None:
        """Something changed: look at once."""
        self._bell.set()

    async def run(self) -> None:
        """Look until cancelled, through outages of the database."""
        backoff = Backoff()
        while True:
            self._bell.clear()
            try:
                while await self.step() == BATCH:
                    pass
                await self._tidy()
            except DATABASE_ERRORS as error:
                if not is_outage(error):
                    raise
                if self.problem is None:
                    _log.warning("the clock cannot look at events; it will")
                self.problem = "the database does not answer"
                await asyncio.sleep(backoff.pause())
                continue
            self.problem = None
            backoff.reset()
            await self._rest()

    async def step(self) -> int:
        """Do what is due of one batch of events; returns how many were looked at."""
        now = self._now_ms()
        if not await self._anything_due(now):
            return 0
        async with self._databases.writing() as session, session.begin():
            looked_at, moved = await session.run_sync(_catch_up, now)
        if moved:
            self._ring()
        return looked_at

    async def _anything_due(self, now: int) -> bool:
        # A reader holds nobody up; most looks end here.
        async with self._databases.reading() as session:
            first = await session.scalar(select(func.min(Event.due_ms)))
            return first is not None and first <= now

    async def _tidy(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._tidy_at:
            return
        self._tidy_at = now + _TIDY_S
        async with self._databases.writing() as session, session.begin():
            await forget_old(session, self._now_ms())

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._interval_s):
                await self._bell.wait()
        except TimeoutError:
            pass


def _catch_up(session: Session, now_ms: int) -> tuple[int, int]:
    """(events looked at, events moved) of those that nobody else looks at now."""
    events = session.scalars(
        select(Event)
        .where(Event.due_ms <= now_ms)
        .order_by(Event.due_ms)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    moved = 0
    for event in events:
        moved += _move(session, event, now_ms)
        look_again(event, now_ms)
    return len(events), moved


def _move(session: Session, event: Event, now_ms: int) -> bool:
    """Take every step that is due; says whether media nodes or viewers will notice."""
    moved = False
    while (trigger := due(timetable_of(event), now_ms)) is not None:
        advance_event(session, event.id, trigger, now_ms, by=Actor.CLOCK)
        _MOVED.labels(trigger.value).inc()
        _log.info("time moved an event on", event_id=event.id, trigger=trigger.value)
        moved = True
    timetable = timetable_of(event)
    if timetable.holds_back and not holds_back(timetable, now_ms):
        # The start has passed without pictures: media nodes let them through from now on.
        event.revision += 1
        moved = True
    return moved
