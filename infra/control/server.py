"""The control process: the HTTP server and its background tasks, all owned by one TaskGroup.

Stopping: the server takes no more connections and lets requests finish for a moment, then the
background tasks are cancelled, then bus and database are closed.
"""

import asyncio
import contextlib
import gc
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator

import structlog
import uvicorn

from infra.control.app import create_app
from infra.control.context import ControlContext, Databases
from infra.control.event_clock import EventClock
from infra.control.facts import FactConsumer
from infra.control.limits import Limits
from infra.control.links import Links
from infra.control.nodes import Nodes
from infra.control.objects import Objects
from infra.control.presign import Presigner
from infra.control.public_events import PublicEvents
from infra.control.publisher import DesiredPublisher
from infra.control.readiness import Readiness
from infra.control.readings import Readings
from infra.control.viewing import Viewing
from infra.db.engine import async_engine, writing_engine
from infra.events.bell import Bell
from infra.events.bus import connect
from infra.events.desired_bus import DesiredBus
from infra.events.facts_bus import FactReader
from infra.settings import ControlSettings
from infra.storage.objects import ObjectStore

_log = structlog.get_logger(__name__)
_FINISH_S = 3


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: it would end the process by the signal it caught."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run_control(settings: ControlSettings) -> None:
    """Serve until SIGTERM or SIGINT; a port that is taken raises OSError."""
    engine = async_engine(settings.database_url)
    client = connect(settings.bus_url)
    # Blocking reads keep a connection busy, so facts have a client of their own.
    facts_client = connect(settings.bus_url)
    writer = writing_engine(settings.database_url, engine)
    databases = Databases.of(engine, writer)
    publisher = DesiredPublisher(DesiredBus(client), databases, now_ms)
    bell = Bell(client)
    public = PublicEvents(databases, settings, now_ms)
    clock = EventClock(databases, _all(publisher.ring, public.ring), now_ms)
    reader = FactReader(facts_client, secrets.token_hex(8))
    facts = FactConsumer(reader, databases, _all(publisher.ring, public.ring), now_ms)
    readiness = Readiness(databases, settings.ready_urls, trusted=settings.tls_certificate)
    context = ControlContext(
        databases=databases,
        links=links_of(settings),
        presigner=Presigner(settings.s3_url),
        objects=Objects(lambda: ObjectStore.from_url(settings.s3_url)),
        viewing=Viewing(databases.reading, now_ms),
        ring=_all(publisher.ring, bell.ring, clock.ring, public.ring),
        checks={
            **readiness.checks(),
            "bus": lambda: facts.problem,
            "desired": lambda: publisher.problem,
            "clock": lambda: clock.problem,
        },
        now_ms=now_ms,
        guard=public.guard,
        streams=public.streams,
        told=publisher.told,
        token_algorithm=settings.token_algorithm,
        limits=Limits(client, settings.requests_per_key, settings.requests_per_ip),
        readings=Readings(client),
        nodes=Nodes(client),
    )
    try:
        with _listen(settings.control_host, settings.control_port) as listener:
            server = _Server(
                uvicorn.Config(
                    create_app(context),
                    log_config=None,
                    log_level="warning",
                    access_log=False,
                    lifespan="off",
                    server_header=False,
                    timeout_graceful_shutdown=_FINISH_S,
                    ssl_certfile=settings.tls_certificate,
                    ssl_keyfile=settings.tls_key,
                )
            )
            _calm_collector()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(publisher.run(), name="publisher"),
                    group.create_task(facts.run(), name="facts"),
                    group.create_task(bell.run(), name="bell"),
                    group.create_task(clock.run(), name="clock"),
                    group.create_task(readiness.run(), name="readiness"),
                    group.create_task(public.run(), name="public events"),
                    group.create_task(context.readings.run(), name="readings"),
                    group.create_task(context.nodes.run(), name="nodes"),
                    group.create_task(
                        context.held_open.run(databases.reading, now_ms), name="held open"
                    ),
                    group.create_task(context.uses.run(databases.writing), name="key uses"),
                    group.create_task(
                        context.trail.run(databases.writing, now_ms, settings.audit_days),
                        name="audit",
                    ),
                ]
                await _serve(server, listener, _all(public.streams.close, context.readings.close))
                for task in tasks:
                    task.cancel()
            await context.trail.flush(databases.writing)
    finally:
        context.presigner.close()
        context.objects.close()
        await public.close()
        await client.aclose()
        await facts_client.aclose()
        await writer.dispose()
        await engine.dispose()


def _all(*bells: Callable[[], None]) -> Callable[[], None]:
    def ring() -> None:
        for one in bells:
            one()

    return ring


async def _serve(server: _Server, listener: socket.socket, end_streams: Callable[[], None]) -> None:
    def stop() -> None:
        server.should_exit = True
        # The server waits for responses, and these would never end by themselves.
        end_streams()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    host, port = listener.getsockname()[:2]
    _log.info("control listens", host=host, port=port)
    await server.serve([listener])
    _log.info("control stops")


def _calm_collector() -> None:
    """Keep what was imported out of garbage collection: to look through it takes a tenth of a
    second, in which nobody is answered."""
    gc.collect()
    gc.freeze()


def _listen(host: str, port: int) -> socket.socket:
    # Bound here and not by uvicorn, which ends the process when the port is taken.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def links_of(settings: ControlSettings) -> Links:
    """The public addresses that the settings name."""
    return Links(
        public_url=settings.public_url,
        media_url=settings.media_public_url,
        srt_url=settings.srt_public_url,
        srt_latency_ms=settings.srt_latency_ms,
        objects_url=settings.objects_public_url,
        live_captions=settings.live_captions,
    )
