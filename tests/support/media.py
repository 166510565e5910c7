"""Test media, made with the ffmpeg that `imageio-ffmpeg` brings, and publishers that send it."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import imageio_ffmpeg

from hotpath.ingest.session import TsIngest, UnitsReady
from hotpath.media.unit import Unit


@dataclass(frozen=True)
class Recipe:
    """What a test stream is made of; small by default."""

    size: str = "640x360"
    fps: int = 30
    seconds: float = 4.0
    gop: int = 30
    video: tuple[str, ...] = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency")
    audio: tuple[str, ...] = ("-c:a", "aac", "-b:a", "64k")
    bitrate: str = "800k"
    tones: tuple[int, ...] = (440,)
    """Hz, one for each sound; `audio` encodes all of them."""


AVC_AAC = Recipe()
B_FRAMES = Recipe(video=("-c:v", "libx264", "-preset", "veryfast", "-bf", "3"))
MP2 = Recipe(audio=("-c:a", "mp2", "-b:a", "128k"))
OPUS = Recipe(audio=("-c:a", "libopus", "-b:a", "64k"))
HEVC = Recipe(video=("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"))
MPEG2_VIDEO = Recipe(
    video=(
        "-c:v",
        "mpeg2video",
    )
)
VIDEO_ONLY = Recipe(audio=())
HD = Recipe(size="1280x720", bitrate="3M")


CACHE = Path(tempfile.gettempdir()) / "livepath-test-media"


@cache
def ffmpeg() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def make_ts(path: Path, recipe: Recipe = AVC_AAC) -> Path:
    """The recipe as a transport stream, unless the file is there; encoded once for all runs."""
    if path.exists():
        return path
    source = f"testsrc2=size={recipe.size}:rate={recipe.fps}:duration={recipe.seconds}"
    command = [ffmpeg(), "-v", "error", "-y", "-f", "lavfi", "-i", source]
    sounds = recipe.tones if recipe.audio else ()
    for tone in sounds:
        sine = f"sine=frequency={tone}:sample_rate=48000:duration={recipe.seconds}"
        command += ["-f", "lavfi", "-i", sine]
    for index in range(len(sounds) + 1):
        command += ["-map", str(index)]
    if sounds:
        command += ["-ac", "2", *recipe.audio]
    command += [*recipe.video, "-pix_fmt", "yuv420p", "-g", str(recipe.gop), "-b:v", recipe.bitrate]
    shutil.copyfile(_encoded([*command, "-f", "mpegts"]), path)
    return path


def _encoded(command: list[str]) -> Path:
    """What the command writes; kept under the hash of the command, ffmpeg's version with it."""
    made = CACHE / hashlib.sha256("\0".join(command).encode()).hexdigest()
    if not made.exists():
        CACHE.mkdir(exist_ok=True)
        # Several processes may encode the same: each its own file, which is whole when it is named.
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            whole = Path(folder) / "whole"
            subprocess.run([*command, str(whole)], check=True, timeout=60)
            whole.replace(made)
    return made


def units_of(source: Path) -> list[Unit]:
    """The units of a transport stream file."""
    session = TsIngest()
    session.receive(source.read_bytes(), 1)
    session.flush()
    return [u for e in session.poll(1) if isinstance(e, UnitsReady) for u in e.units]


@contextmanager
def publishing(
    source: Path, url: str, *, loop: bool = False
) -> Iterator["subprocess.Popen[bytes]"]:
    """Send a transport stream file in real time, as an encoder would."""
    looped = ["-stream_loop", "-1"] if loop else []
    command = [
        ffmpeg(),
        "-v",
        "error",
        "-re",
        *looped,
        "-i",
        str(source),
        "-map",
        "0",
        "-c",
        "copy",
    ]
    process = subprocess.Popen(
        [*command, "-f", "mpegts", url], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
