"""Any picture to H.264 that every WebRTC receiver plays, with PyAV: runs in the child only.

Invariant: each output frame has the timestamp of a source frame, exactly, and they rise; a frame of
the source that was a keyframe is an IDR here, so GOPs align; what is damaged is left out up to the
next keyframe. Output has no B-frames: pts equals dts.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.codec.context import ThreadType
from av.error import FFmpegError
from av.video.frame import VideoFrame

from hotpath.encode.bitrate import Bitrate
from hotpath.encode.deinterlace import Deinterlacer
from hotpath.encode.h264 import H264Encoder, cores, encoder_name
from hotpath.encode.job import Job
from hotpath.encode.passing import Passing
from hotpath.media.clock import rescale
from hotpath.media.h264 import ParameterSets, read_head
from hotpath.media.unit import VIDEO, Codec, Format, Unit

_MAX_PIXELS = 4096 * 4096
"""A stranger's stream may not ask for more memory than this."""
_MAX_THREADS = 4


class PictureBridge:
    """One stream of pictures, normalised."""

    def __init__(self, job: Job, counts: Counter[str]) -> None:
        self._job = job
        self._counts = counts
        self._threads = job.settings.threads or min(cores(), _MAX_THREADS)
        self._decoder = _decoder(job.source, self._threads)
        self._deinterlacer: Deinterlacer | None = None
        self._encoder: H264Encoder | None = None
        self._bitrate = Bitrate(job.source.codec, job.clock_in, job.settings.video_bitrate)
        self._sets = ParameterSets()
        self._format: Format | None = None
        self._passing = Passing()
        self._await_unit = self._await_frame = True
        self._last_pts: int | None = None
        self._last_key: int | None = None
        self._force = False

    def receive(self, unit: Unit, late: Callable[[], bool]) -> Iterator[Format | Unit]:
        """Output that this unit completes. `late`: whether a picture is to be left out."""
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
        self._bitrate.receive(unit.dts, len(unit.data))
        self._passing.receive(unit)
        for frame in self._decode(unit):
            yield from self._take(frame, late)

    def flush(self) -> Iterator[Format | Unit]:
        """What is still in the decoder."""
        try:
            frames = self._decoder.decode(None)
        except FFmpegError:
            return
        for frame in frames:
            yield from self._take(frame, lambda: False)

    def lost(self) -> None:
        """Units are missing before the next one."""
        self._await_unit = True

    def _decode(self, unit: Unit) -> list[VideoFrame]:
        packet = av.Packet(unit.data)
        packet.pts, packet.dts = unit.pts, unit.dts
        packet.time_base = Fraction(1, self._job.clock_in)
        try:
            frames: list[VideoFrame] = self._decoder.decode(packet)
        except FFmpegError:
            self._counts["undecodable"] += 1
            self._await_unit = True
            return []
        return frames

    def _take(self, frame: VideoFrame, late: Callable[[], bool]) -> Iterator[Format | Unit]:
        if frame.is_corrupt:
            self._counts["damaged"] += 1
            self._await_frame = True
            return
        if frame.interlaced_frame and self._deinterlacer is None:
            self._deinterlacer = Deinterlacer(self._job.clock_in)
        frames = [frame] if self._deinterlacer is None else self._deinterlacer.receive(frame)
        for each in frames:
            yield from self._encode(each, late)

    def _encode(self, frame: VideoFrame, late: Callable[[], bool]) -> Iterator[Format | Unit]:
        unit, lost = self._passing.decoded(frame.pts)
        self._counts["not-decoded"] += lost
        if unit is None:
            self._counts["unknown-frame"] += 1
            return
        if self._await_frame and not unit.keyframe:
            self._counts["before-keyframe"] += 1
            return
        self._await_frame = False
        if not self._rises(unit.pts):
            self._counts["order"] += 1
            self._force = self._force or unit.keyframe
            return
        if late():
            self._counts["late"] += 1
            self._force = self._force or unit.keyframe
            self._decoder.skip_frame = "NONREF"  # those would be left out as well
            return
        self._decoder.skip_frame = "DEFAULT"
        encoder = self._encoder_for(frame)
        key = unit.keyframe or self._force or self._due(unit.pts)
        if key:
            encoder.bitrate = self._bitrate.wanted(encoder.bitrate)
            self._last_key, self._force = unit.pts, False
        self._last_pts = unit.pts
        width, height = encoder.size
        picture = frame.reformat(width, height, "yuv420p")
        self._passing.encode(unit)
        picture.pts, picture.time_base = unit.pts, Fraction(1, self._job.clock_in)
        yield from self._pack(encoder.encode(picture, keyframe=key))

    def _rises(self, pts: int) -> bool:
        """Whether `pts` can be sent next. A long step back is another clock, and a new encoder."""
        if self._last_pts is None or pts > self._last_pts:
            return True
        if self._last_pts - pts < self._job.clock_in:
            return False
        self._encoder = None
        return True

    def _due(self, pts: int) -> bool:
        longest = self._job.settings.keyframe_ms * self._job.clock_in // 1000
        return self._last_key is None or not 0 <= pts - self._last_key < longest

    def _encoder_for(self, frame: VideoFrame) -> H264Encoder:
        shape = self._decoder.sample_aspect_ratio
        size = _size(frame, shape or Fraction(1), self._job.settings.video_height)
        if self._encoder is not None and self._encoder.size == size:
            return self._encoder
        duration = self._job.source.frame_duration
        fps = min(max(round(self._job.clock_in / duration), 1), 120) if duration else 30
        self._encoder = H264Encoder(
            encoder_name(),
            *size,
            clock=self._job.clock_in,
            fps=fps,
            bitrate=self._bitrate.wanted(self._bitrate.first(*size, fps)),
            cap=self._job.settings.video_bitrate,
            threads=self._threads,
        )
        self._force = True
        return self._encoder

    def _pack(self, packets: Iterator[Any]) -> Iterator[Format | Unit]:
        for packet in packets:
            data = bytes(packet)
            if packet.is_keyframe:
                format = self._describe(data)
                if format != self._format:
                    self._format = format
                    yield format
            source = self._passing.encoded(packet.pts)
            if source is None:
                self._counts["unknown-frame"] += 1
                continue
            pts = rescale(packet.pts, self._job.clock_out, self._job.clock_in)
            ingest_ns, capture_ns = source.ingest_ns, source.capture_ns
            yield Unit(VIDEO, pts, pts, packet.is_keyframe, data, ingest_ns, ingest_ns, capture_ns)

    def _describe(self, data: bytes) -> Format:
        self._sets.update(read_head(data))
        info = self._sets.info
        source = self._job.source
        return Format(
            VIDEO,
            Codec.H264,
            self._job.clock_out,
            self._sets.config,
            info.codecs if info else "avc1.42c01f",
            info.width if info else 0,
            info.height if info else 0,
            frame_duration=rescale(source.frame_duration, self._job.clock_out, self._job.clock_in),
        )


def _decoder(source: Format, threads: int) -> Any:
    name = "hevc" if source.codec is Codec.HEVC else "h264"
    decoder: Any = av.CodecContext.create(name, "r")
    if source.config:
        decoder.extradata = source.config
    decoder.thread_type, decoder.thread_count = ThreadType.SLICE, threads
    decoder.options = {"max_pixels": str(_MAX_PIXELS)}
    return decoder


def _size(frame: VideoFrame, pixel: Fraction, cap: int) -> tuple[int, int]:
    """Square pixels, even numbers, no higher than the cap."""
    width, height = frame.width, frame.height
    if not Fraction(1, 4) <= pixel <= 4:
        pixel = Fraction(1)
    scaled = min(height, cap)
    return max(int(width * pixel * scaled / height) & ~1, 2), max(scaled & ~1, 2)
