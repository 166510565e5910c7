"""Long recordings made of short ones: fragments encoded once and repeated at later times.

A loop lasts a multiple of 8 s, which is a whole number of pictures, of AAC frames and of segments
of 2 s, so there is no seam: decode times of picture and sound go on together for hours.
"""

import functools
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.session import (
    AUDIO_RATE,
    VIDEO_TIMESCALE,
    Fragment,
    Track,
    fragmented,
    fragments_in,
)

CACHE = Path(tempfile.gettempdir()) / "livepath-benchmarks"
AAC_FRAME = 1024
SECONDS = 8


@dataclass(frozen=True, slots=True)
class Loop:
    """What is repeated."""

    seconds: int = SECONDS
    size: str = "320x180"
    fps: int = 25
    kbps: int = 400
    preset: str = "ultrafast"
    noise: bool = False
    """Pictures as hard to encode as those of a camera."""

    def video(self) -> tuple[list[str], list[str]]:
        """ffmpeg's source and codec."""
        card = f"testsrc2=size={self.size}:rate={self.fps}:duration={self.seconds}"
        rate, gop = f"{self.kbps}k", str(2 * self.fps)
        return ["-f", "lavfi", "-i", card + (",noise=alls=8:allf=t" if self.noise else "")], [
            *("-c:v", "libx264", "-preset", self.preset, "-pix_fmt", "yuv420p", "-bf", "2"),
            *("-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-g", gop, "-keyint_min", gop),
            *("-sc_threshold", "0", "-video_track_timescale", str(VIDEO_TIMESCALE)),
        ]

    def audio(self) -> tuple[list[str], list[str]]:
        tone = f"sine=frequency=440:sample_rate={AUDIO_RATE}:duration={self.seconds + 1}"
        frames = self.seconds * AUDIO_RATE // AAC_FRAME
        codec = ["-c:a", "aac", "-b:a", "64k", "-ac", "2", "-frames:a", str(frames)]
        return ["-f", "lavfi", "-i", tone], codec


@functools.cache
def tracks(loop: Loop) -> tuple[Track, Track]:
    """Picture and sound, encoded unless an earlier run did it."""
    if loop.seconds % SECONDS:
        raise ValueError(f"a loop of {loop.seconds} s has a seam; take a multiple of {SECONDS}")
    video = _encoded(*loop.video())
    audio = _encoded(*loop.audio())
    return (
        Track("video", video[0], VIDEO_TIMESCALE, tuple(video[1])),
        Track("audio", audio[0], AUDIO_RATE, tuple(audio[1])),
    )


def _encoded(source: list[str], codec: list[str]) -> tuple[bytes, list[Fragment]]:
    path = CACHE / f"loop-{hashlib.sha256(repr((source, codec)).encode()).hexdigest()[:16]}.mp4"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as made:
            made.write(fragmented(source, codec))
        Path(made.name).replace(path)
    return fragments_in(path.read_bytes())


def repeated(track: Track, seconds: float) -> Track:
    """The track over and over, for so long."""
    return replace(track, fragments=tuple(over_and_over(track, seconds)))


def over_and_over(track: Track, seconds: float) -> Iterator[Fragment]:
    """Its fragments at ever later times, until the next would begin at `seconds`."""
    length = sum(fragment.duration for fragment in track.fragments)
    shift = 0
    while True:
        for fragment in track.fragments:
            if fragment.base + shift >= seconds * track.timescale:
                return
            yield fragment.shifted(shift)
        shift += length
