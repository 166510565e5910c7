"""Programmes of a node in the process of the test: real disk and media, ingest by hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2

from hotpath.bus.registry import Registry
from hotpath.fanout.kernel import Kernel
from hotpath.fanout.service import FanoutService
from hotpath.hls.origin import HlsOrigin
from hotpath.hls.spool import Spool
from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.statistics import Publisher
from hotpath.media.unit import AUDIO, VIDEO, Format, Unit
from hotpath.node.incarnations import Incarnations
from hotpath.node.ingests import Ingests
from hotpath.node.journal import Journal
from hotpath.node.ladders import Ladders
from hotpath.node.launcher import Launcher
from hotpath.node.programs import Programs
from hotpath.node.sink import ProgramSink
from hotpath.program.checkpoint import Checkpoint
from hotpath.webrtc.mux import Mux
from infra.events.desired_state import DesiredSnapshot
from infra.events.facts import FactType, MediaFact
from infra.keys import ProgramKey
from infra.publishers import Place, Role
from tests.support.coded import coded
from tests.support.medianode import PROJECT, event
from tests.support.processes import until


@dataclass
class Ingest:
    """What programmes asked of ingest."""

    table: Sequence[AdmissionEntry] = ()
    disconnected: list[tuple[int, str]] = field(default_factory=list)
    asked: list[Place] = field(default_factory=list)
    """For a keyframe."""

    def set_table(self, entries: Sequence[AdmissionEntry]) -> None:
        self.table = entries

    def set_occupied(self, event: str, role: Role, occupied: bool) -> None:
        pass

    def disconnect(self, publisher_id: int, reason: str) -> None:
        self.disconnected.append((publisher_id, reason))


@dataclass
class Node:
    programs: Programs
    sink: ProgramSink
    ingest: Ingest
    registry: Registry
    folder: Path
    facts: list[MediaFact]
    origin: HlsOrigin

    async def variants(self, key: ProgramKey) -> list[str]:
        """What a player is offered, once it can begin."""
        await until(f"{key} is on the air", lambda: self.registry.get(key) is not None)
        listed = (await self.playlist(key, "index.m3u8")).splitlines()
        return [line for line in listed if not line.startswith("#")]

    async def playlist(self, key: ProgramKey, name: str) -> str:
        """As a player gets it, once there is something in it."""
        transport = httpx2.ASGITransport(self.origin)
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
            answer = await client.get(f"/live/{key}/{name}")
        assert answer.status_code == 200
        return answer.text

    def connect(self, publisher: int, name: str, role: Role = Role.PRIMARY) -> None:
        peer, now_ns = "127.0.0.1:1", time.time_ns()
        self.sink.publisher_connected(
            Publisher(publisher, PROJECT.id, name, "main", peer, now_ns, role=role)
        )

    def publish(self, publisher: int, seconds: float = 3, start: float = 0) -> None:
        """Real media, all at once, in the clock of its encoder."""
        source = coded(seconds=6)
        self.sink.publisher_formats(publisher, [at_the_edge(f) for f in source.formats])
        now = time.time_ns()
        units = [
            unit
            for unit in (edge_unit(each, now) for each in source.units)
            if start * 90_000 <= unit.dts < (start + seconds) * 90_000
        ]
        self.sink.publisher_units(publisher, units)

    def told(self, fact_type: FactType) -> list[MediaFact]:
        return [fact for fact in self.facts if fact.type is fact_type]

    def manifests(self, name: str) -> list[Path]:
        root = self.folder / "spool" / "live" / PROJECT.id / name
        return sorted(root.glob("main/*/manifest.json"))


def at_the_edge(format: Format) -> Format:
    return replace(format, frame_duration=0) if format.track == VIDEO else format


def edge_unit(unit: Unit, now_ns: int) -> Unit:
    """The unit as ingest would give it: everything in 90 kHz."""
    scale = 90_000 / 48_000 if unit.track == AUDIO else 1
    return replace(
        unit,
        pts=round(unit.pts * scale),
        dts=round(unit.dts * scale),
        ingest_ns=now_ns,
        demuxed_ns=now_ns,
    )


@asynccontextmanager
async def running(
    folder: Path,
    *names: str,
    snapshot: DesiredSnapshot | None = None,
    checkpoints: dict[ProgramKey, Checkpoint] | None = None,
    elsewhere: Checkpoint | None = None,
) -> AsyncIterator[Node]:
    """`elsewhere`: from where all programmes have left another node."""
    facts: list[MediaFact] = []
    wanted = snapshot or DesiredSnapshot(
        epoch="test", projects={PROJECT.id: PROJECT}, events={n: event(n) for n in names}
    )
    with ThreadPoolExecutor(1) as disk, ThreadPoolExecutor(2) as muxing:
        spool = Spool(folder / "spool", 10**9, lambda _key, _why: None, lambda _key: None)
        registry, origin = Registry(), HlsOrigin()
        mux, kernel = Mux(["127.0.0.1"], 0), Kernel(shards=1)
        fanout = FanoutService(mux, kernel, origin.access)
        watching = asyncio.create_task(fanout.run())
        ingest, ingests = Ingest(), Ingests()
        ingests.attach({"srt": ingest}, {"srt": ingest.asked.append})
        programs = Programs(
            launcher=Launcher(
                registry,
                incarnations=Incarnations(folder / "programs", spool, disk),
                origin=origin,
                fanout=fanout,
                ingests=ingests,
                ladders=Ladders(),
                executor=muxing,
                part_target_ms=215,
            ),
            ingests=ingests,
            journal=Journal("n", "b", facts.append),
            snapshot=wanted,
            checkpoints=checkpoints or {},
            elsewhere=lambda _key: elsewhere,
        )
        programs.prepare()
        task = asyncio.create_task(programs.run())
        sink = ProgramSink(programs, Journal("n", "s", facts.append), ingests)
        try:
            await programs.ready.wait()
            yield Node(programs, sink, ingest, registry, folder, facts, origin)
            await asyncio.wait_for(programs.stop(), 5)
        finally:
            for each in (task, watching):
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each
            kernel.close()
            mux.close()
            origin.stop()
            spool.close()
