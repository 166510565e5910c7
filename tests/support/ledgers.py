"""One job in a ledger: how it is filed and leased, and the rows that it leaves."""

from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from coldpath.ledger import Ledger
from coldpath.records import JobResult, Lease, NewAsset
from infra.db.control import Event, Project
from infra.db.jobs import Job
from infra.jobs.filing import JobRequest, job_id
from infra.lifecycle import EventState, Trigger

LEASE_MS = 1_000


def request(number: int = 1, max_attempts: int = 3, name: str = "manifest.json") -> JobRequest:
    key = f"live/p/ev_1/main/i{number}/{name}"
    return JobRequest(
        id=job_id("archive", key, "v1"),
        function="archive",
        project="p",
        event="ev_1",
        feed="main",
        input_key=key,
        input_version="v1",
        queue="bulk",
        max_attempts=max_attempts,
    )


JOB = request().id


def leased(ledger: Ledger, owner: str = "w1/10", **wanted: Any) -> Lease:
    """The job of `request(**wanted)`, filed and taken."""
    job = request(**wanted)
    ledger.file([job])
    lease = ledger.lease(job.id, owner)
    assert lease is not None
    return lease


def row(engine: Engine, job: str = JOB) -> Job:
    with Session(engine, expire_on_commit=False) as session:
        return session.get_one(Job, job)


def rows(engine: Engine, table: Any) -> list[Any]:
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(select(table).order_by(table.id)))


def add_event(engine: Engine, state: EventState) -> None:
    with Session(engine) as session, session.begin():
        session.add(Project(id="p", name="p", created_ms=0))
        session.flush()
        session.add(
            Event(
                id="ev_1",
                project="p",
                name="e",
                state=state.value,
                access="public",
                kid="k",
                created_ms=0,
                updated_ms=0,
            )
        )


ASSET = NewAsset("mp4", "vod/p/ev_1/main/c/archive.mp4", "video/mp4", 9, 4_000, {"piece": 0})
DONE = JobResult({"keys": [ASSET.key]}, [ASSET], Trigger.ARCHIVE_READY)
