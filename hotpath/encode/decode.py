"""Units to whole pictures, with PyAV: the half of every picture encode that meets strangers' bytes.

Invariant: a picture comes out once, with the unit that it was decoded from, in the order in which
pictures are shown; what is damaged is left out up to the next keyframe. Runs in children only.

Upstream: `hotpath.encode.worker` or `ladder_worker`. Downstream: `picture`, `ladder_pictures`.
"""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.codec.context import ThreadType
from av.error import FFmpegError
from av.video.frame import VideoFrame

from hotpath.encode.deinterlace import Deinterlacer
from hotpath.encode.passing import Passing
from hotpath.media.unit import Codec, Format, Unit

_MAX_PIXELS = 4096 * 4096
"""A stranger's stream may not ask for more memory than this."""

Picture = tuple[VideoFrame, Unit]


class PictureDecoder:
    """One stream of pictures; `clock` ticks a second count its units."""

    def __init__(self, source: Format, clock: int, threads: int, counts: Counter[str]) -> None:
        self._clock = clock
        self._counts = counts
        self._decoder = _decoder(source, threads)
        self._deinterlacer: Deinterlacer | None = None
        self._passing = Passing()
        self._await_unit = self._await_frame = True

    def receive(self, unit: Unit) -> Iterator[Picture]:
        """Pictures that this unit completes."""
        if unit.damaged:
            self._counts["damaged"] += 1
            self._await_unit = True
            return
        if self._await_unit:
            if not unit.keyframe:
                self._counts["before-keyframe"] += 1
                return
            self._decoder.flush_buffers()
            self._passing.lost()
            self._await_unit, self._await_frame = False, True
        self._passing.receive(unit)
        for frame in self._decode(unit):
            yield from self._take(frame)

    def flush(self) -> Iterator[Picture]:
        """What is still in the decoder."""
        try:
            frames = self._decoder.decode(None)
        except FFmpegError:
            return
        for frame in frames:
            yield from self._take(frame)

    def lost(self) -> None:
        """Units are missing before the next one."""
        self._await_unit = True

    def hurry(self, *, on: bool) -> None:
        """Whether to leave out what no other picture needs before it is decoded."""
        self._decoder.skip_frame = "NONREF" if on else "DEFAULT"

    def size(self, frame: VideoFrame, cap: int) -> tuple[int, int]:
        """For a picture of this stream: square pixels, even numbers, no higher than the cap."""
        pixel = self._decoder.sample_aspect_ratio or Fraction(1)
        width, height = frame.width, frame.height
        if not Fraction(1, 4) <= pixel <= 4:
            pixel = Fraction(1)
        scaled = min(height, cap)
        return max(int(width * pixel * scaled / height) & ~1, 2), max(scaled & ~1, 2)

    def _decode(self, unit: Unit) -> list[VideoFrame]:
        packet = av.Packet(unit.data)
        packet.pts, packet.dts = unit.pts, unit.dts
        packet.time_base = Fraction(1, self._clock)
        try:
            frames: list[VideoFrame] = self._decoder.decode(packet)
        except FFmpegError:
            self._counts["undecodable"] += 1
            self._await_unit = True
            return []
        return frames

    def _take(self, frame: VideoFrame) -> Iterator[Picture]:
        if frame.is_corrupt:
            self._counts["damaged"] += 1
            self._await_frame = True
            return
        if frame.interlaced_frame and self._deinterlacer is None:
            self._deinterlacer = Deinterlacer(self._clock)
        frames = [frame] if self._deinterlacer is None else self._deinterlacer.receive(frame)
        for each in frames:
            unit, lost = self._passing.decoded(each.pts)
            self._counts["not-decoded"] += lost
            if unit is None:
                self._counts["unknown-frame"] += 1
            elif self._await_frame and not unit.keyframe:
                self._counts["before-keyframe"] += 1
            else:
                self._await_frame = False
                yield each, unit


def _decoder(source: Format, threads: int) -> Any:
    name = "hevc" if source.codec is Codec.HEVC else "h264"
    decoder: Any = av.CodecContext.create(name, "r")
    if source.config:
        decoder.extradata = source.config
    decoder.thread_type, decoder.thread_count = ThreadType.SLICE, threads
    decoder.options = {"max_pixels": str(_MAX_PIXELS)}
    return decoder
