"""One job of one function, run in the test's process over a ledger in a file."""

from pathlib import Path

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from coldpath.binding import Registry
from coldpath.context import JobFunction
from coldpath.ledger import Ledger
from coldpath.plan import ObjectVersion, plan
from coldpath.runner import Runner
from infra.db.engine import sync_engine
from infra.db.jobs import Job, JobAttempt
from infra.keys import ManifestKey
from infra.storage.memory import MemoryObjectStore
from tests.support.databases import migrated_sqlite

OBJECT = ObjectVersion("live/p/e/main/i1/manifest.json", "v1")


class Bench:
    """A ledger with one job of one function."""

    def __init__(self, folder: Path, lease_ms: int = 60_000) -> None:
        self.engine: Engine = sync_engine(migrated_sqlite(folder))
        self.ledger = Ledger(self.engine, lease_ms=lease_ms)
        self.store = MemoryObjectStore()
        self.registry: Registry[JobFunction] = Registry()
        self.scratch = folder / "scratch"
        self.job = ""
        self.stopping = False

    def given(self, function: JobFunction) -> Runner:
        self.registry.function("test", on=ManifestKey, max_attempts=3)(function)
        (request,) = self.ledger.file(plan([OBJECT], self.registry))
        self.job = request.id
        return self.runner()

    def runner(self, worker: str = "w1") -> Runner:
        return Runner(
            self.ledger,
            self.store,
            self.registry,
            scratch=self.scratch,
            worker=worker,
            stopping=lambda: self.stopping,
        )

    def row(self) -> Job:
        with Session(self.engine, expire_on_commit=False) as session:
            return session.get_one(Job, self.job)

    def logs(self) -> list[str | None]:
        with Session(self.engine) as session:
            return list(session.scalars(select(JobAttempt.log).order_by(JobAttempt.number)))

    def outcomes(self) -> list[str | None]:
        with Session(self.engine) as session:
            return list(session.scalars(select(JobAttempt.outcome).order_by(JobAttempt.number)))

    def past(self) -> None:
        """What attempts there were began a minute earlier: rounds of a test are too close."""
        with Session(self.engine) as session, session.begin():
            session.execute(update(JobAttempt).values(started_ms=JobAttempt.started_ms - 60_000))

    def set(self, **values: object) -> None:
        with Session(self.engine) as session, session.begin():
            session.execute(update(Job).where(Job.id == self.job).values(**values))
