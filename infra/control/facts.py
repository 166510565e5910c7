"""From the bus to the database: applies what media nodes report.

Invariant: every fact is applied exactly once, in stream order. The row with the fact's id is
written in the transaction that applies it, and the entry is acknowledged after the commit, so a
crash between the two delivers again what then changes nothing. A fact that cannot be applied is
logged and acknowledged: it never blocks the ones behind it. What a node says of an event that
another one has put on the air since is kept, and moves the event no more.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, cast

import structlog
from prometheus_client import Counter
from sqlalchemy import CursorResult, delete, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from infra.control.context import Databases
from infra.control.event_changes import timetable_of
from infra.control.schedule import holds_back
from infra.db.control import Event, Fact
from infra.db.events_state import advance_event
from infra.db.outage import DATABASE_ERRORS, is_outage
from infra.errors import BusUnavailable, IllegalTransition
from infra.events.bus import Backoff
from infra.events.facts import FactType, MediaFact, node_of
from infra.events.facts_bus import Delivery, FactReader
from infra.lifecycle import Actor, Trigger
from infra.outbox.facts import TOLD_FACTS, told_of
from infra.outbox.recording import Notice, record
from infra.publishers import ROLES, Role

_log = structlog.get_logger(__name__)
_FACTS = Counter("livepath_facts_total", "Facts taken from media nodes.", ["type", "outcome"])
_TRIGGERS = {
    FactType.PROGRAM_LIVE: Trigger.PROGRAM_LIVE,
    FactType.PUBLISHER_LOST: Trigger.PUBLISHER_LOST,
    FactType.PROGRAM_ENDED: Trigger.PROGRAM_ENDED,
}
_PARTING = frozenset({FactType.PUBLISHER_LOST, FactType.PROGRAM_ENDED, FactType.PUBLISHERS_PRESENT})
"""Of the node that carries the event alone."""
_NOTED = frozenset(
    {
        FactType.RECORDING_DEGRADED,
        FactType.RECORDING_RESTORED,
        FactType.PUBLISHERS_PRESENT,
    }
)
MAX_BYTES = 32 * 1024
"""Of one fact's JSON."""
MAX_AT_NS = 4_102_444_800 * 10**9  # the year 2100
KEEP_MS = 14 * 24 * 3600 * 1000
"""Facts are deleted after this; longer than any replay from the capped stream."""
TIDIED = 1_000
"""Facts that are deleted at once."""
REFUSED_AGAIN_MS = 60_000
"""A refusal is told to clients once, until it has not happened for this long."""
_LOOKED_AT = 20
_STARTS_LOOKED_AT = 100
_TIDY_S = 3600.0
_STANDBY_S = 1.0


class Outcome(StrEnum):
    APPLIED = "applied"
    DUPLICATE = "duplicate"
    NO_EFFECT = "no-effect"
    """Kept, but the event's state does not take it, or the event is not known."""
    POISON = "poison"


def apply_fact(session: Session, fact: MediaFact) -> Outcome:
    """Apply one fact within the caller's transaction."""
    if session.get(Fact, fact.id) is not None:
        return Outcome.DUPLICATE
    at_ms = fact.at_ns // 1_000_000
    row = Fact(
        id=fact.id,
        project=fact.project,
        event=fact.event,
        type=fact.type.value,
        at_ms=at_ms,
        detail=fact.detail,
    )
    session.add(row)
    session.flush()
    _tell(session, fact, at_ms)
    if fact.type not in _TRIGGERS and fact.type not in _NOTED:
        return Outcome.APPLIED
    event = session.get(Event, fact.event, with_for_update=True)
    if event is None or event.project != fact.project:
        _log.warning("a fact names an event that is not known", fact=fact.id, event_id=fact.event)
        return Outcome.NO_EFFECT
    if fact.type in _PARTING and _has_moved_on(session, fact):
        return Outcome.NO_EFFECT
    return _move_on(session, event, fact)


