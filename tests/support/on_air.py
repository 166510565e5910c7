"""A programme on the air: real units on a real bus, packaged, served over real HTTP.

The test decides what is published when; nothing happens by the clock.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from hotpath.bus.stream import ProgramStream
from hotpath.hls.live import LivePlaylists
from hotpath.hls.origin import HlsOrigin
from hotpath.hls.packager import Packager
from hotpath.hls.recorder import HoleReason
from hotpath.hls.server import HlsServer, Tls
from hotpath.media.unit import VIDEO, Format, Item, PartCut, SegmentCut
from infra.keys import ProgramKey
from tests.support import m3u8
from tests.support.plain_http import NO_TLS
from tests.support.secured import trusting

KEY = ProgramKey("acme", "ev_1")


@dataclass
class MemoryRecorder:
    """A recorder that keeps everything in memory."""

    inits: dict[tuple[str, int], bytes] = field(default_factory=dict)
    parts: dict[tuple[str, int, int], tuple[bytes, dict[str, Any]]] = field(default_factory=dict)
    segments: dict[tuple[str, int], int] = field(default_factory=dict)
    gaps: list[tuple[str, int, int, int]] = field(default_factory=list)
    holes: list[tuple[str, int, int, str]] = field(default_factory=list)
    sealed: bool | None = None

    def init(self, format: Format, number: int, data: bytes) -> None:
        assert (format.track, number) not in self.inits
        self.inits[format.track, number] = data

    def part(self, rendition: str, msn: int, part: int, data: bytes, **about: Any) -> None:
        assert (rendition, about["init"]) in self.inits
        assert (rendition, msn) not in self.segments
        self.parts[rendition, msn, part] = (data, about)

    def segment(self, rendition: str, msn: int, *, duration: int) -> None:
        self.segments[rendition, msn] = duration

    def gap(self, rendition: str, msn: int, *, start: int, duration: int) -> None:
        self.gaps.append((rendition, msn, start, duration))

    def hole(self, rendition: str, *, first_msn: int, last_msn: int, reason: HoleReason) -> None:
        self.holes.append((rendition, first_msn, last_msn, reason))

    def seal(self, *, final: bool) -> None:
        assert self.sealed is None
        self.sealed = final

    def media(self, rendition: str, msn: int) -> bytes:
        found = [
            (key[2], data) for key, (data, _) in self.parts.items() if key[:2] == (rendition, msn)
        ]
        return b"".join(data for _, data in sorted(found))


class OnAir:
    """One programme under the test's control."""

    def __init__(self, origin: HlsOrigin, stream: ProgramStream, live: LivePlaylists) -> None:
        self.origin = origin
        self.stream = stream
        self.live = live
        self.recorder = MemoryRecorder()
        self.packager = Packager(
            stream,
            live,
            self.recorder,
            None,
            part_target_ms=live.part_target_ms,
            target_duration_s=live.target_duration_s,
        )
        self.packaging: asyncio.Task[None] | None = None
        self._items: list[Item] = []

    def load(self, items: Sequence[Item]) -> None:
        """What `publish_*` takes from."""
        self._items = list(items)

    async def publish(self, items: Sequence[Item]) -> None:
        """Publish, and wait until all of it is packaged."""
        self.stream.publish(items)
        if self.stream.ended and self.packaging is not None:
            await asyncio.wait([self.packaging])
        while not (self.stream.waiting or self.stream.ended):
            await asyncio.sleep(0)

    async def publish_until(self, msn: int, part: int | None = None, track: str = VIDEO) -> None:
        """Up to the end of the segment, or of the part."""
        for index, item in enumerate(self._items):
            if isinstance(item, SegmentCut):
                found = part is None and (item.track, item.msn) == (track, msn)
            else:
                found = isinstance(item, PartCut) and (item.track, item.msn, item.part) == (
                    track, msn, part
                )  # fmt: skip
            if found:
                now, self._items = self._items[: index + 1], self._items[index + 1 :]
                await self.publish(now)
                return
        raise AssertionError(f"{track} {msn}.{part} is not among the items")

    async def publish_rest(self) -> None:
        now, self._items = self._items, []
        await self.publish(now)


@asynccontextmanager
async def running(server: HlsServer) -> AsyncIterator[str]:
    """The base URL of a server that is accepting connections."""
    server.start()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(server.run())
        await server.ready()
        try:
            yield server.url
        finally:
            task.cancel()


@asynccontextmanager
async def on_air(
    *,
    origin: HlsOrigin | None = None,
    access: str = "public",
    target_duration_s: int = 2,
    incarnation: str = "k1",
    max_bytes: int = 32 * 1024 * 1024,
    tls: Tls | None = None,
) -> AsyncIterator[tuple[OnAir, httpx2.AsyncClient]]:
    """A programme and a client whose base URL is the programme's."""
    origin = origin or HlsOrigin()
    live = origin.open(
        KEY, incarnation, access=access, part_target_ms=215, target_duration_s=target_duration_s
    )
    programme = OnAir(origin, ProgramStream(KEY, incarnation, max_bytes=max_bytes), live)
    server = HlsServer(origin, "127.0.0.1", 0, tls=tls, before_stop=origin.stop)
    verify = NO_TLS if tls is None else trusting(tls)
    async with running(server) as url, asyncio.TaskGroup() as tasks:
        programme.packaging = packaging = tasks.create_task(programme.packager.run())
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(
            base_url=url, timeout=30, limits=limits, verify=verify
        ) as client:
            yield programme, client
        packaging.cancel()


LIVE = f"/live/{KEY}/"


async def playlist(client: httpx2.AsyncClient, name: str, query: str = "") -> m3u8.Playlist:
    """The playlist `name` of the programme, parsed."""
    response = await client.get(LIVE + name + ("?" + query if query else ""))
    assert response.status_code == 200, (response.status_code, response.text)
    return m3u8.parse(response.text)
