"""A small origin for the pages: themselves, one event, and WHEP and WHIP servers made of aiortc.

It serves what a test scripts (refuse, offer no path, move, revoke), and records what came. It
shares no code with the product's WHEP server.
"""

import asyncio
import contextlib
import fractions
import itertools
import json
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import uvicorn
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from infra.demo import barcode
from infra.demo.barcode import Stamp
from infra.web import pages

SIZE, FPS = (320, 180), 15
TOKEN = "k1.1.whip"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "authorization, content-type, if-match",
    "Access-Control-Expose-Headers": "location, etag, link, retry-after",
}


class Clocked(VideoStreamTrack):
    """Pictures that carry the demo's barcode."""

    size = SIZE
    _numbers = None

    async def recv(self) -> av.VideoFrame:
        self._numbers = self._numbers or itertools.count()
        number = next(self._numbers)
        await asyncio.sleep(1 / FPS)
        width, height = self.size
        planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
        barcode.draw(planes[:height], Stamp(time.time_ns() // 1_000_000, number))
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number * 90_000 // FPS, fractions.Fraction(1, 90_000)
        return frame


@dataclass
class Origin:
    """What the test scripts, and what it finds afterwards."""

    url: str = ""
    media_url: str = ""
    """Where the event is, if not at `url`."""
    state: str = "live"
    refuse: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers for the next joins; the last one stays."""
    access: dict[str, Any] | None = None
    """What is due to the holder of a token; None: nobody can be asked."""
    no_path: bool = False
    """Answers name an address where nobody is."""
    sessions: dict[str, RTCPeerConnection] = field(default_factory=dict)
    posts: list[str] = field(default_factory=list)
    """Paths of the joins."""
    deleted: list[str] = field(default_factory=list)
    shown: list[Clocked] = field(default_factory=list)
    """What each viewer is shown, in the order of the joins."""
    taken: Counter[str] = field(default_factory=Counter)
    """Frames of each kind that publishers sent."""
    tokens: list[str] = field(default_factory=list)
    """`Authorization` of publishers, and of viewers who ask what is due to them."""
    notices: list[dict[str, Any]] = field(default_factory=list)
    """`ingest.recent` as the publish page reads it."""
    channels: dict[str, "asyncio.Queue[tuple[str, dict[str, Any]] | None]"] = field(
        default_factory=dict
    )

    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def tell(self, session: str, event: str, **data: Any) -> None:
        """Say something over a session's control channel."""
        self.channels[session].put_nowait((event, data))

    def playback(self, event: str) -> dict[str, Any]:
        base = f"{self.media_url or self.url}/live/default/{event}/main"
        return {
            "id": event,
            "name": "A test",
            "state": self.state,
            "access": "public",
            "starts_at": None,
            "hls_url": f"{base}/index.m3u8",
            "whep_url": f"{base}/whep",
        }

    async def join(self, request: Request) -> Response:
        self.posts.append(request.url.path)
        if self.refuse:
            status, headers = self.refuse[0] if len(self.refuse) == 1 else self.refuse.pop(0)
            return JSONResponse({"detail": "scripted"}, status, {**CORS, **headers})
        name = f"s{len(self.posts)}"
        peer = self.sessions[name] = RTCPeerConnection()
        self.channels[name] = asyncio.Queue()
        if "/whip/" in request.url.path:
            self.tokens.append(request.headers.get("authorization", ""))
            peer.on("track", self._take_from)
        else:
            self.shown.append(Clocked())
            peer.addTrack(self.shown[-1])
            peer.addTrack(AudioStreamTrack())
        # The client begins DTLS, as with the product; aiortc would do it itself.
        offer = (await request.body()).decode().replace("a=setup:actpass", "a=setup:active")
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        sdp = peer.localDescription.sdp
        if self.no_path:
            lines = sdp.split("\r\n")
            lines = [line for line in lines if not line.startswith("a=candidate:")]
            sdp = "\r\n".join(lines)
        headers = {**CORS, "Location": f"{request.url.path}/{name}", "ETag": '"1"'}
        return Response(sdp, 201, headers, "application/sdp")

    def _take_from(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._take(track)))

    async def _take(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                await track.recv()
                self.taken[track.kind] += 1

    async def close(self) -> None:
        for channel in self.channels.values():
            channel.put_nowait(None)
        for peer in self.sessions.values():
            await peer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def events(self, session: str) -> AsyncIterator[str]:
        while said := await self.channels[session].get():
            event, data = said
            yield f"event: {event}\ndata: {json.dumps(data)}\n\n"


def _app(origin: Origin) -> FastAPI:
    app = FastAPI()
    app.include_router(pages.router)

    @app.get("/v1/playback/{event}")
    async def playback(event: str) -> dict[str, Any]:
        return origin.playback(event)

    @app.get("/v1/playback/{event}/access")
    async def access(event: str, request: Request) -> Response:
        origin.tokens.append(request.headers.get("authorization", ""))
        return JSONResponse(origin.access, 503 if origin.access is None else 200)

    @app.get("/v1/publish/{event}")
    async def publish(event: str, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"detail": "no"}, 401)
        body = {"id": event, "name": "A test", "state": origin.state, "starts_at": None}
        body |= {"whip_url": f"{origin.url}/whip/{event}", "recent": origin.notices}
        return JSONResponse(body)

    @app.api_route("/{path:path}", methods=["POST", "OPTIONS"])
    async def post(path: str, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=CORS)
        return await origin.join(request)

    @app.delete("/{path:path}")
    async def delete(path: str) -> Response:
        name = path.rpartition("/")[2]
        origin.deleted.append(name)
        await origin.sessions[name].close()
        return Response(status_code=200, headers=CORS)

    @app.get("/{path:path}/events")
    async def events(path: str) -> Response:
        stream = origin.events(path.rpartition("/")[2])
        return StreamingResponse(stream, 200, CORS, "text/event-stream")

    return app


class _Server(uvicorn.Server):
    @staticmethod
    def install_signal_handlers() -> None:
        """The test keeps its own."""


@asynccontextmanager
async def whep_origin() -> AsyncIterator[Origin]:
    origin = Origin()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            _app(origin), log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield origin
        finally:
            server.should_exit = True
            await origin.close()
            await task
