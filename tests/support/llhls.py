"""A small LL-HLS origin for tests of players: made with ffmpeg, served in real time by asyncio.

It shares no code with the product's packager, so that a player is not checked against mistakes of
the same author. Video and audio are separate fMP4 renditions; a part is eight pictures or 15 AAC
frames (0.32 s), a segment five parts.
"""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import imageio_ffmpeg

from infra.demo.encoder import SPEECH
from infra.demo.programme import Programme

FPS = 25
PART_FRAMES, SEGMENT_PARTS = 8, 5
PART_S = PART_FRAMES / FPS
HOLD_BACK_S = 3 * PART_S


@dataclass(frozen=True)
class Media:
    """An init segment and the fragments of one rendition."""

    init: bytes
    parts: list[bytes]


def make_media(
    folder: Path, seconds: int, size: tuple[int, int] = (640, 360), first: int = 0
) -> dict[str, Media]:
    """Frames stamped with `index * 1000 / FPS` milliseconds, `first` and on, and speech."""
    programme = Programme(*size, FPS)
    indices = range(first, first + seconds * FPS)
    frames = b"".join(programme.frame(n * 1000 // FPS, n) for n in indices)
    fragments = "empty_moov+default_base_moof+delay_moov"
    common = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-framerate", str(FPS)]
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"]
    video += ["-g", str(PART_FRAMES * SEGMENT_PARTS)]
    audio = ["-c:a", "aac", "-ar", "48000"]
    cut = ["-movflags", fragments, "-frag_duration", str(int(PART_S * 1e6))]
    subprocess.run(
        [
            *common,
            *raw,
            "-video_size",
            f"{size[0]}x{size[1]}",
            "-i",
            "-",
            *video,
            *cut,
            "video.mp4",
        ],
        cwd=folder,
        input=frames,
        check=True,
    )
    subprocess.run(
        [*common, "-t", str(seconds), "-i", str(SPEECH), *audio, *cut, "audio.mp4"],
        cwd=folder,
        check=True,
    )
    return {name: split((folder / f"{name}.mp4").read_bytes()) for name in ("video", "audio")}


def split(data: bytes) -> Media:
    """Cut a fragmented MP4 in front of every moof."""
    starts = [at for kind, at in _boxes(data) if kind == b"moof"]
    ends = [*starts[1:], next((at for kind, at in _boxes(data) if kind == b"mfra"), len(data))]
    return Media(data[: starts[0]], [data[a:b] for a, b in zip(starts, ends, strict=True)])


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    at = 0
    while at < len(data):
        yield data[at + 4 : at + 8], at
        at += int.from_bytes(data[at : at + 4], "big")


@dataclass
class Origin:
    """Serves the media as if it were live since `start_s` (Unix); use with `async with`.

    Whatever is in `media` besides `video` and `audio` is another variant, of half the bandwidth.
    """

    media: dict[str, Media]
    start_s: float = 0.0
    url: str = ""
    requests: list[str] = field(default_factory=list)
    hold_until: dict[str, float] = field(default_factory=dict)
    """A file name whose answer is delayed until a wall-clock time, to provoke a stall."""
    gone: set[str] = field(default_factory=set)
    """File names that are not found."""
    lost: set[str] = field(default_factory=set)
    """Names of parts that playlists list as gaps."""

    async def __aenter__(self) -> "Origin":
        self._connections: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/live/index.m3u8"
        self.start_s = time.time()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def total(self) -> int:
        """Parts that are served: whole segments only, since an ended playlist has no open one."""
        parts = min(len(media.parts) for media in self.media.values())
        return parts - parts % SEGMENT_PARTS

    @property
    def frames(self) -> int:
        """Pictures in the parts that are served."""
        return self.total * PART_FRAMES

    def finished_parts(self) -> int:
        return min(self.total, int((time.time() - self.start_s) / PART_S))

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                target = request.split()[1].decode()
                self.requests.append(target)
                kind, body = await self._answer(target)
                status = "200 OK" if body is not None else "404 Not Found"
                body = body or b""
                head = (
                    f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                    "Access-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, target: str) -> tuple[str, bytes | None]:
        url = urlsplit(target)
        name = url.path.rpartition("/")[2]
        if wait := self.hold_until.get(name):
            await asyncio.sleep(max(0.0, wait - time.time()))
        if name in self.gone:
            return "text/plain", None
        if name == "index.m3u8":
            rungs = [name for name in self.media if name not in ("video", "audio")]
            text = MULTIVARIANT + "".join(RUNG.format(name=name) for name in rungs)
            return "application/vnd.apple.mpegurl", text.encode()
        if name.endswith(".m3u8") and name[:-5] in self.media:
            return "application/vnd.apple.mpegurl", await self._playlist(name[:-5], url.query)
        rendition, _, number = name.partition(".mp4")[0].partition("-")
        if rendition not in self.media:
            return "text/plain", None
        media = self.media[rendition]
        if number == "init":
            return "video/mp4", media.init
        if number.startswith("s"):
            first = int(number[1:]) * SEGMENT_PARTS
            return "video/mp4", b"".join(media.parts[first : first + SEGMENT_PARTS])
        return "video/mp4", media.parts[int(number)]

    async def _playlist(self, rendition: str, query: str) -> bytes:
        asked = parse_qs(query)
        if "_HLS_msn" in asked:
            part = int(asked.get("_HLS_part", [str(SEGMENT_PARTS - 1)])[0])
            wanted = int(asked["_HLS_msn"][0]) * SEGMENT_PARTS + part + 1
            while self.finished_parts() < min(wanted, self.total):
                await asyncio.sleep(0.005)
        return self.playlist(rendition, self.finished_parts()).encode()

    def playlist(self, rendition: str, parts: int) -> str:
        """The media playlist when `parts` parts are finished."""
        begun = datetime.fromtimestamp(self.start_s, UTC).isoformat(timespec="milliseconds")
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            "#EXT-X-TARGETDURATION:2",
            f"#EXT-X-PART-INF:PART-TARGET={PART_S}",
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={HOLD_BACK_S:.3f}",
            "#EXT-X-MEDIA-SEQUENCE:0",
            f'#EXT-X-MAP:URI="{rendition}-init.mp4"',
            f"#EXT-X-PROGRAM-DATE-TIME:{begun}",
        ]
        for number in range(parts):
            first = (
                ",INDEPENDENT=YES" if number % SEGMENT_PARTS == 0 or rendition == "audio" else ""
            )
            name = f"{rendition}-{number}.mp4"
            gap = ",GAP=YES" if name in self.lost else ""
            lines.append(f'#EXT-X-PART:DURATION={PART_S},URI="{name}"{first}{gap}')
            if number % SEGMENT_PARTS == SEGMENT_PARTS - 1:
                msn = number // SEGMENT_PARTS
                lines += [f"#EXTINF:{PART_S * SEGMENT_PARTS:.3f},", f"{rendition}-s{msn}.mp4"]
        if parts >= self.total:
            lines.append("#EXT-X-ENDLIST")
        else:
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{rendition}-{parts}.mp4"')
        return "\n".join(lines) + "\n"


MULTIVARIANT = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="main",DEFAULT=YES,AUTOSELECT=YES,URI="audio.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=2000000,CODECS="avc1.42c01e,mp4a.40.2",AUDIO="a"
video.m3u8
"""
RUNG = """#EXT-X-STREAM-INF:BANDWIDTH=1000000,CODECS="avc1.42c01e,mp4a.40.2",AUDIO="a"
{name}.m3u8
"""
