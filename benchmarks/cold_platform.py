"""What the platform itself costs: a trivial function on an embedded stack.

SeaweedFS with its webhook, dispatcher, Valkey and worker run as `livepath up` starts them, with
their default niceness. First objects come one at a time: from the moment at which a client begins
to store one until the function's first line, so the store's own time is in it. Then a backlog waits
while the worker is stopped, and is worked off: jobs a second, and CPU of dispatcher, worker and
broker for each.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.orm import Session

from benchmarks import trivial_function
from benchmarks.accounting import Usage, usage
from benchmarks.whep_clients import percentiles
from infra.db.engine import sync_engine
from infra.db.jobs import Job
from infra.storage.objects import ObjectStore
from tests.support.stack import RunningStack, stack_on_thread

ROLES = frozenset({"s3", "valkey-broker", "valkey-bus", "control", "dispatcher", "worker"})
COUNTED = ("dispatcher", "worker", "valkey-broker")
WARM = 20
PAUSE_S = (0.05, 0.15)
"""Between two objects, at random, so that they come at any moment of whatever has a period."""
PATIENCE_S = 120.0

Row = dict[str, Any]


class Platform:
    """A stack that runs, and its ledger."""

    def __init__(self, stack: RunningStack, engine: Engine, store: ObjectStore) -> None:
        self._stack = stack
        self._engine = engine
        self._store = store
        self._put = 0

    def starts_ms(self, objects: int) -> Row:
        """From the begin of each PUT to the function's first line."""
        self._one_by_one(WARM)  # a pool process imports what it needs with its first job
        first = self._put
        stored = self._one_by_one(objects)
        began = self._began_ns()
        found = [(began[key] - at) / 1e6 for key, at in stored.items()]
        return {"jobs": self._put - first, "event_to_start_ms": percentiles(found, 1)}

    def backlog(self, jobs: int) -> Row:
        """What a backlog of so many takes."""
        before = self._used()
        self._stack.pause("worker")
        for _ in range(jobs):
            self._store_one()
        # What a worker was quicker to take than the dispatcher to note has begun.
        sent = or_(Job.delivery_sent_ms.is_not(None), Job.started_ms.is_not(None))
        self._until("all are sent", sent)
        began = time.monotonic()
        self._stack.resume("worker")
        self._until("all are done", Job.state == "succeeded")
        seconds = time.monotonic() - began
        used = {role: found.since(before[role]) for role, found in self._used().items()}
        cpu_s = sum(used.values())
        return {
            "backlog": jobs,
            "jobs_per_s": round(jobs / seconds, 1),
            "jobs_per_s_per_core": round(jobs / cpu_s, 1),
            "cpu_ms_per_job": {k: round(1000 * v / jobs, 2) for k, v in used.items()},
        }

    def _one_by_one(self, objects: int) -> dict[str, int]:
        """Key to Unix ns at which storing it began."""
        stored = {}
        for _ in range(objects):
            at = time.time_ns()
            stored[self._store_one()] = at
            time.sleep(random.uniform(*PAUSE_S))
        self._until("all are done", Job.state == "succeeded")
        return stored

    def _store_one(self) -> str:
        key = trivial_function.key(self._put)
        self._put += 1
        self._store.put(key, b"x", "application/octet-stream")
        return key

    def _began_ns(self) -> dict[str, int]:
        with Session(self._engine) as session:
            rows = session.execute(select(Job.input_key, Job.outputs).where(_OURS)).tuples()
            return {key: int(outputs["began_ns"]) for key, outputs in rows}

    def _until(self, what: str, condition: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self._count(condition) < self._put:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {PATIENCE_S:g} s: {what}")
            time.sleep(0.02)

    def _count(self, condition: Any) -> int:
        with Session(self._engine) as session:
            statement = select(func.count()).select_from(Job).where(_OURS, condition)
            return session.execute(statement).scalar_one()

    def _used(self) -> dict[str, Usage]:
        return {role: usage([self._stack.pid(role)]) for role in COUNTED}


_OURS = Job.function == "trivial"


@contextmanager
def platform() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="livepath-") as folder:
        path = trivial_function.install(Path(folder) / "packages", trivial_function.__name__)
        with stack_on_thread(
            Path(folder) / "data", only=ROLES, environment={"PYTHONPATH": path}
        ) as stack:
            engine = sync_engine(stack.endpoints.database_url)
            with ObjectStore.from_url(stack.endpoints.s3_url) as store:
                store.ensure_bucket()
                yield Platform(stack, engine, store)
            engine.dispose()


def measure(objects: int, backlog: int, say: Callable[[str], None]) -> Row:
    say("a stack is started ...")
    with platform() as running:
        say(f"{objects} objects, one at a time ...")
        row = running.starts_ms(objects)
        say(f"a backlog of {backlog} jobs ...")
        return row | running.backlog(backlog)
