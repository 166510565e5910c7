"""The H.264 encoder of a normalised picture: NVENC where it opens, else libx264; child only.

Invariant: what it makes has no B-frames and no delay, SPS and PPS stand before each IDR, and an IDR
comes exactly where it is asked for. A process to which NVENC was refused once does not ask again.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from threading import Lock
from typing import Any, TypeVar

import av
from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame

from hotpath.encode.job import EncodeSettings
from hotpath.media.clock import rescale
from hotpath.media.h264 import ParameterSets, read_head
from hotpath.media.unit import Codec, Format
from infra.cores import available_cores

E = TypeVar("E")
NVENC, X264 = "h264_nvenc", "libx264"
_NEVER = 1 << 20
"""GOP length in frames: IDRs are placed by hand."""
NVENC_REFUSED = "nvenc-refused"
"""Among the counts, once a process: NVENC is here and did not open, so that libx264 encodes."""
_MANY_CORES = 4
_MAX_THREADS = 4


def cores() -> int:
    return max(int(available_cores()), 1)


def threads(settings: EncodeSettings) -> int:
    """For one codec, where it is the only one that works at a time."""
    return settings.threads or min(cores(), _MAX_THREADS)


def frames_per_second(source: Format, clock: int) -> int:
    """What the encoder is told to expect."""
    duration = source.frame_duration
    return min(max(round(clock / duration), 1), 120) if duration else 30


class H264Encoder:
    """One picture size; another needs another encoder."""

    def __init__(self, name: str, width: int, height: int, *, clock: int, fps: int, bitrate: int,
                 cap: int, threads: int) -> None:  # fmt: skip
        self.name, self.size = name, (width, height)
        context: Any = av.CodecContext.create(name, "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, clock), Fraction(fps)
        context.bit_rate, context.max_b_frames, context.gop_size = bitrate, 0, _NEVER
        context.thread_count = threads
        rate = {"maxrate": str(cap), "bufsize": str(cap // 2)}
        context.options = _OPTIONS[name] | rate
        if name == X264:
            fast = cores() < _MANY_CORES or height > 720
            context.options |= {"preset": "superfast" if fast else "veryfast"}
        context.open()
        self._context = context

    @property
    def bitrate(self) -> int:
        return int(self._context.bit_rate)

    @bitrate.setter
    def bitrate(self, bits: int) -> None:
        """In force with the next frame."""
        self._context.bit_rate = bits

    def encode(self, frame: VideoFrame | None, *, keyframe: bool = False) -> Iterator[Any]:
        """Packets with `pts` in the encoder's clock."""
        if frame is not None:
            frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        yield from self._context.encode(frame)


class Description:
    """The format of what an encoder makes, read from its own keyframes."""

    def __init__(self, track: str, source: Format, clock_in: int, clock_out: int) -> None:
        self._track = track
        self._clock_out = clock_out
        self._frame_duration = rescale(source.frame_duration, clock_out, clock_in)
        self._sets = ParameterSets()
        self._format: Format | None = None

    def changed(self, keyframe: bytes) -> Format | None:
        """The format from this keyframe on, if it is another one."""
        self._sets.update(read_head(keyframe))
        info = self._sets.info
        format = Format(
            self._track,
            Codec.H264,
            self._clock_out,
            self._sets.config,
            info.codecs if info else "avc1.42c01f",
            info.width if info else 0,
            info.height if info else 0,
            frame_duration=self._frame_duration,
        )
        if format == self._format:
            return None
        self._format = format
        return format


_OPTIONS = {
    X264: {"tune": "zerolatency", "profile": "baseline", "forced-idr": "1"},
    NVENC: {
        "preset": "p1",
        "tune": "ull",
        "profile": "baseline",
        "rc": "cbr",
        "zerolatency": "1",
        "delay": "0",
        "forced-idr": "1",
    },
}


def nvenc_works() -> bool:
    """Whether it opens here and takes a small picture."""
    try:
        encoder = H264Encoder(
            NVENC, 256, 256, clock=90_000, fps=30, bitrate=500_000, cap=500_000, threads=1
        )
        black = VideoFrame(256, 256, "yuv420p")
        black.pts = 0
        list(encoder.encode(black))
    except (FFmpegError, ValueError):
        return False
    return True


class Choice:
    """Which encoder a process uses, whatever threads its pictures are encoded in.

    Invariant: NVENC is tried small once and used from then on until it is refused once, for want of
    a session, for the picture's size or because the card is gone; after that it is libx264.
    """

    def __init__(self, works: Callable[[], bool] = nvenc_works) -> None:
        self._works = works
        self._lock = Lock()
        self._name = ""

    @property
    def name(self) -> str:
        """Of the encoder that is tried next."""
        with self._lock:
            self._name = self._name or (NVENC if self._works() else X264)
            return self._name

    def open(self, make: Callable[[str], E], counts: Counter[str]) -> E:
        """What `make` makes of an encoder's name; `counts` is told when NVENC is given up.

        `FFmpegError` or `ValueError` where libx264 does not open either.
        """
        if self.name == NVENC:
            try:
                return make(NVENC)
            except (FFmpegError, ValueError):
                self._give_up(counts)
        return make(X264)

    def _give_up(self, counts: Counter[str]) -> None:
        with self._lock:
            if self._name == NVENC:  # several rungs may be refused at a time
                self._name = X264
                counts[NVENC_REFUSED] += 1


CHOICE = Choice()
"""This process's."""
