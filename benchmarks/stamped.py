"""A stamped programme: H.264 whose every frame carries the wall clock of its departure.

Invariant: the digits behind `MARK` in a frame's SEI are the Unix time in µs at which the frame's
first byte was handed to the transport. `programme` encodes once into a cache folder (720p30,
2.3 Mbit/s, zero-latency baseline, one key frame a second, AAC or Opus), with empty stamps;
`publisher.Publisher` fills them and sends it in real time, over and over. A reader subtracts the
stamp from its clock.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import av.bitstream
import imageio_ffmpeg

MARK = b"livepath-clock-1"  # the 16 bytes of a user_data_unregistered SEI's uuid; no zeros in it
DIGITS = 17
CACHE = Path(tempfile.gettempdir()) / "livepath-benchmarks"


@dataclass(frozen=True, slots=True)
class Recipe:
    size: str = "1280x720"
    fps: int = 30
    kbps: int = 2300
    gop: int = 30
    seconds: int = 16
    """A multiple of 8 s is a whole number of AAC frames, so the loop has no seam."""
    audio: Literal["aac", "libopus"] = "aac"
    b_frames: int = 0

    @property
    def name(self) -> str:
        extra = f"-b{self.b_frames}" if self.b_frames else ""
        return f"stamped-{self.size}-{self.fps}-{self.kbps}-{self.gop}-{self.audio}{extra}.ts"


def sei(microseconds: int) -> bytes:
    """A NAL unit with the stamp; ASCII digits need no emulation prevention."""
    payload = MARK + b"%0*d" % (DIGITS, microseconds)
    return b"\x00\x00\x00\x01\x06\x05" + bytes([len(payload)]) + payload + b"\x80"


def stamp_of(data: bytes) -> int | None:
    """The stamp in a frame (or any part of one that holds the whole SEI), in µs."""
    at = data.find(MARK)
    digits = data[at + len(MARK) : at + len(MARK) + DIGITS] if at >= 0 else b""
    return int(digits) if len(digits) == DIGITS and digits.isdigit() else None


def programme(recipe: Recipe = Recipe(), cache: Path = CACHE) -> Path:
    """The transport stream with empty stamps; encoded unless it is there."""
    path = cache / recipe.name
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        plain, stamped = Path(folder) / "plain.mp4", Path(folder) / "stamped.ts"
        subprocess.run(_encoding(recipe, plain), check=True)
        _insert(plain, stamped, recipe.seconds)
        stamped.replace(path)
    return path


def _encoding(recipe: Recipe, path: Path) -> list[str]:
    picture = f"testsrc2=size={recipe.size}:rate={recipe.fps}:duration={recipe.seconds}"
    tone = f"sine=frequency=440:sample_rate=48000:duration={recipe.seconds}"
    rate = f"{recipe.kbps}k"
    profile = "main" if recipe.b_frames else "baseline"
    return [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"),
        *("-f", "lavfi", "-i", f"{picture},noise=alls=12:allf=t", "-f", "lavfi", "-i", tone),
        *("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-threads", "1"),
        *("-profile:v", profile, "-bf", str(recipe.b_frames), "-pix_fmt", "yuv420p"),
        *("-g", str(recipe.gop), "-keyint_min", str(recipe.gop), "-sc_threshold", "0"),
        *("-b:v", rate, "-maxrate", rate, "-bufsize", f"{recipe.kbps // 2}k"),
        *("-c:a", recipe.audio, "-b:a", "128k", "-ac", "2", str(path)),
    ]


def _insert(source: Path, target: Path, seconds: int) -> None:
    """Put an empty stamp before the first slice of every frame; cut audio to the loop's length."""
    with av.open(str(source)) as given, av.open(str(target), "w", format="mpegts") as made:
        made_of = {s.index: made.add_stream_from_template(s) for s in given.streams}
        video = given.streams.video[0]
        annex_b = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", video)
        for packet in given.demux():
            if packet.dts is None or packet.pts is None:
                continue
            if packet.stream is not video and not 0 <= packet.pts * packet.time_base < seconds:
                continue
            for one in annex_b.filter(packet) if packet.stream is video else [packet]:
                index = one.stream.index if one.stream else packet.stream.index
                if packet.stream is video:
                    one = _with_stamp(one)  # noqa: PLW2901 - the packet in its final form
                one.stream = made_of[index]
                made.mux(one)


def _with_stamp(packet: "av.Packet[Any]") -> "av.Packet[Any]":
    data = bytes(packet)
    starts = [m.start() for m in re.finditer(rb"\x00\x00\x01", data)]
    out = b""
    stamped = False
    for at, following in zip(starts, [*starts[1:], len(data)], strict=True):
        kind = data[at + 3] & 31
        if kind == 6:  # x264's banner
            continue
        if kind in (1, 5) and not stamped:
            out, stamped = out + sei(0), True
        out += b"\x00" + data[at:following].rstrip(b"\x00")
    changed = av.Packet(out)
    changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
    changed.is_keyframe = packet.is_keyframe
    return changed
