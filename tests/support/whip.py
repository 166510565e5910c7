"""A WHIP ingest behind real HTTP and a real WebRTC port, and publishers for it, for tests."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx2
import uvicorn
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from starlette.types import ASGIApp

from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.publishers import Publishers
from hotpath.ingest.whip import whip_app
from hotpath.ingest.whip_limits import WhipLimits
from hotpath.ingest.whip_service import WhipIngest
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.turn import TurnServers
from tests.support.ingest import RecordingSink

SDP = {"content-type": "application/sdp"}
FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag"}


@dataclass
class Node:
    """What a test talks to."""

    base: str
    http: httpx2.AsyncClient
    mux: Mux
    ingest: WhipIngest
    publishers: Publishers
    sink: RecordingSink

    def url(self, event: str) -> str:
        return f"{self.base}/whip/{event}"


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The app on a free port of the loopback; the base URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_level="warning", ws="none")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def whip_node(
    *entries: AdmissionEntry,
    limits: WhipLimits | None = None,
    turn: TurnServers | None = None,
) -> AsyncIterator[Node]:
    sink = RecordingSink()
    publishers = Publishers(sink)
    mux = Mux(["127.0.0.1"], 0, tcp=False)
    ingest = WhipIngest(mux, publishers, limits=limits)
    publishers.join("whip", ingest)
    publishers.set_table(entries)
    tasks = [asyncio.create_task(mux.run()), asyncio.create_task(ingest.run())]
    app = whip_app(ingest, turn=turn)
    try:
        async with served(app) as base, httpx2.AsyncClient(trust_env=False) as http:
            yield Node(base, http, mux, ingest, publishers, sink)
    finally:
        for task in reversed(tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def prefer_h264(pc: RTCPeerConnection) -> None:
    codecs = RTCRtpSender.getCapabilities("video").codecs
    wanted = [c for c in codecs if c.mimeType in ("video/H264", "video/rtx")]
    for transceiver in pc.getTransceivers():
        if transceiver.kind == "video":
            transceiver.setCodecPreferences(wanted)


@dataclass
class Published:
    pc: RTCPeerConnection
    session: str
    """URL of the session."""
    etag: str
    answer: str


async def publish(
    node: Node, entry: AdmissionEntry, tracks: Sequence[MediaStreamTrack], *, token: str = ""
) -> Published:
    """An aiortc peer that publishes `tracks`; connected or not yet."""
    pc = RTCPeerConnection()
    for track in tracks:
        pc.addTransceiver(track, direction="sendonly")
    prefer_h264(pc)
    await pc.setLocalDescription(await pc.createOffer())
    response = await node.http.post(
        node.url(entry.event),
        content=pc.localDescription.sdp,
        headers={**SDP, "authorization": f"Bearer {token or entry.whip_token}"},
    )
    assert response.status_code == 201, response.text
    await pc.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
    session = node.base + response.headers["location"]
    return Published(pc, session, response.headers["etag"], response.text)
