"""Checks the archive by decoding all of it: which frames are there, and is there sound. Blocking.

Invariant: a frame counts once, by the number in its barcode, and only when it was decoded without
an error. Upstream: the MP4 behind the asset's presigned URL. Downstream: `report`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import httpx2
import numpy as np
from av.audio.frame import AudioFrame

from infra.demo import barcode
from infra.demo.decoding import luma
from infra.demo.errors import DemoError

SILENCE_DBFS = -60.0
"""Speech in a room is louder; an all-zero track is minus infinity."""
# A cut at the end may cost audio the length of a part, never more.
MISSING_AUDIO_MS = 1000


@dataclass(frozen=True, slots=True)
class Audio:
    duration_ms: int
    level_dbfs: float


@dataclass(frozen=True, slots=True)
class Archive:
    """What the decoded file holds."""

    frames: frozenset[int]
    unreadable: int
    """Pictures without a barcode that could be read."""
    duration_ms: int
    """From the first to the end of the last picture, as decoded."""
    audio: Audio | None

    def missing(self, frames_sent: int) -> list[int]:
        """Numbers of the sent frames that are not there."""
        return [index for index in range(frames_sent) if index not in self.frames]

    @property
    def has_sound(self) -> bool:
        return self.audio is not None and self.audio.level_dbfs > SILENCE_DBFS

    def problems(self, frames_sent: int, fps: int) -> list[str]:
        """Everything that is wrong with it, in words; empty when it is whole."""
        found = []
        if missing := self.missing(frames_sent):
            found.append(
                f"{len(missing)} of {frames_sent} sent frames are missing from the archive: "
                f"{ranges(missing)}"
            )
        expected_ms = frames_sent * 1000 // fps
        if abs(self.duration_ms - expected_ms) > 2 * 1000 // fps + len(missing) * 1000 // fps:
            found.append(f"the archive lasts {self.duration_ms} ms instead of {expected_ms} ms")
        if self.audio is None:
            found.append("the archive has no audio track")
        elif not self.has_sound:
            found.append(f"the archive's audio is silent ({self.audio.level_dbfs:.0f} dBFS)")
        elif self.audio.duration_ms < self.duration_ms - MISSING_AUDIO_MS:
            found.append(
                f"the archive has {self.audio.duration_ms} ms of audio for {self.duration_ms} ms"
            )
        return found


def ranges(numbers: list[int], limit: int = 5) -> str:
    """ "3-7, 12" for a sorted list."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in runs[:limit]]
    return ", ".join(shown) + (f" and {len(runs) - limit} more" if len(runs) > limit else "")


def download(url: str, path: Path) -> None:
    """Fetch a presigned URL into a file."""
    with httpx2.stream("GET", url, timeout=30.0, trust_env=False) as response:
        if response.status_code != httpx2.codes.OK:
            raise DemoError(f"the archive's URL answered {response.status_code}")
        with path.open("wb") as file:
            for chunk in response.iter_bytes(1 << 20):
                file.write(chunk)


def inspect(path: Path) -> Archive:
    """Decode every picture and every sound of the file."""
    try:
        video = _video(path)
        return Archive(*video, audio=_audio(path))
    except av.FFmpegError as error:
        raise DemoError(f"the archive does not decode: {error}") from error


def _video(path: Path) -> tuple[frozenset[int], int, int]:
    frames: set[int] = set()
    unreadable = 0
    first: int | None = None
    last = 0
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise DemoError("the archive has no video track")
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        for frame in container.decode(stream):
            stamp = barcode.read(luma(frame))
            if stamp is None:
                unreadable += 1
            else:
                frames.add(stamp.index)
            if frame.pts is not None and frame.time_base is not None:
                start = round(frame.pts * frame.time_base * 1000)
                first = start if first is None else min(first, start)
                last = max(last, start + round((frame.duration or 0) * frame.time_base * 1000))
    return frozenset(frames), unreadable, last - (first or 0)


def _audio(path: Path) -> Audio | None:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        return _loudness(container.decode(container.streams.audio[0]))


def _loudness(frames: Iterable[AudioFrame]) -> Audio:
    count, rate, energy = 0, 1, 0.0
    for frame in frames:
        # AAC decodes to floating point, full scale 1.
        levels = frame.to_ndarray().astype(np.float64)
        energy += float((levels**2).mean()) * frame.samples
        count += frame.samples
        rate = frame.sample_rate
    mean = energy / count if count else 0.0
    level = 10 * math.log10(mean) if mean > 0 else -math.inf
    return Audio(duration_ms=count * 1000 // rate, level_dbfs=level)
