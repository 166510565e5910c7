"""A WHIP ingest behind real HTTP and a real WebRTC port, and publishers for it, for tests."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import httpx2
import numpy as np
import uvicorn
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext
from starlette.types import ASGIApp

from hotpath.ingest.admission import AdmissionEntry
from hotpath.ingest.whip import whip_app
from hotpath.ingest.whip_limits import WhipLimits
from hotpath.ingest.whip_service import WhipIngest
from hotpath.media.unit import Unit
from hotpath.webrtc.mux import Mux
from hotpath.webrtc.turn import TurnServers
from tests.support.ingest import RecordingSink
from tests.support.media import ffmpeg
from tests.support.plain_http import NO_TLS

SDP = {"content-type": "application/sdp"}
FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag"}


@dataclass
class Node:
    """What a test talks to."""

    base: str
    http: httpx2.AsyncClient
    mux: Mux
    ingest: WhipIngest
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
    mux = Mux(["127.0.0.1"], 0, tcp=False)
    ingest = WhipIngest(mux, sink, limits=limits)
    ingest.set_table(entries)
    tasks = [asyncio.create_task(mux.run()), asyncio.create_task(ingest.run())]
    app = whip_app(ingest, turn=turn)
    try:
        async with served(app) as base, httpx2.AsyncClient(trust_env=False, verify=NO_TLS) as http:
            yield Node(base, http, mux, ingest, sink)
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
    node: Node,
    entry: AdmissionEntry,
    tracks: Sequence[MediaStreamTrack],
    *,
    bend: Callable[[str], str] = str,
) -> Published:
    """An aiortc peer that publishes `tracks`; connected or not yet. `bend` changes the answer."""
    pc = RTCPeerConnection()
    for track in tracks:
        pc.addTransceiver(track, direction="sendonly")
    prefer_h264(pc)
    await pc.setLocalDescription(await pc.createOffer())
    response = await node.http.post(
        node.url(entry.event),
        content=pc.localDescription.sdp,
        headers={**SDP, "authorization": f"Bearer {entry.whip_token}"},
    )
    assert response.status_code == 201, response.text
    await pc.setRemoteDescription(RTCSessionDescription(bend(response.text), "answer"))
    session = node.base + response.headers["location"]
    return Published(pc, session, response.headers["etag"], response.text)


def flashing(path: Path, *, seconds: int = 12) -> Path:
    """A film with a white flash and a beep at every full second, for sync to be measured."""
    if path.exists():
        return path
    flash = "drawbox=w=iw:h=ih:color=white:t=fill:enable='lt(mod(t,1),0.1)'"
    beep = "if(lt(mod(t\\,1)\\,0.1)\\,0.5*sin(2*PI*1000*t)\\,0)"
    command = [ffmpeg(), "-v", "error", "-y"]
    command += ["-f", "lavfi", "-i", f"color=black:s=320x180:r=30:d={seconds},{flash}"]
    command += ["-f", "lavfi", "-i", f"aevalsrc='{beep}':s=48000:d={seconds}"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "300"]
    subprocess.run([*command, "-c:a", "pcm_s16le", str(path)], check=True, timeout=60)
    return path


def flashes(units: Sequence[Unit], config: bytes) -> list[float]:
    """Seconds at which a dark picture turns bright; every unit must decode."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    found: list[float] = []
    bright = True
    for unit in units:
        data = (config if unit.keyframe else b"") + unit.data
        packet = av.Packet(data)
        packet.pts, packet.time_base = unit.pts, Fraction(1, 90_000)
        for frame in decoder.decode(packet):
            is_bright = float(frame.to_ndarray(format="gray").mean()) > 128
            if is_bright and not bright:
                found.append((frame.pts or 0) / 90_000)
            bright = is_bright
    return found


def beeps(units: Sequence[Unit]) -> list[float]:
    """Seconds at which silence turns to sound."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, AudioCodecContext)
    found: list[float] = []
    loud = True
    for unit in units:
        for frame in decoder.decode(av.Packet(unit.data)):
            samples = np.abs(frame.to_ndarray().astype(np.float64).ravel())
            is_loud = float(samples.max()) > 0.1 * (1 if samples.max() <= 1.5 else 32768)
            if is_loud and not loud:
                found.append(unit.pts / 90_000)
            loud = is_loud
    return found


def decoded(units: Sequence[Unit], config: bytes) -> int:
    """How many pictures come out of a decoder that is told of no damage."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    count = 0
    for unit in units:
        count += len(decoder.decode(av.Packet((config if unit.keyframe else b"") + unit.data)))
    return count + len(decoder.decode(None))
