"""Real coded media as units: encoded by ffmpeg, demultiplexed by PyAV, on a programme's timeline.

It shares no demultiplexer with the product.
"""

import io
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import av
import imageio_ffmpeg

from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Item, Unit
from hotpath.program.marks import MarkWriter

FPS = 30
EPOCH_NS = 1_790_000_000_000_000_000
WIDTH, HEIGHT = 320, 180

_VIDEO_ARGS = {
    "h264": ["libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0"],
    "h264-b": ["libx264", "-preset", "veryfast", "-bf", "2"],
    "hevc": ["libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=0"],
}
_AUDIO_ARGS = {"aac": ["aac", "-b:a", "96k"], "opus": ["libopus", "-b:a", "64k"]}


@dataclass(frozen=True)
class Coded:
    """A source and what a player should see of it."""

    formats: tuple[Format, ...]
    units: tuple[Unit, ...]
    """In the order of their decode times; video in 90 kHz, audio in samples."""
    elementary: dict[str, bytes]
    """Track -> the source's own stream, for decoding without our container."""

    def track(self, name: str) -> list[Unit]:
        return [unit for unit in self.units if unit.track == name]

    def format(self, name: str) -> Format:
        return next(format for format in self.formats if format.track == name)


def _ffmpeg(*arguments: str) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *arguments]
    return subprocess.run([*command, "pipe:1"], check=True, capture_output=True).stdout


def _encode(video: str | None, audio: str | None, seconds: int, gop: int) -> bytes:
    arguments: list[str] = []
    if video:
        arguments += ["-f", "lavfi", "-i", f"testsrc2=s={WIDTH}x{HEIGHT}:r={FPS}"]
    if audio:
        arguments += ["-f", "lavfi", "-i", "sine=f=440:r=48000"]
    arguments += ["-t", str(seconds)]
    if video:
        arguments += ["-pix_fmt", "yuv420p", "-g", str(gop), "-sc_threshold", "0"]
        arguments += ["-c:v", *_VIDEO_ARGS[video]]
    if audio:
        arguments += ["-ac", "2", "-c:a", *_AUDIO_ARGS[audio]]
    return _ffmpeg(*arguments, "-f", "mpegts")


@lru_cache(maxsize=8)
def coded(
    video: str | None = "h264", audio: str | None = "aac", seconds: int = 6, gop: int = FPS
) -> Coded:
    """`seconds` of a moving picture and a tone."""
    source = av.open(io.BytesIO(_encode(video, audio, seconds, gop)), "r", format="mpegts")
    formats: list[Format] = []
    units: list[Unit] = []
    elementary: dict[str, bytearray] = {}
    counts = {VIDEO: 0, AUDIO: 0}
    with source:
        origin = None
        for packet in source.demux():
            if packet.dts is None or packet.pts is None:
                continue
            name, data = packet.stream.type, bytes(packet)
            origin = packet.dts if origin is None else origin
            dts, pts = packet.dts - origin, packet.pts - origin
            key = packet.is_keyframe
            if name == VIDEO:
                if not counts[name]:
                    formats.append(_video_format(video or "", data))
            else:
                if not counts[name]:
                    formats.append(_audio_format(audio or "", data))
                format = formats[-1] if formats[-1].track == AUDIO else formats[0]
                dts = pts = counts[name] * format.frame_duration
                key, raw = True, data[7:] if audio == "aac" else data
            elementary.setdefault(name, bytearray()).extend(data)
            counts[name] += 1
            unit_data = data if name == VIDEO else raw
            units.append(Unit(name, pts, dts, key, unit_data, EPOCH_NS, EPOCH_NS))
    formats.sort(key=lambda format: format.track != VIDEO)
    scale = {format.track: format.timescale for format in formats}
    units.sort(key=lambda unit: (unit.dts / scale[unit.track], unit.track != VIDEO))
    return Coded(
        tuple(formats), tuple(units), {name: bytes(data) for name, data in elementary.items()}
    )


def _video_format(kind: str, first: bytes) -> Format:
    codec = Codec.HEVC if kind == "hevc" else Codec.H264
    config, position = b"", first.find(b"\0\0\1")
    while position >= 0:
        end = first.find(b"\0\0\1", position + 3)
        nal = first[position + 3 :] if end < 0 else first[position + 3 : end].rstrip(b"\0")
        number = nal[0] >> 1 & 0x3F if codec is Codec.HEVC else nal[0] & 0x1F
        if number in ((32, 33, 34) if codec is Codec.HEVC else (7, 8)):
            config += b"\0\0\0\1" + nal
        position = end
    name = "hvc1.1.6.L60.90" if codec is Codec.HEVC else "avc1.42c00d"
    return Format(VIDEO, codec, 90_000, config, name, WIDTH, HEIGHT, frame_duration=90_000 // FPS)


def _audio_format(kind: str, first: bytes) -> Format:
    if kind == "opus":
        head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 312, 48_000, 0, 0)
        return Format(
            AUDIO, Codec.OPUS, 48_000, head, "opus", sample_rate=48_000, channels=2,
            frame_duration=960,
        )  # fmt: skip
    frequency, channels = first[2] >> 2 & 15, (first[2] & 1) << 2 | first[3] >> 6
    config = struct.pack(">H", 2 << 11 | frequency << 7 | channels << 3)
    return Format(
        AUDIO, Codec.AAC, 48_000, config, "mp4a.40.2", sample_rate=48_000, channels=channels,
        frame_duration=1024,
    )  # fmt: skip


def marked(
    source: Coded, *, msn: int = 0, part_target_ms: int = 215, target_duration_s: int = 2
) -> list[Item]:
    """What the programme publishes for the source, `ProgramEnd` included."""
    writer = MarkWriter(
        epoch_ns=EPOCH_NS,
        msn=msn,
        part_target_ms=part_target_ms,
        target_duration_s=target_duration_s,
    )
    items = writer.begin(source.formats, EPOCH_NS)
    for unit in source.units:
        items += writer.write(unit, EPOCH_NS)
    return items + writer.end(EPOCH_NS, final=True)


def shifted(units: Sequence[Unit], ticks: dict[str, int]) -> list[Unit]:
    """The units later on the timeline."""
    return [
        replace(unit, pts=unit.pts + ticks[unit.track], dts=unit.dts + ticks[unit.track])
        for unit in units
    ]


def decoded(data: bytes, format: str) -> list[bytes]:
    """Every decoded frame (video: the planes; audio: the samples) of a stream in memory."""
    with av.open(io.BytesIO(data), "r", format=format) as container:
        stream = container.streams[0]
        return [
            b"".join(bytes(plane) for plane in frame.planes) for frame in container.decode(stream)
        ]
