"""The workload with nothing in its way: in this process, one job after the other.

Another bucket (in memory), another database (a file), no broker, no dispatcher: what the two runs
have in common is the functions and the runner.
"""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from coldpath.ledger import Ledger
from coldpath.runner import Outcome, Runner
from infra.db.control import Event, Project
from infra.db.engine import sync_engine
from infra.db.jobs import Job
from infra.lifecycle import EventState
from infra.storage.memory import MemoryObjectStore
from tests.chaos.evidence import Evidence, gathered
from tests.chaos.workload import Begin, Put, Workload, functions
from tests.support.databases import migrated_sqlite

LEASE_MS = 3_600_000


def clean_run(work: Workload, folder: Path, say: Callable[[str], None]) -> Evidence:
    """Does every job but the poison; raises `AssertionError` when one does not succeed at once."""
    engine = sync_engine(migrated_sqlite(folder))
    store = MemoryObjectStore()
    ledger = Ledger(engine, lease_ms=LEASE_MS)
    runner = Runner(ledger, store, functions(), scratch=folder / "scratch", worker="clean")
    with Session(engine) as session, session.begin():
        for deed in work.deeds:
            if isinstance(deed, Begin):
                add_event(session, deed.program.project, deed.program.event, now=0)
    for deed in work.deeds:
        if isinstance(deed, Put):
            store.put(deed.key, deed.data, deed.content_type)
    ledger.file(work.expected.values())
    jobs = [job for job in work.expected if job not in work.poison]
    for done, job in enumerate(jobs, 1):
        outcome = runner.run(job)
        if outcome is not Outcome.SUCCEEDED:
            with Session(engine) as session:
                error = session.get_one(Job, job).error
            raise AssertionError(f"{outcome} in the clean run: {work.expected[job]}: {error}")
        if done % 25 == 0 or done == len(jobs):
            say(f"clean run: {done} of {len(jobs)} jobs")
    found = gathered(engine, store)
    engine.dispose()
    return found


def add_event(session: Session, project: str, event: str, *, now: int) -> None:
    """Control's rows for an event that is on the air; they may be there already."""
    if session.get(Project, project) is None:
        session.add(Project(id=project, name=project, created_ms=0))
        session.flush()
    if session.get(Event, event) is None:
        session.add(
            Event(
                id=event,
                project=project,
                name=event,
                state=EventState.LIVE.value,
                access="public",
                kid="k1",
                created_ms=now,
                updated_ms=now,
            )
        )
