"""What waits for workers, per queue: the signals by which somebody starts and ends machines.

Invariant: only reads, and costs what waits costs, not what was ever done: the means come from the
last successes of the functions that wait, by an index.

Upstream: the dispatcher's probe. Downstream: the jobs table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from coldpath.clock import Clock, database_now_ms
from infra.db.jobs import Job
from infra.jobs import states
from infra.jobs.states import JobState

SAMPLE = 20
"""Successes that say what a job of a function costs."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """One queue."""

    waiting: int = 0
    """Jobs that a worker could start now."""
    running: int = 0
    """Jobs that workers hold."""
    oldest_s: float = 0.0
    """How long the one that waits longest has been waiting."""
    work_s: float = 0.0
    """Processor time that the waiting ones are going to take, by what such jobs took last. A
    function that never succeeded counts as nothing."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The waiting jobs of one function in one queue."""

    queue: str
    function: str
    count: int
    since_ms: int


def backlog(
    engine: Engine, queues: Iterable[str], *, clock: Clock = database_now_ms
) -> dict[str, Backlog]:
    """By queue: of those named, and of any other in which a job waits or runs."""
    with Session(engine) as session:
        now = clock(session)
        waiting = _waiting(session)
        running = _running(session)
        costs = {name: _mean_cpu_s(session, name) for name in {one.function for one in waiting}}
    found = {one.queue for one in waiting} | set(running) | set(queues)
    return {
        queue: _of(
            [one for one in waiting if one.queue == queue], running.get(queue, 0), costs, now
        )
        for queue in sorted(found)
    }


def _of(waiting: list[_Waiting], running: int, costs: dict[str, float], now: int) -> Backlog:
    oldest_ms = min((one.since_ms for one in waiting), default=now)
    return Backlog(
        waiting=sum(one.count for one in waiting),
        running=running,
        oldest_s=max(0, now - oldest_ms) / 1000,
        work_s=sum(one.count * costs[one.function] for one in waiting),
    )


def _waiting(session: Session) -> list[_Waiting]:
    # A queued job's row changed last when it was queued: sending its delivery is no change.
    rows = session.execute(
        select(Job.queue, Job.function, func.count(), func.min(Job.updated_ms))
        .where(Job.state == JobState.QUEUED.value)
        .group_by(Job.queue, Job.function)
    )
    return [_Waiting(*row) for row in rows]


def _running(session: Session) -> dict[str, int]:
    rows = session.execute(
        select(Job.queue, func.count()).where(Job.state.in_(states.OWNED)).group_by(Job.queue)
    )
    return dict(list(rows))


def _mean_cpu_s(session: Session, function: str) -> float:
    costs = session.scalars(
        select(Job.cost)
        .where(Job.function == function, Job.state == JobState.SUCCEEDED.value)
        .order_by(Job.finished_ms.desc())
        .limit(SAMPLE)
    ).all()
    return fmean(cost.get("cpu_ms", 0) for cost in costs) / 1000 if costs else 0.0
