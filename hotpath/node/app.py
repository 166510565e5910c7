"""The media node: everything wired in data-flow order, started and stopped in order.

    desired state → admission table → SrtIngest, WhipIngest → ProgramSink → Program → ProgramStream
                   (→ Ladder → the same stream)
        → Packager → LivePlaylists → HlsOrigin → HTTP
                   → SpoolSession → spool folder → uploader (another process)
        HlsOrigin ← Vault ← spool folder, object store
        → Feed → kernel → WebRTC viewers
    facts → outbox → bus

Nothing on the media path waits for control, database or bus: the last desired state is on disk,
facts wait in the outbox. `run` returns after an ordered stop.
"""

import asyncio
import itertools
from collections.abc import Coroutine, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from prometheus_client.registry import REGISTRY, Collector

from hotpath.bus.registry import Registry
from hotpath.fanout.metrics import FanoutCollector
from hotpath.fanout.whep import whep_app
from hotpath.hls.edge import Edge
from hotpath.hls.origin import HlsOrigin
from hotpath.hls.server import HlsServer, Tls
from hotpath.hls.spool import Spool
from hotpath.hls.vault import Vault
from hotpath.ingest.metrics import IngestCollector
from hotpath.ingest.srt import SrtIngest
from hotpath.ingest.whip import whip_app
from hotpath.ingest.whip_service import WhipIngest
from hotpath.node import snapshot as snapshots
from hotpath.node import webrtc
from hotpath.node.bridges import BridgeCollector
from hotpath.node.captions import CaptionsListener
from hotpath.node.front import Front
from hotpath.node.incarnations import Incarnations
from hotpath.node.ingests import Ingests
from hotpath.node.journal import Journal
from hotpath.node.ladders import LadderCollector, Ladders
from hotpath.node.launcher import Launcher
from hotpath.node.left_behind import Folders, LeftBehind, read_back
from hotpath.node.metrics import NodeCollector
from hotpath.node.neighbours import Neighbours
from hotpath.node.outbox import FactsFile, Outbox
from hotpath.node.programs import Programs
from hotpath.node.readings import Readings, Watched
from hotpath.node.recordings import Recordings
from hotpath.node.sink import ProgramSink
from hotpath.node.webrtc import WebRtc
from hotpath.program.checkpoint import next_incarnation
from infra.events.desired_reader import DesiredReader
from infra.events.facts_bus import FactWriter
from infra.proxies import Proxies
from infra.settings import MediaSettings
from infra.storage.objects import ObjectStore
from infra.storage.url import parse_s3_url
from infra.telemetry.ops import Check, Impaired

log = structlog.get_logger(__name__)

PROGRAMS_STOP_S = 1.5
HTTP_STOP_S = 1.0
FACTS_STOP_S = 0.5
SPOOL_STOP_S = 1.5


def _tls(settings: MediaSettings) -> Tls | None:
    certificate, key = settings.tls_certificate, settings.tls_key
    return None if certificate is None or key is None else Tls(certificate, key)


@dataclass(frozen=True, slots=True)
class _Parts:
    outbox: Outbox
    reader: DesiredReader
    programs: Programs
    http: HlsServer
    srt: SrtIngest
    whip: WhipIngest
    rtc: WebRtc
    ladders: Ladders
    captions: CaptionsListener | None
    readings: Readings
    keeper: snapshots.Keeper
    neighbours: Neighbours


def _threads(stack: AsyncExitStack, count: int, name: str) -> Executor:
    pool = ThreadPoolExecutor(count, name)
    stack.callback(pool.shutdown)
    return pool


def _register(stack: AsyncExitStack, *collectors: Collector) -> None:
    for collector in collectors:
        REGISTRY.register(collector)
        stack.callback(REGISTRY.unregister, collector)


