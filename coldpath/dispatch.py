"""The dispatcher role: object events in, ledger rows and deliveries out.

One event loop serves the webhook; everything that blocks (store, database, broker) runs in threads.
A sweep every `sweep_interval_s` sends what is owed; every `reconcile_interval_s` the bucket and the
broker are compared with the ledger. Two dispatchers may run side by side: filing is
insert-or-ignore, sending twice is harmless.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvicorn
from prometheus_client import Gauge
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from coldpath.app import check_broker_url, create_app
from coldpath.backlog import backlog
from coldpath.broker import Broker
from coldpath.catalogue import publish
from coldpath.deliveries import Deliveries
from coldpath.errors import BrokerError
from coldpath.functions.registry import load
from coldpath.intake import Intake
from coldpath.ledger import Ledger
from coldpath.reconcile import Reconciler
from coldpath.s3events import ObjectCreated
from coldpath.sqs import SqsPoller
from coldpath.webhook import Webhook
from infra.db.engine import sync_engine
from infra.db.jobs import Job
from infra.errors import StorageError
from infra.events.bell import rings
from infra.events.bus import connect
from infra.jobs.states import JobState
from infra.settings import DispatcherSettings
from infra.storage.objects import ObjectStore
from infra.storage.url import parse_s3_url
from infra.telemetry.ops import Check

log = logging.getLogger(__name__)

_PROBE_S = 5.0
_THREADS = 16
"""For all that blocks. A store that hangs holds those of the webhook, the poller and the reconciler
for half a minute; the sweep, which needs no store, must find one."""
_PROBED = ("database", "s3", "broker")
_AWAY = (DBAPIError, BrokerError, StorageError)
_JOBS = Gauge("livepath_jobs", "Jobs in the ledger.", ["state"])
_WAITING = Gauge("livepath_queue_jobs", "Jobs that wait for a worker.", ["queue"])
_RUNNING = Gauge("livepath_queue_running_jobs", "Jobs that workers hold.", ["queue"])
_OLDEST = Gauge("livepath_queue_oldest_seconds", "Age of what waits longest.", ["queue"])
_WORK = Gauge("livepath_queue_work_seconds", "Processor time that what waits will take.", ["queue"])


class Dispatcher:
    """Runs until SIGTERM or SIGINT. `listener` is the bound socket of the webhook; `on_stop` is
    called when the stop begins."""

    def __init__(
        self,
        settings: DispatcherSettings,
        listener: socket.socket,
        *,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        check_broker_url(settings.broker_url)
        self._listener = listener
        self._on_stop = on_stop
        self._sweep_s = settings.sweep_interval_s
        self._reconcile_s = settings.reconcile_interval_s
        self._stop = asyncio.Event()
        self._rung = asyncio.Event()
        self._bus_url = settings.bus_url
        self._stop_threads = threading.Event()
        self._answers: dict[str, str | None] = dict.fromkeys(_PROBED, "not asked yet")
        self._engine = sync_engine(settings.database_url)
        self._store = ObjectStore.from_url(settings.s3_url)
        self._broker = Broker(create_app(settings.broker_url), settings.broker_url)
        self._registry = registry = load(captions=settings.captions)
        limits = {f.name: f.terms.per_project for f in registry if f.terms.per_project}
        deliveries = Deliveries(self._engine, per_project=limits)
        intake = Intake(self._store, registry, Ledger(self._engine), deliveries, self._broker)
        self._reconciler = Reconciler(
            self._store, intake, deliveries, self._broker, registry.queues()
        )
        bucket = parse_s3_url(settings.s3_url).bucket

        def take(events: list[ObjectCreated]) -> None:
            intake.receive(events, bucket)

        url = settings.sqs_queue_url
        self._sqs = SqsPoller(url, take) if url else None
        self._webhook = Webhook(settings.webhook_token, take, self._checks())

    async def run(self) -> None:
        """Serves, sweeps and reconciles; returns after an ordered stop."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_THREADS, "dispatch"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._serve())
                tasks.create_task(self._publish())
                tasks.create_task(self._every("probe", _PROBE_S, self._probe))
                tasks.create_task(
                    self._every("sweep", self._sweep_s, self._reconciler.sweep, self._rung)
                )
                listening = tasks.create_task(self._listen())
                tasks.create_task(self._every("reconcile", self._reconcile_s, self._reconcile))
                if self._sqs is not None:
                    tasks.create_task(asyncio.to_thread(self._poll, self._sqs))
                await self._stop.wait()
                self._rung.set()
                listening.cancel()
                self._on_stop()
                self._stop_threads.set()
        finally:
            self._stop_threads.set()
            self._close()

    async def _serve(self) -> None:
        config = uvicorn.Config(
            self._webhook.app,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
            limit_concurrency=256,
        )
        server = _Server(config)
        serving = asyncio.ensure_future(server.serve(sockets=[self._listener]))
        await self._stop.wait()
        server.should_exit = True
        await serving

    async def _listen(self) -> None:
        """A ring starts the next sweep at once."""
        async with connect(self._bus_url) as client:
            async for _ in rings(client):
                self._rung.set()

    async def _every(
        self,
        name: str,
        seconds: float,
        work: Callable[[], object],
        sooner: asyncio.Event | None = None,
    ) -> None:
        """Runs blocking `work` in a thread, again and again, until the role stops; the next time
        at once where `sooner` is set."""
        failures, woken = 0, sooner or self._stop
        while not self._stop.is_set():
            if sooner is not None:
                sooner.clear()
            try:
                await asyncio.to_thread(work)
                if failures:
                    log.info("%s: works again after %d failures", name, failures)
                failures = 0
            except _AWAY as error:
                failures += 1
                # An outage is told when it begins and, ever more rarely, while it lasts.
                if failures.bit_count() == 1:
                    log.warning("%s: failed %d times in a row: %s", name, failures, error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await woken.wait()

    async def _publish(self) -> None:
        """Once; while the database is away, again and again."""
        while not self._stop.is_set():
            try:
                await asyncio.to_thread(publish, self._engine, self._registry)
                return
            except DBAPIError as error:
                log.warning("the functions are not published yet: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_S):
                    await self._stop.wait()

    def _reconcile(self) -> None:
        self._reconciler.find_lost_deliveries()
        self._reconciler.find_lost_events()

    def _poll(self, poller: SqsPoller) -> None:
        poller.run(self._stop_threads)

    def _probe(self) -> None:
        probes: dict[str, Callable[[], object]] = {
            "database": self._count,
            "s3": self._store.check,
            "broker": self._broker.check,
        }
        for name, probe in probes.items():
            try:
                probe()
                self._answers[name] = None
            except _AWAY as error:
                self._answers[name] = str(error).splitlines()[0]

    def _count(self) -> None:
        _count_jobs(self._engine)
        for queue, found in backlog(self._engine, self._registry.queues()).items():
            _WAITING.labels(queue).set(found.waiting)
            _RUNNING.labels(queue).set(found.running)
            _OLDEST.labels(queue).set(found.oldest_s)
            _WORK.labels(queue).set(found.work_s)

    def _checks(self) -> Mapping[str, Check]:
        return {name: partial(self._answers.__getitem__, name) for name in _PROBED}

    def _close(self) -> None:
        if self._sqs is not None:
            self._sqs.close()
        self._broker.close()
        self._store.close()
        self._engine.dispose()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the role has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _count_jobs(engine: Engine) -> None:
    with Session(engine) as session:
        rows = session.execute(select(Job.state, func.count()).group_by(Job.state)).tuples()
        counts = dict(rows.all())
    for state in JobState:
        _JOBS.labels(state.value).set(counts.get(state.value, 0))
