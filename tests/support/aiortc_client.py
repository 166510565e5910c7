"""aiortc as a WHEP viewer and a WHIP publisher."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from tests.support.plain_http import NO_TLS

PATIENCE_S = 20.0


@asynccontextmanager
async def exchanged(
    connection: RTCPeerConnection, url: str, token: str | None = None, *, leaves: bool = True
) -> AsyncIterator[httpx2.Response]:
    """The answer to the connection's offer, already applied; DELETEs the session at the end, but
    for one that does not leave by itself."""
    headers = {"content-type": "application/sdp"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    await connection.setLocalDescription(await connection.createOffer())
    async with httpx2.AsyncClient(timeout=20, trust_env=False, verify=NO_TLS) as client:
        answer = await client.post(url, content=connection.localDescription.sdp, headers=headers)
        assert answer.status_code == 201, answer.text
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        try:
            yield answer
        finally:
            if leaves:
                session = httpx2.URL(url).join(answer.headers["location"])
                ended = await client.delete(session, headers=headers)
                assert ended.is_success, ended.text


class Watching:
    def __init__(self, connection: RTCPeerConnection, tracks: dict[str, MediaStreamTrack]) -> None:
        self.connection, self._tracks = connection, tracks

    async def frames(self, kind: str, count: int) -> list[Any]:
        """The next decoded frames of a track."""
        async with asyncio.timeout(PATIENCE_S):
            return [await self._tracks[kind].recv() for _ in range(count)]


@asynccontextmanager
async def viewing(
    url: str, configuration: RTCConfiguration | None = None, *, leaves: bool = True
) -> AsyncIterator[Watching]:
    connection = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
    tracks: dict[str, MediaStreamTrack] = {}
    connection.on("track", lambda track: tracks.__setitem__(track.kind, track))
    for kind in ("video", "audio"):
        connection.addTransceiver(kind, direction="recvonly")
    try:
        async with exchanged(connection, url, leaves=leaves):
            yield Watching(connection, tracks)
    finally:
        await connection.close()


@asynccontextmanager
async def publishing(
    url: str, token: str, tracks: Sequence[MediaStreamTrack]
) -> AsyncIterator[RTCPeerConnection]:
    """Encodes as aiortc does: H.264 and Opus."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for track in tracks:
        transceiver = connection.addTransceiver(track, direction="sendonly")
        wanted = "video/h264" if track.kind == "video" else "audio/opus"
        codecs = RTCRtpSender.getCapabilities(track.kind).codecs
        transceiver.setCodecPreferences([c for c in codecs if c.mimeType.lower() == wanted])
    try:
        async with exchanged(connection, url, token):
            yield connection
    finally:
        await connection.close()
