"""The worker role: Celery with a pool of processes, each of which runs one job at a time.

The main process talks to the broker, keeps deliveries invisible and answers health questions. It
forks the pool's processes; each makes its own database engine and store connection when it starts,
because neither survives a fork. On SIGTERM jobs have `LIVEPATH_WORKER_GRACE_S` to finish; what is
left is handed back to the ledger, so another worker takes it at once. A notice that the machine is
about to go (`coldpath.spot`) stops the taking of work; jobs with checkpoints are handed back at the
next. After a mere recommendation to leave the machine, a worker that has nothing left to do ends.
"""

import logging
import os
import secrets
import signal
import socket
import time
import warnings
from collections.abc import Mapping
from typing import Any

# Read by billiard when it is imported: SIGTERM starts the soft shutdown, not an endless wait.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

from billiard import current_process
from celery import Celery, signals
from celery.exceptions import SecurityWarning, SoftTimeLimitExceeded
from prometheus_client import Gauge
from sqlalchemy.exc import OperationalError

from coldpath.app import JOB_TASK, check_broker_url, create_app
from coldpath.draining import drain_step
from coldpath.functions.registry import load
from coldpath.grace import AtWork
from coldpath.heartbeat import VisibilityHeartbeat
from coldpath.ledger import Ledger
from coldpath.offspring import adopt, end_children, leaving_no_children, orphan_step
from coldpath.runner import Runner
from coldpath.scratch import Scratch, remove_of_dead
from coldpath.spot import Metadata, Notice, StopFlag, Watch
from infra.db.engine import sync_engine
from infra.errors import ConfigurationError
from infra.niceness import give_way
from infra.settings import WorkerSettings
from infra.storage.objects import ObjectStore
from infra.storage.url import parse_s3_url
from infra.telemetry.ops import Check, OpsServer
from infra.telemetry.traceparent import HEADER
from infra.telemetry.tracing import start_tracing, stop_tracing

log = logging.getLogger(__name__)

MIN_VISIBILITY_S = 3
HAND_BACK_S = 5.0
"""How long a worker that ends waits for a database that is away."""
_AGAIN_S = 0.2
_ACTIVE = Gauge("livepath_worker_active_jobs", "Jobs that this worker holds.")


def lease_ms(visibility_timeout_s: float) -> int:
    """Half the visibility timeout.

    A dead worker's delivery comes back no sooner than two thirds of the timeout after its death
    (the heartbeat's last refresh), so by then its lease has always run out; a delivery that finds
    the lease alive is a duplicate and may be dropped.
    """
    return round(visibility_timeout_s * 500)


