"""Attempts whose store or database fails, at places that a seed chooses.

Whatever fails, the job ends succeeded, once, and what it made is there once and whole.
"""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from coldpath.binding import Registry
from coldpath.context import JobContext, JobFunction
from coldpath.deliveries import Deliveries
from coldpath.ledger import Ledger
from coldpath.plan import ObjectVersion, plan
from coldpath.records import JobResult
from coldpath.runner import Outcome, Runner
from infra.db.engine import sync_engine
from infra.db.jobs import Job, JobAttempt
from infra.errors import StorageBusy
from infra.keys import ManifestKey, ProgramKey, WorkKey
from infra.storage.memory import MemoryObjectStore
from infra.storage.objects import ObjectInfo
from tests.support.databases import migrated_postgres
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.integration

INPUT = ObjectVersion("live/p/e/main/i1/manifest.json", "v1")
STEPS = 8
ATTEMPTS = 3


class Clock:
    """Milliseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self, _: Session) -> int:
        return self.now


class Ailing(MemoryObjectStore):
    """Answers 503 as a seed has it: before a request is carried out, or after."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.refused = 0
        self.writes: list[str] = []

    def put(
        self, key: str, data: bytes | Path, content_type: str, *, exclusive: bool = True
    ) -> str:
        self._may_fail()
        etag = super().put(key, data, content_type, exclusive=exclusive)
        self.writes.append(key)
        self._may_fail()
        return etag

    def head(self, key: str) -> ObjectInfo | None:
        self._may_fail()
        return super().head(key)

    def _may_fail(self) -> None:
        if self._random.random() < 0.3:
            self.refused += 1
            raise StorageBusy("503 Slow Down")


def part(number: int) -> str:
    return str(WorkKey(ProgramKey("p", "e"), "i1", "parts", f"{number}.bin"))


def steps(context: JobContext) -> JobResult:
    """Makes one object after the other, with a checkpoint behind each."""
    for number in range(int(context.resumed.get("done", 0)), STEPS):
        context.put(part(number), bytes([number]) * 9, "application/octet-stream")
        context.checkpoint({"done": number + 1})
    return JobResult({"keys": [part(number) for number in range(STEPS)]})


def registry(function: JobFunction) -> Registry[JobFunction]:
    made: Registry[JobFunction] = Registry()
    made.function("steps", on=ManifestKey, max_attempts=ATTEMPTS)(function)
    return made


def job_of(engine: Engine) -> Job:
    with Session(engine, expire_on_commit=False) as session:
        return session.scalars(select(Job)).one()


def outcomes(engine: Engine) -> list[str | None]:
    with Session(engine) as session:
        return list(session.scalars(select(JobAttempt.outcome).order_by(JobAttempt.number)))


@pytest.mark.parametrize("seed", range(6))
def test_a_store_that_refuses_now_and_then(engine: Engine, tmp_path: Path, seed: int) -> None:
    clock, store, functions = Clock(), Ailing(seed), registry(steps)
    ledger = Ledger(engine, clock=clock)
    ledger.file(plan([INPUT], functions))
    runner = Runner(ledger, store, functions, scratch=tmp_path / "scratch", worker="w")
    ended: list[Outcome] = []
    while Outcome.SUCCEEDED not in ended:
        ended.append(runner.run(job_of(engine).id))
        clock.now += 1_000_000
    assert store.refused > 0
    assert ended[:-1] == [Outcome.POSTPONED] * (len(ended) - 1)
    assert outcomes(engine) == ["postponed"] * (len(ended) - 1) + ["succeeded"]
    assert [info.key for info in MemoryObjectStore.list(store, "work/")] == sorted(
        map(part, range(STEPS))
    )
    # An object is written once, also where the store had it and said that it had not.
    assert sorted(store.writes) == sorted(map(part, range(STEPS)))
    assert job_of(engine).attempt_count == 1


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """One that a test may stop."""
    with PostgresServer() as server:
        yield server


def test_a_database_that_is_away_in_the_middle_of_an_attempt(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    """It is back before the lease has run out: the attempt notices nothing."""
    engine = sync_engine(migrated_postgres(own_postgres))

    def function(context: JobContext) -> JobResult:
        own_postgres.stop()
        own_postgres.start()
        return steps(context)

    functions = registry(function)
    ledger = Ledger(engine)
    ledger.file(plan([INPUT], functions))
    store = MemoryObjectStore()
    runner = Runner(ledger, store, functions, scratch=tmp_path / "scratch", worker="w")
    assert runner.run(job_of(engine).id) is Outcome.SUCCEEDED
    assert outcomes(engine) == ["succeeded"]
    engine.dispose()


def test_a_database_that_is_away_when_an_attempt_ends(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    """Nobody can be told; the lease runs out, and another attempt goes on from the checkpoint."""
    engine = sync_engine(migrated_postgres(own_postgres))
    clock, store = Clock(), MemoryObjectStore()
    at_the_end: list[Callable[[], object]] = [own_postgres.stop]

    def function(context: JobContext) -> JobResult:
        result = steps(context)
        while at_the_end:
            at_the_end.pop()()
        return result

    functions = registry(function)
    ledger, deliveries = Ledger(engine, lease_ms=500, clock=clock), Deliveries(engine, clock=clock)
    ledger.file(plan([INPUT], functions))
    job = job_of(engine).id
    runner = Runner(ledger, store, functions, scratch=tmp_path / "scratch", worker="w")
    with pytest.raises(DBAPIError):
        runner.run(job)
    assert "lease" not in [thread.name for thread in threading.enumerate()]
    own_postgres.start()
    assert job_of(engine).state == "running"
    clock.now += ledger.lease_ms + 1
    assert deliveries.release_expired(10) == [job]
    assert job_of(engine).checkpoint == {"done": STEPS}
    assert runner.run(job) is Outcome.SUCCEEDED
    assert outcomes(engine) == ["lost", "succeeded"]
    engine.dispose()
