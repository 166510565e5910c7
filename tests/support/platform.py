"""The cold path as those who run machines see it: roles that come and go, and long work.

One dispatcher, one broker, one bucket. Functions wait for files, so a test decides what happens
first (`tests.support.patient`).
"""

import json
import shutil
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.orm import Session

from infra.db.jobs import Job
from infra.events.bell import CHANNEL
from infra.jobs.filing import insert_new, job_row, requested
from infra.keys import ProgramKey
from tests.support.coldpath import ROOT, TOKEN, ColdStack, Role
from tests.support.patient import QUEUE
from tests.support.valkey import ValkeyServer

NEVER_S = "3600"
AT_ONCE_S = "0.1"
TERMS = {"steps": 3600, "held": 3600, "slow": 1, "deaf": 1, "parent": 1, "half": 9}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class World:
    """The roles that run, and what a client and a test can do."""

    def __init__(self, stack: ColdStack, broker: ValkeyServer) -> None:
        self.stack = stack
        self.broker = broker
        self._dispatcher: Role | None = None
        self._sweep_s = ""
        self._worker: Role | None = None

    def dispatcher(self, sweep_s: str = AT_ONCE_S) -> None:
        """Makes the dispatcher one that looks into the ledger this often."""
        if self._dispatcher is not None and self._sweep_s != sweep_s:
            self._dispatcher.kill()
            self._dispatcher = None
        if self._dispatcher is None:
            self._dispatcher = self.stack.dispatcher(LIVEPATH_SWEEP_INTERVAL_S=sweep_s)
            self._sweep_s = sweep_s

    def worker(self) -> Role:
        """The worker that runs two jobs side by side; a new one when a test ended it."""
        if self._worker is None or not self._worker.runs:
            self._worker = self.stack.worker(LIVEPATH_WORKER_CONCURRENCY="2")
        return self._worker

    def no_worker(self) -> None:
        if self._worker is not None and self._worker.runs:
            assert self._worker.terminate() == 0

    def file(
        self,
        function: str,
        event: str,
        *,
        project: str = "p",
        sent_ms: int | None = None,
        **params: object,
    ) -> str:
        """As the control API does; the bell is another matter. `sent_ms`: when the test itself
        sends the delivery."""
        request = requested(
            function,
            ProgramKey(project, event),
            params,
            queue=QUEUE,
            max_attempts=3,
            timeout_s=TERMS[function],
        )
        with Session(self.stack.engine) as session, session.begin():
            row = {**job_row(request, now_ms()), "delivery_sent_ms": sent_ms}
            assert insert_new(session, Job, row)
        return request.id

    def tell(self, keys: Iterable[str]) -> None:
        """As MinIO does of new objects."""
        records = [
            {
                "eventName": "s3:ObjectCreated:Put",
                "s3": {"bucket": {"name": "cold"}, "object": {"key": key}},
            }
            for key in keys
        ]
        request = Request(
            f"http://127.0.0.1:{self.stack.dispatcher_port}/events/minio",
            json.dumps({"Records": records}).encode(),
            {"Authorization": f"Bearer {TOKEN}"},
        )
        with urlopen(request) as answer:
            assert answer.status == 204

    def ring(self) -> int:
        """How many dispatchers heard it."""
        with self.broker.client() as client:
            return int(client.publish(CHANNEL, ""))

    def outcomes(self, event: str) -> list[str | None]:
        return [attempt.outcome for attempt in self.stack.attempts(event)]

    def metrics(self, name: str) -> dict[str, float]:
        """The dispatcher's, by queue."""
        with urlopen(f"http://127.0.0.1:{self.stack.dispatcher_port}/metrics") as answer:
            text = answer.read().decode()
        return {
            sample.labels["queue"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }


def loudness(folder: Path) -> Path:
    """Installs the example as an installer does, without building a wheel first."""
    source, target = ROOT / "examples/loudness", folder / "installed"
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"]["livepath.functions"].items()
    metadata = target / f"livepath_loudness-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (metadata / "entry_points.txt").write_text(
        "\n".join(["[livepath.functions]", *(f"{name} = {module}" for name, module in entries)])
    )
    shutil.copy(source / "livepath_loudness.py", target)
    return target


def states(world: World, event: str) -> list[str]:
    return sorted(job.state for job in world.stack.jobs(event))


class Long:
    """A job of several steps, of which the test lets one happen after the other."""

    def __init__(self, world: World, event: str, folder: Path, steps: int) -> None:
        self._world, self._event, self._folder, self._steps = world, event, folder, steps
        self.job = world.file("steps", event, folder=str(folder), steps=steps)

    def step(self, number: int) -> None:
        """Lets it happen, and sees it done."""
        (self._folder / f"go{number}").touch()
        self._world.stack.until(f"step {number}", (self._folder / f"did{number}").exists)

    def waits(self, number: int) -> None:
        """Sees it behind the checkpoint of the step before, where no notice has ended it yet."""
        self._world.stack.until(f"step {number} next", (self._folder / f"waits{number}").exists)

    def all(self) -> None:
        for number in range(self._steps):
            (self._folder / f"go{number}").touch()

    def holder(self) -> str:
        """The worker that has it, "" while nobody does."""
        (job,) = self._world.stack.jobs(self._event)
        return (job.lease_owner or "").partition("/")[0] if job.state == "running" else ""