def _move_on(session: Session, event: Event, fact: MediaFact) -> Outcome:
    at_ms = fact.at_ns // 1_000_000
    if fact.type in _NOTED:
        _note(event, fact)
        return Outcome.APPLIED
    try:
        _advance(session, event, _TRIGGERS[fact.type], at_ms)
    except IllegalTransition as error:
        _log.warning(
            "a fact does not fit the event", fact=fact.id, event_id=event.id, why=str(error)
        )
        return Outcome.NO_EFFECT
    return Outcome.APPLIED


def _has_moved_on(session: Session, fact: MediaFact) -> bool:
    """Whether another node has put the event on the air since the fact's own node did."""
    query = (
        select(Fact.id)
        .where(Fact.project == fact.project, Fact.event == fact.event)
        .where(Fact.type == FactType.PROGRAM_LIVE.value)
        .order_by(Fact.at_ms.desc())
        .limit(_STARTS_LOOKED_AT)
    )
    nodes = [node_of(id) for id in session.scalars(query)]
    return bool(nodes) and nodes[0] != fact.node and fact.node in nodes


def _advance(session: Session, event: Event, trigger: Trigger, at_ms: int) -> None:
    """Move the event on, or note what is held back until its start."""
    if holds_back(timetable_of(event), at_ms):
        event.on_air_ms = at_ms if trigger is Trigger.PROGRAM_LIVE else None
        moments = (event.due_ms, event.starts_at_ms)
        event.due_ms = min(moment for moment in moments if moment is not None)
        if trigger is not Trigger.PROGRAM_ENDED:
            return
        # The media node has closed the programme for good: it was, and nobody saw it.
        advance_event(session, event.id, Trigger.PROGRAM_LIVE, at_ms, by=Actor.MEDIA_NODE)
    advance_event(session, event.id, trigger, at_ms, by=Actor.MEDIA_NODE)


def _tell(session: Session, fact: MediaFact, at_ms: int) -> None:
    """Tell clients of it, if it is theirs."""
    kind = TOLD_FACTS.get(fact.type)
    event = None if kind is None else session.get(Event, fact.event)
    if kind is None or event is None or event.project != fact.project:
        return
    if fact.type is FactType.PUBLISHER_REFUSED and _is_repeated(session, fact, at_ms):
        return
    notice = Notice(fact.project, fact.event, kind, told_of(fact), event.traceparent)
    record(session, notice, at_ms)


def _is_repeated(session: Session, fact: MediaFact, at_ms: int) -> bool:
    """Whether the same refusal happened a moment ago: an encoder tries again every second."""
    query = (
        select(Fact.detail)
        .where(Fact.project == fact.project, Fact.event == fact.event)
        .where(Fact.at_ms > at_ms - REFUSED_AGAIN_MS, Fact.at_ms <= at_ms)
        .where(Fact.type == fact.type.value, Fact.id != fact.id)
        .order_by(Fact.at_ms.desc())
        .limit(_LOOKED_AT)
    )
    reason = fact.detail.get("reason")
    return any(detail.get("reason") == reason for detail in session.scalars(query))


def _note(event: Event, fact: MediaFact) -> None:
    """What is so from now on, beside the event's state."""
    if fact.type is not FactType.PUBLISHERS_PRESENT:
        event.recording_degraded = fact.type is FactType.RECORDING_DEGRADED
        return
    event.primary_connected = fact.detail.get(Role.PRIMARY.value) is True
    event.backup_connected = fact.detail.get(Role.BACKUP.value) is True
    active = fact.detail.get("active")
    event.active_role = active if active in ROLES else None


