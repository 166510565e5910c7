"""From `POST …/markers` over a real bus to a real media process: playlists and control channels."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from infra.control.publisher import DesiredPublisher
from infra.events.bus import connect
from infra.events.desired_bus import DesiredBus
from tests.integration.infra.control.conftest import Deployment
from tests.support.aiortc_client import exchanged
from tests.support.m3u8 import Playlist, attributes, parse
from tests.support.medianode import MediaProcess, encoding
from tests.support.plain_http import NO_TLS
from tests.support.valkey import ValkeyServer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True),
]
PATIENCE_S = 60.0
RENDITIONS = ("video", "audio")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[ValkeyServer]:
    """One that keeps its data over a restart."""
    folder = tmp_path / "bus"
    folder.mkdir()
    with ValkeyServer(folder, persist=True) as server:
        yield server


@pytest.fixture
def media(tmp_path: Path, bus: ValkeyServer) -> Iterator[MediaProcess]:
    with MediaProcess(tmp_path / "data", bus_url=bus.url) as process:
        yield process


@pytest.fixture
async def publisher(bus: ValkeyServer, deployment: Deployment) -> AsyncIterator[DesiredPublisher]:
    client = connect(bus.url)
    publisher = DesiredPublisher(DesiredBus(client), deployment.databases, deployment.clock)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(publisher.run())
        yield publisher
        running.cancel()
    await client.aclose()


class Viewer:
    """What plays one programme: its playlists, and the control channel of one WHEP session."""

    def __init__(self, client: httpx2.AsyncClient, base: str) -> None:
        self.client = client
        self.base = base
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def playlist(self, rendition: str, query: str = "") -> Playlist | None:
        answer = await self.client.get(f"{self.base}/{rendition}.m3u8{query}")
        return parse(answer.text) if answer.status_code == 200 else None

    async def until_on_air(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            for rendition in RENDITIONS:
                while await self.playlist(rendition) is None:
                    await asyncio.sleep(0.05)

    async def next_reload(self, rendition: str) -> dict[str, dict[str, str]]:
        """The date ranges in the answer to a blocking reload for the next part."""
        now = await self.playlist(rendition)
        assert now is not None
        query = f"?_HLS_msn={now.open.msn}&_HLS_part={len(now.open.parts)}"
        reloaded = await self.playlist(rendition, query)
        assert reloaded is not None
        tags = (attributes(value) for value in reloaded.tags.get("#EXT-X-DATERANGE", []))
        return {tag["ID"]: tag for tag in tags}

    async def edge_ms(self) -> int:
        """Unix time at the end of the newest whole segment."""
        playlist = await self.playlist("video")
        assert playlist is not None
        newest = playlist.segments[-1]
        assert newest.date is not None
        assert newest.duration is not None
        return round((newest.date.timestamp() + float(newest.duration)) * 1000)

    async def marker(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()

    async def listen(self, events: str) -> None:
        async with self.client.stream("GET", events) as response:
            name = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: ") and name == "marker":
                    self.heard.put_nowait(json.loads(line[6:]))


@asynccontextmanager
async def viewing(media: MediaProcess, event: str) -> AsyncIterator[Viewer]:
    base = f"http://127.0.0.1:{media.http_port}/live/default/{event}/main"
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in RENDITIONS:
        peer.addTransceiver(kind, direction="recvonly")
    async with httpx2.AsyncClient(timeout=PATIENCE_S, trust_env=False, verify=NO_TLS) as client:
        viewer = Viewer(client, base)
        await viewer.until_on_air()
        try:
            async with exchanged(peer, f"{base}/whep") as answer, asyncio.TaskGroup() as tasks:
                session = httpx2.URL(f"{base}/whep").join(answer.headers["location"])
                listening = tasks.create_task(viewer.listen(f"{session}/events"))
                yield viewer
                listening.cancel()
        finally:
            await peer.close()


async def test_a_marker_is_in_the_next_reload_of_every_rendition_and_its_end_as_well(
    api: httpx2.AsyncClient,
    deployment: Deployment,
    publisher: DesiredPublisher,
    media: MediaProcess,
    bus: ValkeyServer,
) -> None:
    event = (await api.post("/v1/events", json={"name": "Launch"})).json()
    publisher.ring()
    async with asyncio.timeout(PATIENCE_S):
        while publisher.problem is not None:
            await asyncio.sleep(0.02)
    await asyncio.to_thread(media.start)
    await asyncio.to_thread(media.logged, "desired state is in step")
    path = f"/v1/events/{event['id']}/markers"
    url = event["ingest"]["srt"]["url"].replace("media.test:8082", f"127.0.0.1:{media.srt_port}")
    with encoding(url):
        async with viewing(media, event["id"]) as viewer:
            # The deployment's clock is set by the test: to where the programme is.
            deployment.now_ms = await viewer.edge_ms()
            poll = {"kind": "poll", "title": "Who?", "data": {"options": 3}}
            marker = (await api.post(path, json=poll)).json()
            publisher.ring()
            told = await viewer.marker()
            assert told == {
                **poll,
                "id": marker["id"],
                "start_ms": deployment.now_ms,
            }
            for rendition in RENDITIONS:
                tag = (await viewer.next_reload(rendition))[marker["id"]]
                assert tag["CLASS"] == "com.livepath.poll"
                assert tag["START-DATE"] == marker["start"]
                assert "END-DATE" not in tag
            # It is state: what is made while the bus is away arrives when it is back.
            bus.stop()
            deployment.now_ms += 1500
            ended = await api.patch(f"{path}/{marker['id']}", json={"end": "now"})
            publisher.ring()
            bus.start()
            assert await viewer.marker() == {**told, "end_ms": deployment.now_ms}
            for rendition in RENDITIONS:
                tag = (await viewer.next_reload(rendition))[marker["id"]]
                assert tag["END-DATE"] == ended.json()["end"]
    assert media.troubles() == []
