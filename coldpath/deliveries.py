"""What the broker is owed: the ledger's other half, run by the dispatcher.

Invariant: every job that is queued, or retrying and due, is sent sooner or later, whatever the
broker forgot; sending one too often is harmless because a delivery only names a job and the
ledger lets one attempt hold it.

Upstream: `coldpath.dispatch` and `coldpath.reconcile`. Downstream: the database. One method is one
transaction.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Engine, Select, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from coldpath.attempts import give_up_attempt
from coldpath.clock import Clock, database_now_ms
from infra.db.control import Event
from infra.db.jobs import Job
from infra.jobs import states
from infra.jobs.states import JobState
from infra.lifecycle import EventState

_IN_CHUNK = 500
_DAY_MS = 86_400_000
OwedRows: TypeAlias = Select[str, str, int, str | None, str, str]
"""(job, queue, timeout_s, traceparent, function, project)"""
_ARCHIVING = (EventState.ENDED, EventState.RECONNECTING, EventState.LIVE)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to send: the job's id into its queue."""

    job: str
    queue: str
    timeout_s: int = 3600
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class EventPrefix:
    """An event that has no archive yet."""

    project: str
    event: str


class Deliveries:
    """Finds owed deliveries and notes sent ones."""

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock = database_now_ms,
        per_project: Mapping[str, int] | None = None,
    ) -> None:
        """`per_project`: by function, how many jobs a project may have under way at once."""
        self._engine = engine
        self._clock = clock
        self.per_project = dict(per_project or {})

    def release_expired(self, limit: int) -> list[str]:
        """Ends attempts whose lease ran out; their jobs become retrying or dead."""
        with Session(self._engine) as session, session.begin():
            now = self._clock(session)
            late = session.scalars(
                select(Job)
                .where(Job.state.in_(states.OWNED), Job.lease_until_ms < now)
                .order_by(Job.lease_until_ms)
                .limit(limit)
                .with_for_update(skip_locked=True)
            ).all()
            for job in late:
                give_up_attempt(session, job, now)
            return [job.id for job in late]

    def requeue_due(self, limit: int) -> list[str]:
        """Queues jobs whose pause is over."""
        with Session(self._engine) as session, session.begin():
            now = self._clock(session)
            due = session.scalars(
                select(Job)
                .where(Job.state == JobState.RETRYING.value, Job.next_attempt_ms <= now)
                .order_by(Job.next_attempt_ms)
                .limit(limit)
                .with_for_update(skip_locked=True)
            ).all()
            for job in due:
                job.state = JobState.QUEUED.value
                job.next_attempt_ms = None
                job.delivery_sent_ms = None
                job.updated_ms = now
            return [job.id for job in due]

    def owed(self, limit: int) -> list[Delivery]:
        """Queued jobs that no broker was told of, without those that have to wait for others of
        their project. Two dispatchers that ask at once may let a few too many go."""
        with Session(self._engine) as session:
            under_way = self._under_way(session)
            found: list[Delivery] = []
            rows = session.execute(self._in_turn(under_way).limit(limit))
            for job, queue, timeout_s, traceparent, function, project in rows:
                pair = (function, project)
                if not self._is_full(pair, under_way[pair]):
                    under_way[pair] += 1
                    found.append(Delivery(job, queue, timeout_s, traceparent))
            return found

    def _in_turn(self, under_way: Counter[tuple[str, str]]) -> OwedRows:
        """Owed jobs, oldest first, and of a project no more than may be under way: what waits
        behind its limit must not fill the answer, for others wait behind that."""
        full = [pair for pair, count in under_way.items() if self._is_full(pair, count)]
        place = func.row_number().over(
            partition_by=(Job.function, Job.project), order_by=(Job.created_ms, Job.id)
        )
        columns = (Job.id, Job.queue, Job.timeout_s, Job.traceparent, Job.function, Job.project)
        owed = (
            select(*columns, Job.created_ms, place.label("place"))
            .where(
                Job.state == JobState.QUEUED.value,
                Job.delivery_sent_ms.is_(None),
                *(~and_(Job.function == f, Job.project == p) for f, p in full),
            )
            .subquery()
        )
        found: OwedRows = select(*(owed.c[column.key] for column in columns))
        if self.per_project:
            most = case(self.per_project, value=owed.c.function)
            found = found.where(or_(most.is_(None), owed.c.place <= most))
        return found.order_by(owed.c.created_ms, owed.c.id)

    def _is_full(self, pair: tuple[str, str], count: int) -> bool:
        most = self.per_project.get(pair[0])
        return most is not None and count >= most

    def _under_way(self, session: Session) -> Counter[tuple[str, str]]:
        """Jobs that are with the broker or with a worker, of functions that have a limit."""
        if not self.per_project:
            return Counter()
        rows = session.execute(
            select(Job.function, Job.project, func.count())
            .where(
                Job.function.in_(self.per_project),
                or_(
                    Job.state.in_(states.OWNED),
                    and_(Job.state == JobState.QUEUED.value, Job.delivery_sent_ms.is_not(None)),
                ),
            )
            .group_by(Job.function, Job.project)
        )
        return Counter({(function, project): count for function, project, count in rows})

    def sent(self, jobs: Collection[str]) -> None:
        """The broker took these deliveries."""
        if not jobs:
            return
        with Session(self._engine) as session, session.begin():
            session.execute(
                update(Job)
                .where(Job.id.in_(jobs), Job.state == JobState.QUEUED.value)
                .values(delivery_sent_ms=self._clock(session))
                .execution_options(synchronize_session=False)
            )

    def forget_lost(
        self, live: Collection[str], queues: Collection[str], older_than_ms: int
    ) -> list[str]:
        """Marks queued jobs as owed again when their delivery, sent long enough ago, is not among
        the broker's `live` ones. Younger ones may be on their way to the broker. Of a queue that is
        not among `queues`, nothing is known."""
        with Session(self._engine) as session, session.begin():
            stale = (
                Job.state == JobState.QUEUED.value,
                Job.queue.in_(queues),
                Job.delivery_sent_ms < self._clock(session) - older_than_ms,
            )
            lost = [job for job in session.scalars(select(Job.id).where(*stale)) if job not in live]
            for start in range(0, len(lost), _IN_CHUNK):
                session.execute(
                    update(Job)
                    .where(Job.id.in_(lost[start : start + _IN_CHUNK]), *stale)
                    .values(delivery_sent_ms=None)
                    .execution_options(synchronize_session=False)
                )
            return lost

    def awaiting_archive(self, limit: int) -> Sequence[EventPrefix]:
        """Events of the last day that were on air and have no archive: the first place to look
        for lost object events. Older ones, of which nothing was recorded, are left to the walk."""
        with Session(self._engine) as session:
            recent = self._clock(session) - _DAY_MS
            rows = session.execute(
                select(Event.project, Event.id)
                .where(Event.state.in_(_ARCHIVING), Event.updated_ms > recent)
                .order_by(Event.updated_ms.desc())
                .limit(limit)
            )
            return [EventPrefix(project, event) for project, event in rows]
