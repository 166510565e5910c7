"""A cold path of real processes: database, broker, object store, dispatcher and workers.

Roles run as `python -m coldpath ...`, with the settings that production reads. A test kills and
starts what it wants; everything is ended when the test is over.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.db.control import Event, Project
from infra.db.engine import migrate, sync_engine
from infra.db.jobs import Asset, Job, JobAttempt
from infra.lifecycle import EventState
from infra.storage.objects import ObjectStore
from tests.support.s3 import free_ports

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "event-token"
WAIT_S = 40.0
VISIBILITY_S = 6
"""Visibility timeout of the workers; their leases last half as long."""


class Role:
    """One `python -m coldpath` process in a session of its own."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        self.port = 0
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "coldpath", *arguments],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """kill -9 of the role and all its processes, as when the machine dies."""
        processes = self.children()
        self.process.kill()
        for child in processes:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait()
        psutil.wait_procs(processes, timeout=10)

    def freeze(self) -> None:
        """SIGSTOP: the role lives, holds what it holds, and does nothing."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume(self) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        """The role first: it starts no further one while it is frozen."""
        return [psutil.Process(self.process.pid), *self.children()] if self.runs else []

    def terminate(self, timeout_s: float = 20) -> int:
        """SIGTERM to the role alone; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def end(self) -> None:
        if self.runs:
            self.kill()


class ColdStack:
    """Where everything is, and one method per thing a test does to it."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str,
        broker_url: str,
        s3_url: str,
        port: int,
        settings: Mapping[str, str],
        queues: Sequence[str] = ("fast", "bulk"),
        functions: Sequence[str] = (),
    ) -> None:
        """`queues`: what the workers take. Jobs of others are filed, and not counted here; nor are
        those of other `functions`, where some are named."""
        self._settings = dict(settings)
        self._queues = queues
        self._counted = [Job.queue.in_(queues)]
        if functions:
            self._counted.append(Job.function.in_(functions))
        self.folder = folder
        self.database_url = database_url
        self.s3_url = s3_url
        self.broker_url = broker_url
        self.dispatcher_port = port
        self._stack = ExitStack()
        self._roles: list[Role] = []
        migrate(database_url)
        self.engine: Engine = sync_engine(database_url)
        self._stack.callback(self.engine.dispose)
        self.store = self._stack.enter_context(ObjectStore.from_url(s3_url))
        self.store.ensure_bucket()

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            "LIVEPATH_DATA_DIR": str(self.folder / "data"),
            "LIVEPATH_DATABASE_URL": self.database_url,
            "LIVEPATH_BROKER_URL": self.broker_url,
            "LIVEPATH_S3_URL": self.s3_url,
            "LIVEPATH_WEBHOOK_TOKEN": TOKEN,
            "LIVEPATH_DISPATCHER_PORT": str(self.dispatcher_port),
            "LIVEPATH_VISIBILITY_TIMEOUT_S": str(VISIBILITY_S),
            "LIVEPATH_RECONCILE_INTERVAL_S": "1",
            # Other tests beside these are no audience to give way to.
            "LIVEPATH_WORKER_NICENESS": "0",
            "LIVEPATH_WORKER_QUEUES": ",".join(self._queues),
            **self._settings,
            **extra,
        }

    def dispatcher(self, **extra: str) -> Role:
        role = self.start_dispatcher(**extra)
        self.until("the dispatcher is ready", lambda: self.ready(self.dispatcher_port, role))
        return role

    def worker(self, **extra: str) -> Role:
        role = self.start_worker(**extra)
        self.until("the worker is ready", lambda: self.ready(role.port, role))
        return role

    def start_dispatcher(self, **extra: str) -> Role:
        """One that may not be ready yet."""
        return self._role(["dispatch"], "dispatcher", extra)

    def start_worker(self, **extra: str) -> Role:
        """One that may not be ready yet."""
        settings = {"LIVEPATH_WORKER_PORT": str(free_ports(1)[0]), **extra}
        role = self._role(["worker"], "worker", settings)
        role.port = int(settings["LIVEPATH_WORKER_PORT"])
        return role

    def event(self, project: str, event: str, state: EventState = EventState.ENDED) -> None:
        """Control's rows for an event."""
        now = time.time_ns() // 1_000_000
        with Session(self.engine) as session, session.begin():
            if session.get(Project, project) is None:
                session.add(Project(id=project, name=project, created_ms=0))
                session.flush()
            session.add(
                Event(
                    id=event,
                    project=project,
                    name=event,
                    state=state.value,
                    access="public",
                    kid="k1",
                    created_ms=now,
                    updated_ms=now,
                )
            )

    def event_state(self, event: str) -> str:
        with Session(self.engine) as session:
            return session.scalars(select(Event.state).where(Event.id == event)).one()

    def jobs(self, event: str) -> list[Job]:
        return self._all(
            select(Job).where(Job.event == event, *self._counted).order_by(Job.created_ms, Job.id)
        )

    def idle(self) -> bool:
        """Whether workers have nothing to do, of any function."""
        busy = ("queued", "leased", "running", "retrying")
        return not self._all(
            select(Job).where(Job.queue.in_(self._queues), Job.state.in_(busy)).limit(1)
        )

    def attempts(self, event: str) -> list[JobAttempt]:
        return self._all(
            select(JobAttempt)
            .where(JobAttempt.job.in_(select(Job.id).where(Job.event == event, *self._counted)))
            .order_by(JobAttempt.number)
        )

    def assets(self, event: str) -> list[Asset]:
        return self._all(select(Asset).where(Asset.event == event).order_by(Asset.key))

    def until(self, what: str, condition: Callable[[], Any], timeout_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s:g} s: {what}\n{self.logs()}")
            time.sleep(0.02)

    def until_state(self, event: str, state: str, timeout_s: float = WAIT_S) -> Job:
        """Waits until the event has one job and it is in this state."""
        self.until(
            f"the job of {event} is {state}, not {[(j.state, j.error) for j in self.jobs(event)]}",
            lambda: [job.state for job in self.jobs(event)] == [state],
            timeout_s,
        )
        return self.jobs(event)[0]

    def logs(self) -> str:
        return "\n".join(
            f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}"
            for log in sorted(self.folder.glob("*.log"))
        )

    def close(self) -> None:
        self.end_roles()
        self._stack.close()

    def _role(self, arguments: list[str], name: str, extra: dict[str, str]) -> Role:
        log = self.folder / f"{name}-{len(self._roles)}.log"
        role = Role(arguments, self.environment(**extra), log)
        self._roles.append(role)
        return role

    def end_workers(self) -> None:
        """Kills every worker that runs."""
        for role in self._roles:
            if role.port:
                role.end()

    def end_roles(self) -> None:
        """Kills every role that still runs."""
        while self._roles:
            self._roles.pop().end()

    def ready(self, port: int, role: Role) -> bool:
        if role.process.poll() is not None:
            raise AssertionError(f"it exited with {role.process.returncode}\n{self.logs()}")
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _all(self, statement: Any) -> list[Any]:
        with Session(self.engine, expire_on_commit=False) as session:
            return list(session.scalars(statement))
