"""From the database to the bus: keeps desired state there equal to what the database says.

Invariant: a row's `published_revision` is raised only after the bus has that revision, so a crash
or an outage between the two costs a repetition, never a change. Three passes: owed rows (at once
when rung, else every second); a comparison of everything (periodically, and after the bus server
restarted, because it may have lost its last second); a full rewrite when the epoch is missing.
Requests that changed what nodes must know wait, for a moment, until the bus has it: whoever read
the answer may connect an encoder at once.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import structlog
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from infra.auth.access import NOBODY
from infra.auth.revocation import Revocation
from infra.auth.tier_changes import TierChange
from infra.control.context import Databases
from infra.control.event_changes import timetable_of
from infra.control.links import FEED
from infra.control.marked import markers_of
from infra.control.revoked import revocations_of, tiers_of
from infra.control.schedule import holds_back
from infra.control.schemas import Access
from infra.db.control import OPEN_STATES, Event, Project, ProjectSecret, SigningKey
from infra.db.outage import DATABASE_ERRORS, is_outage
from infra.errors import BusUnavailable
from infra.events.bus import Backoff
from infra.events.desired import (
    DesiredEvent,
    DesiredMarker,
    DesiredProject,
    DesiredRevocation,
    DesiredTier,
)
from infra.events.desired_bus import DesiredBus, DesiredRecord
from infra.lifecycle import EventState

_log = structlog.get_logger(__name__)
KEEP_CLOSED_MS = 24 * 3600 * 1000
"""How long nodes still hear of an event that is over: its last segments are served for a while."""
TOLD_WITHIN_S = 2.0
"""How long an answer waits for the bus. A pass takes some ten milliseconds, but on SQLite the one
before it may wait for the disk."""
_PER_QUERY = 1_000
"""Rows; databases bound the parameters of a query, and the time that it takes."""
Keyed = TypeVar("Keyed", ProjectSecret, SigningKey)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows to publish, with what marks them as published afterwards."""

    records: Sequence[DesiredRecord]
    projects: Sequence[tuple[str, int]]
    events: Sequence[tuple[str, int]]
    """(id, revision) of the rows that are owed."""


class DesiredPublisher:
    """One `run()` for the life of the process; `ring()` from the same event loop."""

    def __init__(
        self,
        bus: DesiredBus,
        databases: Databases,
        now_ms: Callable[[], int],
        *,
        interval_s: float = 1.0,
        compare_s: float = 15.0,
    ) -> None:
        self._bus = bus
        self._databases = databases
        self._now_ms = now_ms
        self._interval_s = interval_s
        self._compare_s = compare_s
        self._bell = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._server_run = ""
        self._compared_at = float("-inf")
        self.problem: str | None = "desired state was not published yet"
        """None while the bus holds what the database says; a readiness check."""

    def ring(self) -> None:
        """Something changed: publish now."""
        self._bell.set()

    async def told(self, within_s: float = TOLD_WITHIN_S) -> None:
        """Wait until what is committed by now is on the bus; not for long, and not in trouble."""
        if self.problem is not None:
            return
        passed = asyncio.get_running_loop().create_future()
        self._waiting.append(passed)
        self.ring()
        await asyncio.wait([passed], timeout=within_s)

    async def run(self) -> None:
        """Publish until cancelled, through outages of bus and database."""
        backoff = Backoff()
        while True:
            try:
                await self.publish()
            except BusUnavailable as error:
                pause = self._troubled(str(error), backoff)
            except DATABASE_ERRORS as error:
                if not is_outage(error):
                    raise
                pause = self._troubled("the database does not answer", backoff)
            else:
                if self.problem is not None:
                    _log.info("desired state is published")
                self.problem = None
                backoff.reset()
                pause = self._interval_s
            await self._rest(pause)

    async def publish(self) -> None:
        """One pass of whatever kind is due."""
        self._bell.clear()
        waiting, self._waiting = self._waiting, []
        try:
            wanted = await self._put()
        finally:
            for passed in waiting:
                passed.set_result(None)
        await self._mark(wanted)

    async def _put(self) -> Wanted:
        """Bring the bus in step with the database; what it now holds."""
        server_run = await self._bus.server_run()
        if await self._bus.epoch() is None:
            wanted = await self._rewrite()
        elif server_run != self._server_run or self._comparison_is_due():
            wanted = await self._compare()
        else:
            wanted = await self._wanted(owed_only=True)
            await self._bus.put(wanted.records)
            return wanted
        self._server_run = server_run
        self._compared_at = asyncio.get_running_loop().time()
        return wanted

    def _comparison_is_due(self) -> bool:
        return asyncio.get_running_loop().time() - self._compared_at >= self._compare_s

    async def _rewrite(self) -> Wanted:
        wanted = await self._wanted(owed_only=False)
        await self._bus.replace_all(wanted.records, epoch=secrets.token_hex(8))
        _log.info("desired state was written afresh", records=len(wanted.records))
        return wanted

    async def _compare(self) -> Wanted:
        # The bus is read first: what changes meanwhile is newer in `wanted`, never older.
        held = await self._bus.held()
        wanted = await self._wanted(owed_only=False)
        missing = [record for record in wanted.records if held.get(record.field) != record.json]
        written = await self._bus.put(missing)
        await self._bus.remove(sorted(held.keys() - {record.field for record in wanted.records}))
        if written:
            _log.info("desired state was repaired or updated", records=written)
        return wanted

    async def _wanted(self, *, owed_only: bool) -> Wanted:
        now = self._now_ms()
        async with self._databases.reading() as session:
            projects = await _projects(session, owed_only=owed_only)
            query = select(Event)
            if owed_only:
                query = query.where(Event.published_revision < Event.revision)
            else:
                fresh = Event.updated_ms > self._now_ms() - KEEP_CLOSED_MS
                query = query.where(or_(Event.state.in_([s.value for s in OPEN_STATES]), fresh))
            events = (await session.scalars(query)).all()
            # After the events: what is newer than the revision read is sent once more later.
            ids = [event.id for event in events]
            markers = await markers_of(session, ids, now)
            revoked = await revocations_of(session, ids, now)
            tiers = await tiers_of(session, ids, now)
            whose = [project.id for project in projects] if owed_only else None
            keys: dict[str, dict[str, str]] = {}
            for row in await _of_projects(session, ProjectSecret, whose):
                keys.setdefault(row.project, {})[row.kid] = row.secret
            public: dict[str, dict[str, str]] = {}
            for key in await _of_projects(session, SigningKey, whose):
                public.setdefault(key.project, {})[key.id] = key.public
        records = [
            DesiredRecord.of(_desired_project(p, keys.get(p.id, {}), public.get(p.id, {})))
            for p in projects
        ]
        records += [
            DesiredRecord.of(
                desired_event(
                    event,
                    now,
                    markers.get(event.id, ()),
                    revoked.get(event.id, ()),
                    tiers.get(event.id, ()),
                )
            )
            for event in events
        ]
        return Wanted(records, _owed(projects), _owed(events))

    async def _mark(self, wanted: Wanted) -> None:
        if not wanted.projects and not wanted.events:
            return
        async with self._databases.writing() as session, session.begin():
            for table, owed in ((Project, wanted.projects), (Event, wanted.events)):
                if not owed:
                    continue
                statement = (
                    update(table)
                    .where(table.id == bindparam("row"))
                    .where(table.published_revision < bindparam("reached"))
                    .values(published_revision=bindparam("reached"))
                )
                connection = await session.connection()
                reached = [{"row": row, "reached": revision} for row, revision in owed]
                for at in range(0, len(reached), _PER_QUERY):
                    await connection.execute(statement, reached[at : at + _PER_QUERY])

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            pass

    def _troubled(self, problem: str, backoff: Backoff) -> float:
        if self.problem is None:
            _log.warning("desired state cannot be published; it will be", problem=problem)
        self.problem = problem
        return backoff.pause()


