"""The ledger: what jobs exist, who holds each, and what became of them.

Invariant: a job succeeds at most once, and every write by an attempt is guarded by that attempt's
fence in the same UPDATE that makes it, so an attempt that lost its lease (a zombie) changes
nothing. Attempts are counted when they start: a job that kills its worker runs out of them.

Upstream: the dispatcher files (so does the control API, what clients ask for), `coldpath.runner`
leases and finishes. Downstream: the database (SQLite or Postgres). `coldpath.deliveries` is the
other half: what the broker is owed. Celery only delivers ids. One method is one transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, func, insert, or_, select, update
from sqlalchemy.orm import Session

from coldpath.attempts import MAX_ERROR, failure_values, finish_attempt, give_up_attempt
from coldpath.clock import Clock, database_now_ms
from coldpath.errors import LeaseLost
from coldpath.event_state import advance_or_catch_up
from coldpath.notices import tell_asset, tell_dead, tell_succeeded
from coldpath.records import JobResult, Lease, asset_row, attempt_row, lease_of
from infra.db.jobs import Asset, Job, JobAttempt
from infra.jobs import orders, states
from infra.jobs.filing import JobRequest, insert_all_new, insert_new, job_row
from infra.jobs.orders import close_attempts, released
from infra.jobs.states import JobState, JobTrigger, sources

DEFAULT_LEASE_MS = 20_000
_IN_CHUNK = 500


class Ledger:
    """Jobs in a database that several processes share."""

    def __init__(
        self, engine: Engine, *, lease_ms: int = DEFAULT_LEASE_MS, clock: Clock = database_now_ms
    ) -> None:
        self.engine = engine
        self.lease_ms = lease_ms
        self.clock = clock

    def file(self, requests: Iterable[JobRequest]) -> list[JobRequest]:
        """Adds the jobs that are new and returns them; known ones are left as they are."""
        # A session of a day asks for ten thousand, and while they are inserted SQLite writes
        # nothing else.
        wanted = {request.id: request for request in requests}
        with Session(self.engine) as session, session.begin():
            now = self.clock(session)
            new = insert_all_new(session, Job, [job_row(r, now) for r in wanted.values()])
            return [request for request in wanted.values() if request.id in new]

    def unknown(self, jobs: Sequence[str]) -> set[str]:
        """Those that were never filed."""
        found: set[str] = set()
        with Session(self.engine) as session:
            for start in range(0, len(jobs), _IN_CHUNK):
                chunk = jobs[start : start + _IN_CHUNK]
                found.update(session.scalars(select(Job.id).where(Job.id.in_(chunk))))
        return set(jobs) - found

    def lease(self, job: str, owner: str, *, dead_owner: str | None = None) -> Lease | None:
        """Takes the job for one attempt, or None: it is done, waits, or somebody alive has it.

        A lease of `dead_owner` counts as run out. A job whose attempts are used up is buried.
        """
        with Session(self.engine) as session, session.begin():
            now = self.clock(session)
            if self._bury_spent(session, job, now, dead_owner):
                return None
            taken = session.execute(
                update(Job)
                .where(
                    Job.id == job, _takeable(now, dead_owner), Job.attempt_count < Job.max_attempts
                )
                .values(
                    state=JobState.LEASED.value,
                    lease_owner=owner,
                    lease_until_ms=now + self.lease_ms,
                    fence=Job.fence + 1,
                    attempt_count=Job.attempt_count + 1,
                    progress=0,
                    next_attempt_ms=None,
                    started_ms=func.coalesce(Job.started_ms, now),
                    updated_ms=now,
                )
                .returning(Job)
                .execution_options(synchronize_session=False)
            ).scalar_one_or_none()
            if taken is None:
                return None
            close_attempts(session, job, now, "lost", "another attempt took the job over")
            session.execute(insert(JobAttempt).values(attempt_row(taken, owner, now)))
            return lease_of(taken, _postponed(session, taken))

    def start(self, lease: Lease) -> None:
        """The function is about to run."""
        self._owned(lease, JobTrigger.START, {"state": JobState.RUNNING.value})

    def extend(self, lease: Lease) -> None:
        """Keeps the lease; raises `LeaseLost` when it is no longer this attempt's."""
        self._owned(lease, None, {})

    def progress(self, lease: Lease, thousandths: int) -> None:
        """Notes how far the attempt is, and keeps the lease."""
        self._owned(lease, None, {"progress": max(0, min(1000, thousandths))})

    def checkpoint(self, lease: Lease, done: Mapping[str, Any]) -> None:
        """Notes what a further attempt need not do again, and keeps the lease."""
        self._owned(lease, None, {"checkpoint": dict(done)})

    def succeed(
        self, lease: Lease, result: JobResult, cost: Mapping[str, Any], log: str | None = None
    ) -> None:
        """Records outputs and assets and moves the event on, all or nothing."""
        with Session(self.engine) as session, session.begin():
            now = self.clock(session)
            values = {
                "state": JobState.SUCCEEDED.value,
                "outputs": dict(result.outputs),
                "cost": dict(cost),
                "progress": 1000,
                "checkpoint": None,
                "error": None,
                "finished_ms": now,
            }
            self._write(session, lease, sources(JobTrigger.SUCCEED), values, now)
            finish_attempt(session, lease, now, "succeeded", log=log)
            tell_succeeded(session, lease, cost, now)
            for asset in result.assets:
                if insert_new(session, Asset, asset_row(lease, asset, now)):
                    tell_asset(session, lease, asset, now)
            if result.trigger is not None:
                advance_or_catch_up(session, lease.event, result.trigger, now)

    def fail(
        self,
        lease: Lease,
        error: str,
        *,
        permanent: bool = False,
        delay_ms: int | None = None,
        log: str | None = None,
    ) -> JobState:
        """Records the failed attempt; the job is `retrying` after a pause, or `dead`."""
        with Session(self.engine) as session, session.begin():
            now = self.clock(session)
            job = session.scalars(
                select(Job).where(Job.id == lease.job).with_for_update()
            ).one_or_none()
            if job is None or job.fence != lease.fence:
                raise LeaseLost(f"{lease.job}: attempt {lease.fence} no longer owns the job")
            values = failure_values(job, error, now, permanent=permanent, delay_ms=delay_ms)
            self._write(session, lease, sources(JobTrigger.FAIL), values, now)
            finish_attempt(session, lease, now, "failed", error, log=log)
            if values["state"] == JobState.DEAD:
                tell_dead(session, job, error, now)
            return JobState(values["state"])

    def postpone(self, lease: Lease, error: str, *, delay_ms: int, log: str | None = None) -> None:
        """The attempt could not do its work, and that is not the job's fault: it does not count,
        and another one follows after a pause."""
        with Session(self.engine) as session, session.begin():
            now = self.clock(session)
            values = {
                **released(JobState.RETRYING, now),
                "attempt_count": Job.attempt_count - 1,
                "error": error[:MAX_ERROR],
                "next_attempt_ms": now + delay_ms,
            }
            self._write(session, lease, sources(JobTrigger.FAIL), values, now)
            finish_attempt(session, lease, now, "postponed", error, log=log)

    def release(self, lease: Lease, log: str | None = None) -> None:
        """The attempt gives its job back, with its checkpoint; it does not count."""
        with Session(self.engine) as session, session.begin():
            now = self.clock(session)
            values = {
                **released(JobState.QUEUED, now),
                "attempt_count": Job.attempt_count - 1,
                "delivery_sent_ms": None,
            }
            self._write(session, lease, sources(JobTrigger.HAND_BACK), values, now)
            finish_attempt(session, lease, now, "handed-back", log=log)

    def hand_back(self, worker: str) -> list[str]:
        """Gives back every job that processes of `worker` hold; their attempts do not count.

        The fence rises, so a process of the worker that still runs can write nothing.
        """
        with Session(self.engine) as session, session.begin():
            now = self.clock(session)
            jobs = session.scalars(
                update(Job)
                .where(
                    Job.lease_owner.startswith(worker + "/", autoescape=True),
                    Job.state.in_(sources(JobTrigger.HAND_BACK)),
                )
                .values(
                    **released(JobState.QUEUED, now),
                    fence=Job.fence + 1,
                    attempt_count=Job.attempt_count - 1,
                    delivery_sent_ms=None,
                )
                .returning(Job.id)
                .execution_options(synchronize_session=False)
            ).all()
            for job in jobs:
                close_attempts(session, job, now, "handed-back", None)
            return list(jobs)

    def cancel(self, job: str) -> bool:
        """Stops the job for good; an attempt that runs finds out at its next write."""
        with Session(self.engine) as session, session.begin():
            return orders.cancel(session, job, self.clock(session))

    def requeue(self, job: str) -> bool:
        """Gives a dead job a fresh round of attempts."""
        with Session(self.engine) as session, session.begin():
            return orders.requeue(session, job, self.clock(session))

    def owner(self, job: str) -> str | None:
        """Who holds the job now."""
        with Session(self.engine) as session:
            return session.scalar(
                select(Job.lease_owner).where(Job.id == job, Job.state.in_(states.OWNED))
            )

    def _bury_spent(self, session: Session, job: str, now: int, dead_owner: str | None) -> bool:
        """The poison cap: the last attempt did not live to report its failure."""
        row = session.scalars(
            select(Job)
            .where(
                Job.id == job,
                Job.state.in_(states.OWNED),
                _run_out(now, dead_owner),
                Job.attempt_count >= Job.max_attempts,
            )
            .with_for_update()
        ).one_or_none()
        if row is None:
            return False
        give_up_attempt(session, row, now)
        return True

    def _owned(self, lease: Lease, trigger: JobTrigger | None, values: Mapping[str, Any]) -> None:
        allowed = states.OWNED if trigger is None else sources(trigger)
        with Session(self.engine) as session, session.begin():
            now = self.clock(session)
            kept = {**values, "lease_until_ms": now + self.lease_ms}
            self._write(session, lease, allowed, kept, now)

    def _write(
        self,
        session: Session,
        lease: Lease,
        allowed: frozenset[JobState],
        values: Mapping[str, Any],
        now: int,
    ) -> None:
        written = session.execute(
            update(Job)
            .where(Job.id == lease.job, Job.fence == lease.fence, Job.state.in_(allowed))
            .values({**values, "updated_ms": now})
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        if written is None:
            raise LeaseLost(f"{lease.job}: attempt {lease.fence} no longer owns the job")


def _postponed(session: Session, job: Job) -> int:
    """Attempts of this round that were postponed; asked only where some attempt did not count."""
    if job.fence == job.attempt_count:
        return 0
    found = session.scalar(
        select(func.count()).where(
            JobAttempt.job == job.id,
            JobAttempt.outcome == "postponed",
            JobAttempt.started_ms >= job.started_ms,
        )
    )
    return found or 0


def _run_out(now: int, dead_owner: str | None) -> ColumnElement[bool]:
    late = Job.lease_until_ms < now
    return late if dead_owner is None else or_(late, Job.lease_owner == dead_owner)


def _takeable(now: int, dead_owner: str | None) -> ColumnElement[bool]:
    # The states together are `sources(JobTrigger.LEASE)`; each has its own condition.
    return or_(
        Job.state == JobState.QUEUED.value,
        and_(Job.state == JobState.RETRYING.value, Job.next_attempt_ms <= now),
        and_(Job.state.in_(states.OWNED), _run_out(now, dead_owner)),
    )
