"""The peer to beat that Python users know: aiortc handing on H.264 and Opus as they are, over WHEP.

    python -m benchmarks.aiortc_server

Prints its port on loopback. No encoder runs: a feeder reads the stamped programme in real time and
every viewer has a queue of its own, as with `aiortc.contrib.media.MediaRelay`; aiortc packetizes,
encrypts and sends for each. The programme's audio must be Opus.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aioice.ice
import av
import uvicorn
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.stamped import Recipe, programme

_QUEUE = 256


class Passthrough(MediaStreamTrack):
    """One viewer's view of one track."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.packets: asyncio.Queue[Any] = asyncio.Queue(_QUEUE)

    async def recv(self) -> Any:
        return await self.packets.get()


class Server:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._tracks: dict[str, set[Passthrough]] = {"video": set(), "audio": set()}
        self._connections: set[RTCPeerConnection] = set()

    async def feed(self) -> None:
        """The programme in real time, over and over."""
        loop, offset = asyncio.get_running_loop(), 0.0
        started = loop.time()
        while True:
            with av.open(str(self._path)) as container:
                first: float | None = None
                last = 0.0
                for packet in container.demux(video=0, audio=0):
                    if packet.dts is None or packet.pts is None:
                        continue
                    at = float(packet.dts * packet.time_base)
                    first = at if first is None else first
                    last = at - first
                    await asyncio.sleep(max(0.0, started + offset + last - loop.time()))
                    packet.pts += round(offset / packet.time_base)
                    self._hand_out(packet)
            offset += last + 1 / 30

    def _hand_out(self, packet: Any) -> None:
        for track in self._tracks[packet.stream.type]:
            if not track.packets.full():
                track.packets.put_nowait(packet)

    async def whep(self, request: Request) -> Response:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connections.add(connection)
        offer = RTCSessionDescription((await request.body()).decode(), "offer")
        await connection.setRemoteDescription(offer)
        for transceiver in connection.getTransceivers():
            track = Passthrough(transceiver.kind)
            self._tracks[transceiver.kind].add(track)
            wanted = "video/h264" if transceiver.kind == "video" else "audio/opus"
            codecs = RTCRtpSender.getCapabilities(transceiver.kind).codecs
            transceiver.setCodecPreferences([c for c in codecs if c.mimeType.lower() == wanted])
            transceiver.sender.replaceTrack(track)
            transceiver.direction = "sendonly"
        await connection.setLocalDescription(await connection.createAnswer())
        headers = {"location": "/session", "content-type": "application/sdp"}
        return Response(connection.localDescription.sdp, 201, headers)

    async def end(self, request: Request) -> Response:
        return Response(status_code=200)


async def serve(path: Path) -> None:
    server = Server(path)
    routes = [
        Route("/whep", server.whep, methods=["POST"]),
        Route("/session", server.end, methods=["DELETE"]),
    ]
    config = uvicorn.Config(Starlette(routes=routes), "127.0.0.1", 0, log_level="error")
    web = uvicorn.Server(config)
    feeding = asyncio.create_task(server.feed())
    serving = asyncio.create_task(web.serve())
    while not web.started:
        await asyncio.sleep(0.01)
    print(web.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving
    feeding.cancel()
    with suppress(asyncio.CancelledError):
        await feeding


@contextmanager
def aiortc_server() -> Iterator[tuple[str, int]]:
    """(WHEP URL, process id) of a server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.aiortc_server"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"the aiortc server ended with status {process.wait()}")
        yield f"http://127.0.0.1:{port}/whep", process.pid
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main() -> int:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    # aioice leaves loopback out, and a benchmark sends nowhere else.
    aioice.ice.get_host_addresses = lambda *_, **__: ["127.0.0.1"]
    asyncio.run(serve(programme(Recipe(audio="libopus"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
