"""How many pixels a second one core of this machine scales and encodes, by doing so for a moment.

Runs in the ladder's child only, before its first picture. With NVENC it is the time that passes
that counts, with libx264 that of the processor, so that a neighbour's work is not taken for
slowness.
"""

import os
import time
from collections import Counter
from fractions import Fraction
from typing import Any

from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from hotpath.encode.h264 import CHOICE, NVENC, H264Encoder

_SOURCE = (1280, 720)
_SIZE = (640, 360)
_WARM, _PICTURES = 4, 12
"""Not counted, then counted."""
_COARSE = (80, 46)
_NOISE = os.urandom(1 << 15)
"""More than a plane of the coarse picture takes, however its rows are padded."""


def speed(counts: Counter[str]) -> float:
    """Pixels of output a second; `counts` as `Choice.open` has them."""
    encoder = CHOICE.open(_encoder, counts)
    clock = time.perf_counter if encoder.name == NVENC else time.thread_time
    pictures = [_picture(n) for n in range(4)]
    scaler = VideoReformatter()
    began = 0.0
    for n in range(_WARM + _PICTURES):
        if n == _WARM:
            began = clock()
        picture = scaler.reformat(pictures[n % len(pictures)], *_SIZE, "yuv420p")
        picture.pts, picture.time_base = n * 3000, Fraction(1, 90_000)
        list(encoder.encode(picture, keyframe=n == 0))
    return _PICTURES * _SIZE[0] * _SIZE[1] / max(clock() - began, 1e-6)


def _encoder(name: str) -> H264Encoder:
    return H264Encoder(name, *_SIZE, clock=90_000, fps=30, bitrate=800_000, cap=800_000, threads=1)


def _picture(shift: int) -> VideoFrame:
    """Blurred noise, moved a little from one to the next: neither still nor hopeless."""
    coarse: Any = VideoFrame(*_COARSE, "yuv420p")
    for plane in coarse.planes:
        plane.update(_NOISE[shift : shift + plane.buffer_size])
    return VideoReformatter().reformat(coarse, *_SOURCE, "yuv420p")