def usable(delivery: Delivery) -> MediaFact | None:
    """The fact of a delivery, if it can be stored at all."""
    fact = delivery.fact
    if fact is None or len(delivery.raw) > MAX_BYTES or not 0 <= fact.at_ns < MAX_AT_NS:
        return None
    try:
        detail = json.dumps(fact.detail, allow_nan=False)
    except ValueError:  # NaN or Infinity, which JSON has not
        return None
    # Postgres holds no NUL, wherever it hides.
    return None if "\\u0000" in detail or "\0" in f"{fact.id}{fact.event}{fact.project}" else fact


class FactConsumer:
    """One `run()` for the life of the process."""

    def __init__(
        self,
        reader: FactReader,
        databases: Databases,
        ring: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._reader = reader
        self._databases = databases
        self._ring = ring
        self._now_ms = now_ms
        self._tidy_at = 0.0
        self.problem: str | None = None

    async def run(self) -> None:
        """Take facts until cancelled, through outages of bus and database."""
        backoff = Backoff()
        try:
            while True:
                try:
                    await self.step()
                except BusUnavailable as error:
                    await self._wait(str(error), backoff)
                except DATABASE_ERRORS as error:
                    if not is_outage(error):
                        raise
                    await self._wait("the database does not answer", backoff)
                else:
                    self.problem = None
                    backoff.reset()
        finally:
            await self._let_go()

    async def step(self, *, block_ms: int = 1_000) -> int:
        """Take one batch, apply it, acknowledge it; returns how many entries it held."""
        if not await self._reader.hold():
            await asyncio.sleep(_STANDBY_S)
            return 0
        await self._tidy()
        deliveries = await self._reader.read(block_ms=block_ms)
        done: list[str] = []
        try:
            for delivery in deliveries:
                await self._apply(delivery)
                done.append(delivery.entry)
        finally:
            await self._acknowledge(done)
        return len(deliveries)

    async def _apply(self, delivery: Delivery) -> None:
        fact = usable(delivery)
        outcome = Outcome.POISON
        if fact is None:
            _log.error("a fact cannot be read", entry=delivery.entry, raw=delivery.raw[:500])
        else:
            outcome = await self._store(fact)
        _FACTS.labels(fact.type.value if fact else "unknown", outcome.value).inc()

    async def _store(self, fact: MediaFact) -> Outcome:
        try:
            async with self._databases.writing() as session, session.begin():
                outcome = await session.run_sync(apply_fact, fact)
        except IntegrityError:
            # Another process applied it in this very moment.
            return Outcome.DUPLICATE
        except SQLAlchemyError as error:
            if is_outage(error):
                raise
            _log.error("a fact is rejected by the database", fact=fact.id, exc_info=error)
            return Outcome.POISON
        if outcome is Outcome.APPLIED and (fact.type in _TRIGGERS or fact.type in TOLD_FACTS):
            self._ring()
        return outcome

    async def _acknowledge(self, done: Sequence[str]) -> None:
        if not done:
            return
        try:
            await self._reader.ack(done)
        except BusUnavailable:
            # They come again and change nothing.
            self._reader.rewind()
            raise

    async def _tidy(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._tidy_at:
            return
        old = Fact.at_ms < self._now_ms() - KEEP_MS
        some = select(Fact.id).where(old).order_by(Fact.at_ms).limit(TIDIED)
        unseen = {"synchronize_session": False}
        async with self._databases.writing() as session, session.begin():
            gone = await session.execute(
                delete(Fact).where(Fact.id.in_(some)), execution_options=unseen
            )
        # What is left goes with the next batch, so that facts never wait long for tidying.
        if cast("CursorResult[Any]", gone).rowcount < TIDIED:
            self._tidy_at = now + _TIDY_S

    async def _wait(self, problem: str, backoff: Backoff) -> None:
        if self.problem is None:
            _log.warning("facts cannot be taken; they wait on the bus", problem=problem)
        self.problem = problem
        self._reader.rewind()
        await asyncio.sleep(backoff.pause())

    async def _let_go(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self._reader.release()
        except (BusUnavailable, TimeoutError):
            _log.info("the lease on facts runs out by itself")
