"""What ledger and bucket say when all is over, as plain facts for the proof.

Upstream: the database and the object store, of the clean run and of the other. Downstream:
`tests.chaos.proof`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.db.control import Event
from infra.db.jobs import Asset, Job, JobAttempt
from infra.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class JobFact:
    id: str
    function: str
    event: str
    state: str
    attempt_count: int
    max_attempts: int
    fence: int
    over: bool
    """It has a time at which it ended."""
    outputs: Mapping[str, Any]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptFact:
    job: str
    number: int
    started_ms: int
    ended_ms: int | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class AssetFact:
    event: str
    kind: str
    key: str
    bytes: int
    duration_ms: int | None
    detail: Mapping[str, Any]
    job: str


@dataclass(frozen=True, slots=True)
class Evidence:
    jobs: tuple[JobFact, ...]
    attempts: tuple[AttemptFact, ...]
    """By job, and of one job by number."""
    assets: tuple[AssetFact, ...]
    objects: Mapping[str, bytes]
    events: Mapping[str, str]
    """State by id."""


def gathered(engine: Engine, store: ObjectStore) -> Evidence:
    """All that there is."""
    with Session(engine) as session:
        jobs = [_job(row) for row in session.scalars(select(Job).order_by(Job.id))]
        attempts = [
            AttemptFact(row.job, row.number, row.started_ms, row.ended_ms, row.outcome)
            for row in session.scalars(
                select(JobAttempt).order_by(JobAttempt.job, JobAttempt.number)
            )
        ]
        assets = [_asset(row) for row in session.scalars(select(Asset).order_by(Asset.key))]
        events = dict(session.execute(select(Event.id, Event.state)).all())
    objects = {info.key: store.get(info.key) for info in store.list("")}
    return Evidence(tuple(jobs), tuple(attempts), tuple(assets), objects, events)


def _job(row: Job) -> JobFact:
    return JobFact(
        id=row.id,
        function=row.function,
        event=row.event,
        state=row.state,
        attempt_count=row.attempt_count,
        max_attempts=row.max_attempts,
        fence=row.fence,
        over=row.finished_ms is not None,
        outputs=dict(row.outputs),
        error=row.error,
    )


def _asset(row: Asset) -> AssetFact:
    return AssetFact(
        event=row.event,
        kind=row.kind,
        key=row.key,
        bytes=row.bytes,
        duration_ms=row.duration_ms,
        detail=dict(row.detail),
        job=row.job,
    )