class Worker:
    """Runs until SIGTERM."""

    def __init__(self, settings: WorkerSettings) -> None:
        _check(settings)
        self._settings = settings
        # Names this life of the worker: a restart on the same host is another holder.
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._app = create_app(
            settings.broker_url, visibility_timeout_s=settings.visibility_timeout_s
        )
        self._app.steps["worker"].add(VisibilityHeartbeat)
        self._app.steps["worker"].add(
            drain_step(lambda: self._draining is not None, _queues(settings), self._drained)
        )
        self._app.steps["worker"].add(orphan_step(self._pool))
        self._runner: Runner | None = None
        self._celery: Any = None
        self._scratch_root = settings.data_dir / "worker" / "scratch"
        self._told_to_stop = False
        self._stopping = StopFlag()
        """Seen by the pool's processes."""
        self._at_work = AtWork(settings.worker_concurrency)
        self._draining: Notice | None = None
        self._ops = OpsServer(settings.worker_host, settings.worker_port, self._checks())

    def run(self) -> None:
        """Works until it is told to stop; then every job it held is finished or handed back."""
        if self._settings.worker_niceness:
            # The pool's processes inherit it.
            give_way(self._settings.worker_niceness)
        self._register()
        _ACTIVE.set_function(self._active)
        self._listen()
        # It warns of root because of pickled messages; only JSON is accepted here.
        warnings.simplefilter("ignore", SecurityWarning)
        adopt()
        try:
            with Scratch(self._scratch_root, self._name):
                self._work()
        finally:
            end_children((), "this worker")
            # The pool is gone by now, and the fence rises with the hand-back anyway.
            self._hand_back()
            self._ops.stop()

    def _work(self) -> None:
        self._celery = _celery_worker(self._app, self._settings, self._name)
        self._celery.wait_for_soft_shutdown = self._wait_for_jobs
        watch = self._watch()
        try:
            self._celery.start()
        finally:
            if watch is not None:
                watch.close()
        if self._celery.exitcode and not self._told_to_stop:
            # Not an order but an accident: whoever supervises must see it.
            raise SystemExit(self._celery.exitcode)

    def _listen(self) -> None:
        try:
            self._ops.start()
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {self._ops.host}:{self._ops.port}: {error.strerror or error}; "
                "set LIVEPATH_WORKER_HOST and LIVEPATH_WORKER_PORT to a free address"
            ) from error

    def _register(self) -> None:
        @self._app.task(name=JOB_TASK, shared=False, bind=True)
        def job(task: Any, job_id: str) -> str:
            """Runs one job; the outcome is in the ledger, the return value is for the log."""
            if self._runner is None:
                raise RuntimeError("the pool process was not initialised")
            with self._at_work.working(), leaving_no_children(job_id):
                return str(self._runner.run(job_id, (task.request.headers or {}).get(HEADER)))

        signals.worker_process_init.connect(self._process_init, weak=False)
        signals.worker_process_shutdown.connect(lambda **_: stop_tracing(), weak=False)
        signals.worker_shutting_down.connect(self._shutting_down, weak=False)
        # Celery configures logging unless somebody listens here; the role has done it.
        signals.setup_logging.connect(lambda **_: None, weak=False)

    def _wait_for_jobs(self) -> None:
        """In place of Celery's soft shutdown, which sleeps on when all jobs have ended; and its own
        signal of a stop comes when that is over."""
        self._shutting_down()
        if not self._at_work.wait_for_nobody(self._settings.worker_grace_s):
            log.warning("jobs still run after %g s", self._settings.worker_grace_s)

    def _shutting_down(self, **_: Any) -> None:
        self._told_to_stop = True
        self._stopping.set()

    def _watch(self) -> Watch | None:
        url = self._settings.imds_url
        if not url:
            return None
        watch = Watch(
            Metadata(url),
            self._drain,
            self._stop,
            poll_s=self._settings.imds_poll_s,
            grace_s=self._settings.worker_grace_s,
        )
        watch.start()
        return watch

    def _drain(self, notice: Notice) -> None:
        """No more work; what has checkpoints ends at the next one. Called in the watch's thread."""
        log.warning("%s: this worker takes no more work", notice.reason)
        self._draining = notice
        self._stopping.set()

    def _drained(self) -> None:
        """Nothing is left to do. A machine that goes for certain is left when it goes: whoever
        started this worker again would find the same notice there."""
        notice = self._draining
        if notice is not None and notice.ends_at is None:
            log.warning("%s: no job is left, so this worker ends", notice.reason)
            os.kill(os.getpid(), signal.SIGTERM)

    def _stop(self, notice: Notice) -> None:
        log.warning("%s: this worker stops now", notice.reason)
        os.kill(os.getpid(), signal.SIGTERM)

    def _process_init(self, **_: Any) -> None:
        adopt()
        # A pool process that outlives a killed main process must not keep its port.
        self._ops.close_inherited()
        self._at_work.take_place(getattr(current_process(), "index", 0))
        remove_of_dead(self._scratch_root / self._name)
        settings = self._settings
        # Here and not before the fork, which a thread that sends would not survive.
        start_tracing("worker", settings.otlp_endpoint)
        ledger = Ledger(
            sync_engine(settings.database_url), lease_ms=lease_ms(settings.visibility_timeout_s)
        )
        self._runner = Runner(
            ledger,
            ObjectStore.from_url(settings.s3_url),
            load(captions=True),
            scratch=self._scratch_root / self._name,
            worker=self._name,
            stopping=self._stopping.is_set,
            too_long=SoftTimeLimitExceeded,
        )

    def _hand_back(self) -> None:
        """A database that is away is waited for, but not for long: leases run out anyway."""
        engine = sync_engine(self._settings.database_url)
        until = time.monotonic() + HAND_BACK_S
        try:
            while True:
                try:
                    handed = Ledger(engine).hand_back(self._name)
                except OperationalError as error:
                    if time.monotonic() > until:
                        log.warning("nothing is handed back, leases run out instead: %s", error)
                        return
                    time.sleep(_AGAIN_S)
                else:
                    for job in handed:
                        log.warning("%s: handed back", job)
                    return
        finally:
            engine.dispose()

    def _active(self) -> float:
        from celery.worker import state

        return float(len(state.active_requests))

    def _checks(self) -> Mapping[str, Check]:
        return {
            "broker": self._broker,
            "processes": self._processes,
            "machine": self._machine,
        }

    def _machine(self) -> str | None:
        if self._told_to_stop:
            return "was told to stop"
        return None if self._draining is None else f"is about to go: {self._draining.reason}"

    def _broker(self) -> str | None:
        consumer = getattr(self._celery, "consumer", None)
        connection = getattr(consumer, "connection", None)
        if connection is None or not connection.connected:
            return "no connection to the broker"
        return None

    def _processes(self) -> str | None:
        return None if self._pool() else "no pool process runs"

    def _pool(self) -> set[int]:
        """Its processes; the pool drops a dead one from its list and starts another."""
        pool = getattr(getattr(self._celery, "pool", None), "_pool", None)
        return {process.pid for process in (pool._pool if pool is not None else ())}


def _celery_worker(app: Celery, settings: WorkerSettings, name: str) -> Any:
    return app.Worker(
        hostname=name,
        pool="prefork",
        concurrency=settings.worker_concurrency,
        queues=_queues(settings),
        loglevel=settings.log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )


def _queues(settings: WorkerSettings) -> list[str]:
    return [queue.strip() for queue in settings.worker_queues.split(",") if queue.strip()]


def _check(settings: WorkerSettings) -> None:
    """Everything that would fail later, in a pool process, where nobody reads it."""
    check_broker_url(settings.broker_url)
    parse_s3_url(settings.s3_url)
    sync_engine(settings.database_url).dispose()
    if not _queues(settings):
        raise ConfigurationError("LIVEPATH_WORKER_QUEUES names no queue; write fast,bulk")
    if settings.worker_concurrency < 1:
        raise ConfigurationError("LIVEPATH_WORKER_CONCURRENCY must be at least 1")
    if settings.visibility_timeout_s < MIN_VISIBILITY_S:
        raise ConfigurationError(
            f"LIVEPATH_VISIBILITY_TIMEOUT_S is {settings.visibility_timeout_s}; it must be at "
            f"least {MIN_VISIBILITY_S}, or a busy machine is taken for a dead one"
        )