async def _projects(session: AsyncSession, *, owed_only: bool) -> Sequence[Project]:
    query = select(Project)
    if owed_only:
        query = query.where(Project.published_revision < Project.revision)
    return (await session.scalars(query)).all()


async def _of_projects(
    session: AsyncSession, table: type[Keyed], projects: Sequence[str] | None
) -> Sequence[Keyed]:
    """Rows of these projects; None: of all."""
    if projects is None:
        return (await session.scalars(select(table))).all()
    found: list[Keyed] = []
    for at in range(0, len(projects), _PER_QUERY):
        some = table.project.in_(projects[at : at + _PER_QUERY])
        found += await session.scalars(select(table).where(some))
    return found


def _owed(rows: Iterable[Project | Event]) -> list[tuple[str, int]]:
    return [(row.id, row.revision) for row in rows if row.published_revision < row.revision]


def _desired_project(
    project: Project, keys: dict[str, str], public: dict[str, str]
) -> DesiredProject:
    return DesiredProject(
        id=project.id, secrets=keys, public_keys=public, revision=project.revision
    )


def desired_event(
    event: Event,
    now_ms: int,
    markers: Sequence[DesiredMarker] = (),
    revocations: Sequence[Revocation] = (),
    tiers: Sequence[TierChange] = (),
) -> DesiredEvent:
    """What a media node needs to know of the event now."""
    too_early = holds_back(timetable_of(event), now_ms)
    return DesiredEvent(
        id=event.id,
        project=event.project,
        feed=FEED,
        revision=event.revision,
        open=EventState(event.state) in OPEN_STATES,
        access=NOBODY if too_early else cast("Access", event.access),
        kid=event.kid,
        generation=event.generation,
        staying_generation=event.staying_generation,
        takeover=event.takeover,
        reconnect_window_s=event.reconnect_window_s,
        target_duration_s=event.target_duration_s,
        renditions=tuple(event.renditions),
        dvr_window_s=event.dvr_window_s,
        recording=event.recording,
        markers=tuple(markers),
        revocations=tuple(
            DesiredRevocation(token=each.token, subject=each.subject, until=each.until)
            for each in revocations
        ),
        tiers=tuple(
            DesiredTier(subject=each.subject, tier=each.tier, cap=each.cap, until=each.until)
            for each in tiers
        ),
        traceparent=event.traceparent,
    )