class MediaNode:
    """One media process. Make it, then `run` it once."""

    def __init__(self, settings: MediaSettings, *, started_ms: int) -> None:
        self._settings = settings
        self._folders = Folders(settings.data_dir)
        self._boot = next_incarnation(started_ms)
        self._running: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then stop in order."""
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            disk = _threads(stack, 1, "node-disk")
            file = FactsFile(self._folders.facts)
            left = await loop.run_in_executor(disk, read_back, self._folders, file)
            writer = await stack.enter_async_context(FactWriter(self._settings.bus_url))
            outbox = Outbox(file, writer, disk)
            outbox.restore(left.facts)
            stack.push_async_callback(outbox.settle)
            advertise = await webrtc.resolve(self._settings.webrtc_advertise)
            await self._serve(stop, self._assemble(stack, left, outbox, disk, advertise))

    def _assemble(
        self,
        stack: AsyncExitStack,
        left: LeftBehind,
        outbox: Outbox,
        disk: Executor,
        advertise: Sequence[str],
    ) -> _Parts:
        """The data path, from what is wanted to what listens; all ports are taken here."""
        settings = self._settings
        parse_s3_url(settings.s3_url)  # a mistake is told now, not to the first viewer
        journal = Journal(settings.node, self._boot, outbox.put)
        recordings = Recordings(journal)
        spool = Spool(
            self._folders.spool,
            settings.spool_max_bytes,
            recordings.degraded,
            recordings.restored,
        )
        stack.push_async_callback(asyncio.to_thread, spool.close, SPOOL_STOP_S)
        reader = DesiredReader(settings.bus_url, held=left.snapshot)
        incarnations = Incarnations(self._folders.programs, spool, disk)
        registry = Registry()
        neighbours = Neighbours(settings.bus_url, settings.node, self._boot, settings.node_url)
        checks = {
            **self._checks(registry, reader, outbox, incarnations, recordings),
            "drain": neighbours.draining,
        }
        vault = Vault(self._folders.spool, partial(ObjectStore.from_url, settings.s3_url))
        stack.callback(vault.close)
        origin = HlsOrigin(
            checks=checks,
            vault=vault,
            captions=settings.live_captions,
            proxies=Proxies(settings.trusted_proxies),
        )
        rtc = webrtc.assemble(stack, settings, advertise, origin)
        ingests = Ingests()
        ladders = Ladders()
        launcher = Launcher(
            registry,
            incarnations=incarnations,
            origin=origin,
            fanout=rtc.fanout,
            ingests=ingests,
            ladders=ladders,
            executor=_threads(stack, 2, "packager"),
            part_target_ms=settings.part_target_ms,
        )
        programs = Programs(
            launcher=launcher,
            ingests=ingests,
            journal=journal,
            snapshot=left.snapshot,
            checkpoints=left.checkpoints,
            elsewhere=neighbours.checkpoint_of,
        )
        neighbours.attach(programs, rtc.fanout)
        sink = ProgramSink(programs, journal, ingests)
        ids = itertools.count(1)
        srt = SrtIngest(
            settings.srt_host, settings.srt_port, settings.srt_latency_ms, sink, ids=ids
        )
        whip = webrtc.whip(rtc, settings, sink, ids)
        ingests.attach({"srt": srt, "whip": whip}, {"whip": whip.request_keyframe})
        programs.prepare()
        http = self._http(origin, rtc, whip)
        _register(
            stack,
            NodeCollector(programs, lambda: len(outbox)),
            IngestCollector(srt, whip),
            FanoutCollector(rtc.fanout),
            BridgeCollector(rtc.bridges),
            LadderCollector(ladders),
        )
        captions = None
        if settings.live_captions:
            captions = CaptionsListener(settings.bus_url, origin.hear)
        viewers_of = rtc.fanout.gate.viewers_of
        watched = Watched(programs.on_air, srt, whip, viewers_of)
        readings = Readings(settings.bus_url, settings.node, watched)
        keeper = snapshots.Keeper(self._folders.desired, disk)
        return _Parts(
            *(outbox, reader, programs, http, srt, whip, rtc, ladders, captions, readings, keeper),
            neighbours,
        )

    def _http(self, origin: HlsOrigin, rtc: WebRtc, whip: WhipIngest) -> HlsServer:
        settings = self._settings
        turn, secret = webrtc.turn_servers(settings), settings.edge_secret
        hls = Edge(origin, secret, settings.edge_check_s) if secret else origin
        front = Front(hls, whep_app(rtc.fanout), whip_app(whip, turn=turn))

        def before_stop() -> None:
            origin.stop()
            rtc.fanout.stop()
            front.stop()

        http = HlsServer(
            front,
            settings.media_host,
            settings.media_port,
            tls=_tls(settings),
            stop_timeout_s=HTTP_STOP_S,
            before_stop=before_stop,
        )
        http.start()
        return http

    async def _serve(self, stop: asyncio.Event, parts: _Parts) -> None:
        programs, http = parts.programs, parts.http
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(parts.ladders.run(), name="ladders"),
                tasks.create_task(parts.outbox.run(), name="outbox"),
                tasks.create_task(programs.run(), name="programs"),
                tasks.create_task(parts.readings.run(), name="readings"),
                tasks.create_task(parts.keeper.run(), name="kept desired state"),
                tasks.create_task(parts.neighbours.run(), name="neighbours"),
            ]
            if parts.captions is not None:
                background.append(tasks.create_task(parts.captions.run(), name="captions"))
            # Viewers of what an earlier life left on the air may come before its publisher does.
            rtc = tasks.create_task(self._watched("webrtc", parts.rtc.run(parts.whip)), name="rtc")
            await programs.ready.wait()
            background.append(tasks.create_task(self._follow(parts), name="desired"))
            media = [
                rtc,
                tasks.create_task(self._watched("srt", parts.srt.run()), name="srt"),
                tasks.create_task(self._watched("http", http.run()), name="http"),
            ]
            await http.ready()
            log.info(
                "media ready",
                srt_port=parts.srt.port,
                http_port=http.port,
                webrtc_port=parts.rtc.mux.port,
                boot=self._boot,
            )
            await stop.wait()
            log.info("media stops")
            parts.rtc.fanout.drain("node-stopping", parts.neighbours.url_of)
            with suppress(TimeoutError):
                async with asyncio.timeout(PROGRAMS_STOP_S):
                    await programs.stop()
            for task in media:
                task.cancel()
            await asyncio.wait(media)
            with suppress(TimeoutError):
                async with asyncio.timeout(FACTS_STOP_S):
                    await parts.outbox.drained()
            for task in background:
                task.cancel()

    async def _watched(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._running.add(name)
        try:
            await work
        finally:
            self._running.discard(name)

    async def _follow(self, parts: _Parts) -> None:
        """Follow control while it can be reached, and keep what it said."""
        async for snapshot in parts.reader.snapshots():
            parts.programs.apply(snapshot)
            parts.keeper.keep(snapshot)

    def _checks(
        self,
        registry: Registry,
        reader: DesiredReader,
        outbox: Outbox,
        incarnations: Incarnations,
        recordings: Recordings,
    ) -> dict[str, Check]:
        def running(name: str) -> str | None:
            return None if name in self._running else "not serving"

        def bus() -> str | None:
            # Live events need no bus, so its absence is told and does not make the node unready.
            problem = reader.problem or outbox.problem
            return Impaired(problem) if problem else None

        def spool() -> str | None:
            on_air = recordings.problem(lambda key: registry.get(key) is not None)
            return incarnations.problem or on_air

        return {
            "srt": lambda: running("srt"),
            "http": lambda: running("http"),
            "webrtc": lambda: running("webrtc"),
            "spool": spool,
            "bus": bus,
        }
