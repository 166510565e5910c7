"""The viewer plane under the test's control: real UDP port, real kernel, real HTTP server.

The test decides what is on the air; `Plane.play` publishes it at the pace of its own timestamps.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from hotpath.bus.stream import ProgramStream
from hotpath.fanout.kernel import Kernel
from hotpath.fanout.service import FanoutService
from hotpath.fanout.whep import whep_app
from hotpath.hls.server import HlsServer
from hotpath.media.unit import Item, Sample
from hotpath.webrtc.mux import Mux
from infra.auth import tokens
from infra.auth.access import Access
from infra.auth.tokens import ViewerClaims
from infra.keys import ProgramKey
from tests.support.coded import Coded, coded, marked
from tests.support.plain_http import NO_TLS

KEY = ProgramKey("acme", "ev_1")
SECRETS = {"acme": {"k1": b"a project secret of 32 bytes....."}}


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for the condition; fail when it does not come."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def token(**changes: Any) -> str:
    claims = {
        "project": KEY.project,
        "event": KEY.event,
        "path_prefix": f"/live/{KEY.project}/{KEY.event}",
        "subject": "v",
        "issued_at": 0,
        "expires_at": 2_000,
        "token_id": "t1",
    } | changes
    return tokens.issue(ViewerClaims(**claims), SECRETS["acme"]["k1"], "k1")


@dataclass
class Plane:
    service: FanoutService
    client: httpx2.AsyncClient
    url: str
    access: Access
    tasks: asyncio.TaskGroup
    streams: list[ProgramStream] = field(default_factory=list)

    @property
    def whep(self) -> str:
        return f"{self.url}/live/{KEY}/whep"

    def open(self, key: ProgramKey = KEY, *, access: str = "public", **more: Any) -> ProgramStream:
        stream = ProgramStream(key, f"i{len(self.streams)}")
        self.streams.append(stream)
        self.service.open(stream, access=access, **more)
        return stream

    def play(self, source: Coded | None = None, **more: Any) -> "asyncio.Task[None]":
        """Put a source on the air and keep it running at its own pace."""
        items = marked(source or coded("h264", "opus", seconds=20))
        return self.tasks.create_task(paced(self.open(**more), items))


async def paced(stream: ProgramStream, items: Iterable[Item], speed: float = 1.0) -> None:
    """Publish the items, each when its timestamp says, as if it had been received just then."""
    scale = {}
    began: float | None = None
    loop = asyncio.get_running_loop()
    for item in items:
        if stream.ended:
            return
        now_item = item
        if isinstance(item, Sample):
            scale = {name: format.timescale for name, format in stream.formats.items()}
            at = item.unit.dts / scale[item.unit.track] / speed
            began = loop.time() - at if began is None else began
            await asyncio.sleep(max(0.0, began + at - loop.time()))
            unit = replace(item.unit, ingest_ns=time.time_ns())
            now_item = replace(item, unit=unit, published_ns=unit.ingest_ns)
        if not stream.ended:
            stream.publish([now_item])


@asynccontextmanager
async def running_plane(**options: Any) -> AsyncIterator[Plane]:
    async with AsyncExitStack() as stack:
        kernel = Kernel(shards=1)
        stack.callback(kernel.close)
        mux = Mux(["127.0.0.1"], 0)
        mux.intake = kernel.intake()
        access = Access(lambda: 1_000)
        access.set(SECRETS, {})
        service = FanoutService(mux, kernel, access, **options)
        server = HlsServer(whep_app(service), "127.0.0.1", 0, before_stop=service.stop)
        client = await stack.enter_async_context(
            httpx2.AsyncClient(timeout=10, trust_env=False, verify=NO_TLS)
        )
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(mux.run()),
                tasks.create_task(service.run()),
                tasks.create_task(server.run()),
            ]
            await server.ready()
            url = f"http://127.0.0.1:{server.port}"
            async with asyncio.TaskGroup() as playing:
                plane = Plane(service, client, url, access, playing)
                try:
                    yield plane
                finally:
                    for task in list(playing._tasks):
                        task.cancel()
            for task in (running[2], running[1], running[0]):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


@dataclass
class Watching:
    """An aiortc client of the plane."""

    peer: RTCPeerConnection
    response: httpx2.Response
    url: str
    tracks: dict[str, MediaStreamTrack]

    @property
    def session_id(self) -> str:
        return self.url.rpartition("/")[2]

    async def frames(self, kind: str, count: int) -> list[Any]:
        async with asyncio.timeout(20):
            return [await self.tracks[kind].recv() for _ in range(count)]


async def offer_of(peer: RTCPeerConnection, kinds: Iterable[str] = ("video", "audio")) -> str:
    for kind in kinds:
        peer.addTransceiver(kind, direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


@asynccontextmanager
async def watching(
    plane: Plane,
    url: str | None = None,
    *,
    headers: dict[str, str] | None = None,
    kinds: Iterable[str] = ("video", "audio"),
) -> AsyncIterator[Watching]:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tracks: dict[str, MediaStreamTrack] = {}
    peer.on("track", lambda track: tracks.__setitem__(track.kind, track))
    try:
        url = url or plane.whep
        sdp = await offer_of(peer, kinds)
        response = await plane.client.post(
            url, content=sdp, headers={"content-type": "application/sdp", **(headers or {})}
        )
        assert response.status_code == 201, response.text
        resource = str(httpx2.URL(url).join(response.headers["location"]))
        await peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
        yield Watching(peer, response, resource, tracks)
    finally:
        await peer.close()
