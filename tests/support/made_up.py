"""A programme of made-up media at the origin, without a bus, a packager, a socket or a real clock.

For rules about playlists and HTTP that do not depend on what the media are.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hotpath.hls.events import GapSegment, PartReady, SegmentReady
from hotpath.hls.live import LivePlaylists
from hotpath.hls.origin import HlsOrigin
from hotpath.hls.vault import Vault
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format
from infra.keys import ProgramKey
from tests.support import m3u8

KEY = ProgramKey("acme", "ev_1")
LIVE = f"/live/{KEY}/"
START_NS = 1_790_000_000_000_000_000
S = 1_000_000_000
TRACKS = (VIDEO, AUDIO)
FORMATS = {
    VIDEO: Format(VIDEO, Codec.H264, 1000, b"x", "avc1.42c01f"),
    AUDIO: Format(AUDIO, Codec.AAC, 1000, b"x", "mp4a.40.2"),
    "audio-2": Format("audio-2", Codec.AAC, 1000, b"x", "mp4a.40.2", language="de"),
}


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class MadeUp:
    """Segments of two seconds in ten parts; the clocks go as far as what is published."""

    tracks: tuple[str, ...] = TRACKS
    now_ms: int = 0
    dvr_window_s: int = 0
    vault: Vault | None = None
    access: str = "public"
    captions: bool = False
    origin: HlsOrigin = field(init=False)
    live: LivePlaylists = field(init=False)

    def __post_init__(self) -> None:
        self.origin = HlsOrigin(
            clock_ms=lambda: self.now_ms,
            clock_s=lambda: START_NS // S + self.now_ms // 1000,
            vault=self.vault,
            captions=self.captions,
        )
        self.live = self.origin.open(
            KEY,
            "k1",
            access=self.access,
            part_target_ms=215,
            target_duration_s=2,
            dvr_window_s=self.dvr_window_s,
        )
        for track in self.tracks:
            self.init(track)

    def init(self, track: str, number: int = 0) -> None:
        self.live.init(FORMATS[track], number, b"init")

    def part(self, track: str, msn: int, part: int, *, last: bool = False) -> None:
        """`last`: the segment was known to end with it."""
        self.now_ms = msn * 2000 + (part + 1) * 200
        start, pdt_ns = msn * 2000 + part * 200, START_NS + msn * 2 * S
        event = PartReady(
            FORMATS[track], 0, msn, part, (), (200,), start, part == 0, 0, pdt_ns, last
        )
        self.live.part(event, b"s%d.%d;" % (msn, part))

    def segment(self, msn: int, tracks: tuple[str, ...] = TRACKS) -> None:
        for track in tracks:
            for part in range(10):
                self.part(track, msn, part)
            self.live.segment(SegmentReady(FORMATS[track], msn, msn * 2000, 2000))

    def gap(self, track: str, msn: int) -> None:
        pdt_ns = START_NS + msn * 2 * S
        self.live.gap(GapSegment(FORMATS[track], 0, msn, msn * 2000, 2000, 0, pdt_ns))

    async def found(self, track: str, query: str = "") -> m3u8.Playlist:
        """The playlist of the rendition, parsed."""
        response = await self.ask(f"{LIVE}{track}.m3u8?{query}")
        assert response.status == 200, response
        return m3u8.parse(response.body.decode())

    async def ask(self, url: str, method: str = "GET", **headers: str) -> Response:
        """What the origin answers; `_` in a header's name stands for `-`."""
        path, _, query = url.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            await asyncio.Event().wait()  # the client stays

        async with asyncio.timeout(5):
            await self.origin(scope, receive, send)
        start, body = sent
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        assert len(found) == len(start["headers"]), "a header is sent twice"
        return Response(start["status"], found, body["body"])
