"""Recorded sound as a speech model takes it: 16 kHz, mono, floats.

Invariant: sample n of what is returned is the sound n / 16000 s after the start that was asked for;
what was not recorded, or does not decode, is silence.

Upstream: bytes of segments. Downstream: `speech`.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from coldpath.errors import DamagedMedia
from coldpath.media.samples import segment_times

RATE = 16_000
_JUMP = Fraction(1, 10)
"""Segments that are further apart do not follow on each other."""
_FRAME = RATE // 50
_PAUSE = 10
"""Frames over which the quiet is measured: 200 ms."""
_BEGIN_S, _END_S = 0.1, 0.6
"""Where a cut may not lie: the decoder is still starting; a word needs to be heard to its end."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A segment of sound."""

    name: str
    data: bytes
    init: bytes
    start: Fraction
    """Media time in seconds."""
    end: Fraction


def sound(name: str, data: bytes, init: bytes, timescale: int) -> Sound:
    """Raises `DamagedMedia` for what is no segment."""
    times = segment_times(data, name)
    end = times.start + times.duration
    return Sound(name, data, init, Fraction(times.start, timescale), Fraction(end, timescale))


def stretches(sounds: Sequence[Sound]) -> list[list[Sound]]:
    """Segments that play without a break and with one init section."""
    found: list[list[Sound]] = []
    for each in sounds:
        last = found[-1][-1] if found else None
        if last is None or abs(each.start - last.end) > _JUMP or each.init != last.init:
            found.append([])
        found[-1].append(each)
    return found


def listen(stretch: Sequence[Sound]) -> NDArray[np.float32]:
    """The sound of a stretch. Raises `DamagedMedia` when nothing of it can be read."""
    start = stretch[0].start
    pcm = np.zeros(int((stretch[-1].end - start) * RATE), np.float32)
    for frame in _decoded(stretch):
        _place(frame, pcm, start)
    return pcm


def cut(last: Sound) -> Fraction:
    """Media time of the quietest moment in the segment that ends a window.

    Only the segment is looked at, so the windows on both sides find the same.
    """
    try:
        pcm = listen([last])
    except DamagedMedia:
        return last.end
    frames = len(pcm) // _FRAME
    loud = np.square(pcm[: frames * _FRAME]).reshape(frames, _FRAME).sum(axis=1)
    first, end = round(_BEGIN_S * RATE / _FRAME), frames - round(_END_S * RATE / _FRAME) - _PAUSE
    if end <= first:
        return last.end
    sums = np.convolve(loud, np.ones(_PAUSE), "valid")[first:end]
    # Of pauses that are equally quiet the last: what is said before it can be told.
    at = first + len(sums) - 1 - int(np.argmin(sums[::-1])) + _PAUSE // 2
    return last.start + Fraction(at * _FRAME, RATE)


def _decoded(stretch: Sequence[Sound]) -> Iterator[AudioFrame]:
    data = stretch[0].init + b"".join(each.data for each in stretch)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    try:
        with av.open(io.BytesIO(data), "r", format="mp4") as container:
            for packet in container.demux(audio=0):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue  # what is damaged is silence
                for frame in frames:
                    if isinstance(frame, AudioFrame):
                        yield from resampler.resample(frame)
    except (av.FFmpegError, IndexError) as error:
        raise DamagedMedia(f"the sound from {stretch[0].name} on does not decode") from error


def _place(frame: AudioFrame, pcm: NDArray[np.float32], start: Fraction) -> None:
    if frame.pts is None or frame.time_base is None:
        return
    samples = frame.to_ndarray().reshape(-1)
    at = round((frame.pts * frame.time_base - start) * RATE)
    first, last = max(at, 0), min(at + len(samples), len(pcm))
    if first < last:
        pcm[first:last] = samples[first - at : last - at]
