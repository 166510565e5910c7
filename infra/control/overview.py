"""A project at a glance, in a fixed number of statements and of bounded size.

Invariant: what is read depends on the limits below, never on how long a project has existed: of
what is over, only the newest rows; of what succeeded, none. Everything is scoped to one project.
Upstream: `routes.overview`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Subquery, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.control.ingest_schemas import PlaceOut
from infra.control.overview_schemas import (
    OverviewEvent,
    OverviewEvents,
    OverviewJobs,
    OverviewWebhook,
    StateCount,
    reading_out,
)
from infra.control.schemas import at
from infra.control.service import NOTICES
from infra.control.views import access_of, job_out, notice
from infra.control.webhook_schemas import webhook_out
from infra.db.control import OPEN_STATES, Event, Fact, Project
from infra.db.jobs import Job
from infra.db.webhooks import Webhook, WebhookDelivery
from infra.events.readings import Reading
from infra.jobs.states import JobState
from infra.lifecycle import WAITING, EventState
from infra.publishers import Role
from infra.webhooks.deliveries import DeliveryState

OPEN, OVER, JOBS = 50, 30, 30
"""Rows: events of a state that is not over, events that are over; jobs at work, and dead ones."""
RECENT_MS = 600_000
NOTES = 5
"""Of an event."""
DAY_MS = 86_400_000
_NOT_OVER = tuple(state.value for state in sorted(OPEN_STATES | {EventState.DRAFT}))
ON_AIR = frozenset({EventState.LIVE, EventState.RECONNECTING})
_UNDONE = tuple(
    state.value
    for state in JobState
    if state not in (JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED)
)


@dataclass(frozen=True, slots=True)
class SeenEvents:
    """The events of the overview, as the database has them."""

    counts: Mapping[str, int]
    rows: Sequence[Event]
    facts: Mapping[str, Sequence[Fact]]
    """By event, newest first."""

    @property
    def on_air(self) -> list[str]:
        return [row.id for row in self.rows if EventState(row.state) in ON_AIR]

    def out(self, readings: Mapping[str, Reading]) -> OverviewEvents:
        return OverviewEvents(
            counts=_counted(self.counts),
            items=[
                _event_out(row, self.facts.get(row.id, ()), readings.get(row.id))
                for row in self.rows
            ],
        )


class Overview:
    """What is read of one project, within one transaction."""

    def __init__(self, session: AsyncSession, project: str, now_ms: int) -> None:
        self._session = session
        self._project = project
        self._now_ms = now_ms

    async def name(self) -> str:
        query = select(Project.name).where(Project.id == self._project)
        return await self._session.scalar(query) or ""

    async def events(self) -> SeenEvents:
        mine, is_open = Event.project == self._project, Event.state.in_(_NOT_OVER)
        ranked = _ranked(Event, mine & is_open, _first())
        query = (
            select(Event, ranked.c.whole)
            .join(ranked, ranked.c.id == Event.id)
            .where(ranked.c.rank <= OPEN)
            .order_by(Event.state, ranked.c.rank)
        )
        found = (await self._session.execute(query)).all()
        rows: list[Event] = [row for row, _ in found]
        counts = {row.state: whole for row, whole in found}
        newest = (
            select(Event).where(mine, ~is_open).order_by(Event.created_ms.desc(), Event.id.desc())
        )
        over = (await self._session.scalars(newest.limit(OVER))).all()
        return SeenEvents(counts, [*rows, *over], await self._facts(rows))

    async def jobs(self) -> OverviewJobs:
        # By state, which few jobs have: SQLite would rather look at all of the project.
        mine = (Job.project.concat("") == self._project) & Job.state.in_(_UNDONE)
        ranked = _ranked(Job, mine, -Job.created_ms)
        query = (
            select(Job, ranked.c.whole)
            .join(ranked, ranked.c.id == Job.id)
            .where(ranked.c.rank <= JOBS)
            .order_by(Job.created_ms.desc(), Job.id)
        )
        found = (await self._session.execute(query)).all()
        rows: list[Job] = [row for row, _ in found]
        dead = [job_out(row) for row in rows if row.state == JobState.DEAD]
        active = [job_out(row) for row in rows if row.state != JobState.DEAD]
        counts = {row.state: whole for row, whole in found}
        return OverviewJobs(counts=_counted(counts), active=active[:JOBS], dead=dead)

    async def webhooks(self) -> list[OverviewWebhook]:
        query = select(Webhook).where(Webhook.project == self._project)
        hooks = (await self._session.scalars(query.order_by(Webhook.created_ms.desc()))).all()
        counted = (
            select(WebhookDelivery.webhook, WebhookDelivery.state, func.count())
            .where(WebhookDelivery.webhook.in_([hook.id for hook in hooks]))
            .where(WebhookDelivery.created_ms > self._now_ms - DAY_MS)
            .group_by(WebhookDelivery.webhook, WebhookDelivery.state)
        )
        counts: Counter[tuple[str, str]] = Counter()
        for hook, state, count in (await self._session.execute(counted)).all():
            counts[hook, state] = count
        return [
            OverviewWebhook(
                webhook=webhook_out(hook, self._now_ms),
                pending=counts[hook.id, DeliveryState.PENDING.value],
                failed=counts[hook.id, DeliveryState.FAILED.value],
            )
            for hook in hooks
        ]

    async def _facts(self, rows: Sequence[Event]) -> Mapping[str, Sequence[Fact]]:
        open_now = [row.id for row in rows if EventState(row.state) in OPEN_STATES]
        newest = (Fact.at_ms.desc(), Fact.id.desc())
        rank = func.row_number().over(partition_by=Fact.event, order_by=newest).label("rank")
        ranked = (
            select(Fact.id, rank)
            .where(Fact.project == self._project, Fact.event.in_(open_now))
            .where(Fact.at_ms > self._now_ms - RECENT_MS)
            .where(Fact.type.in_([kind.value for kind in NOTICES]))
            .subquery()
        )
        query = select(Fact).join(ranked, ranked.c.id == Fact.id).where(ranked.c.rank <= NOTES)
        found: defaultdict[str, list[Fact]] = defaultdict(list)
        for fact in await self._session.scalars(query.order_by(*newest)):
            found[fact.event].append(fact)
        return found


def _first() -> ColumnElement[int]:
    """Waiting events by their start, others from the newest on."""
    waiting = Event.state.in_([state.value for state in WAITING])
    starts = func.coalesce(Event.starts_at_ms, Event.created_ms)
    return case((waiting, starts), else_=-Event.created_ms)


def _ranked(
    table: type[Event] | type[Job], mine: ColumnElement[bool], first: ColumnElement[int]
) -> Subquery:
    """Ids with their place among those of the same state, and how many these are."""
    rank = func.row_number().over(partition_by=table.state, order_by=(first, table.id))
    whole = func.count().over(partition_by=table.state)
    columns = (table.id, table.state, rank.label("rank"), whole.label("whole"))
    return select(*columns).where(mine).subquery()


def _counted(counts: Mapping[str, int]) -> list[StateCount]:
    return [StateCount(state=state, count=count) for state, count in sorted(counts.items())]


def _event_out(event: Event, facts: Sequence[Fact], reading: Reading | None) -> OverviewEvent:
    state = EventState(event.state)
    is_open = state in OPEN_STATES
    return OverviewEvent(
        id=event.id,
        name=event.name,
        state=state,
        access=access_of(event),
        starts_at=at(event.starts_at_ms),
        ends_at=at(event.ends_at_ms),
        started_at=at(event.started_ms),
        ended_at=at(event.ended_ms),
        primary=PlaceOut(connected=is_open and event.primary_connected),
        backup=PlaceOut(connected=is_open and event.backup_connected),
        active=Role(event.active_role) if is_open and event.active_role else None,
        recording_degraded=event.recording_degraded,
        recent=[notice(fact) for fact in facts],
        reading=None if reading is None else reading_out(reading),
    )
