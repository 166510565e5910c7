"""Any picture to H.264 that every WebRTC receiver plays, with PyAV: runs in the child only.

Invariant: each output frame has the timestamp of a source frame, exactly, and they rise; a frame of
the source that was a keyframe is an IDR here, so GOPs align; what is damaged is left out up to the
next keyframe. Output has no B-frames: pts equals dts.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from av.video.frame import VideoFrame

from hotpath.encode.bitrate import Bitrate
from hotpath.encode.decode import PictureDecoder
from hotpath.encode.h264 import CHOICE, Description, H264Encoder, frames_per_second, threads
from hotpath.encode.job import Job
from hotpath.encode.passing import Passing
from hotpath.media.clock import rescale
from hotpath.media.unit import VIDEO, Format, Unit


class PictureBridge:
    """One stream of pictures, normalised."""

    def __init__(self, job: Job, counts: Counter[str]) -> None:
        self._job = job
        self._counts = counts
        self._threads = threads(job.settings)
        self._decoder = PictureDecoder(job.source, job.clock_in, self._threads, counts)
        self._encoder: H264Encoder | None = None
        self._bitrate = Bitrate(job.source.codec, job.clock_in, job.settings.video_bitrate)
        self._description = Description(VIDEO, job.source, job.clock_in, job.clock_out)
        self._passing = Passing()
        self._last_pts: int | None = None
        self._last_key: int | None = None
        self._force = False

    def receive(self, unit: Unit, late: Callable[[], bool]) -> Iterator[Format | Unit]:
        """Output that this unit completes. `late`: whether a picture is to be left out."""
        if not unit.damaged:
            self._bitrate.receive(unit.dts, len(unit.data))
        for frame, source in self._decoder.receive(unit):
            yield from self._encode(frame, source, late)

    def flush(self) -> Iterator[Format | Unit]:
        """What is still in the decoder."""
        for frame, source in self._decoder.flush():
            yield from self._encode(frame, source, lambda: False)

    def lost(self) -> None:
        """Units are missing before the next one."""
        self._decoder.lost()

    def _encode(
        self, frame: VideoFrame, unit: Unit, late: Callable[[], bool]
    ) -> Iterator[Format | Unit]:
        if not self._rises(unit.pts):
            self._counts["order"] += 1
            self._force = self._force or unit.keyframe
            return
        if late():
            self._counts["late"] += 1
            self._force = self._force or unit.keyframe
            self._decoder.hurry(on=True)  # those would be left out as well
            return
        self._decoder.hurry(on=False)
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
        size = self._decoder.size(frame, self._job.settings.video_height)
        if self._encoder is not None and self._encoder.size == size:
            return self._encoder
        fps = frames_per_second(self._job.source, self._job.clock_in)
        bitrate = self._bitrate.wanted(self._bitrate.first(*size, fps))

        def make(name: str) -> H264Encoder:
            return H264Encoder(
                name,
                *size,
                clock=self._job.clock_in,
                fps=fps,
                bitrate=bitrate,
                cap=self._job.settings.video_bitrate,
                threads=self._threads,
            )

        self._encoder = CHOICE.open(make, self._counts)
        self._force = True
        return self._encoder

    def _pack(self, packets: Iterator[Any]) -> Iterator[Format | Unit]:
        for packet in packets:
            data = bytes(packet)
            if packet.is_keyframe and (format := self._description.changed(data)) is not None:
                yield format
            source = self._passing.encoded(packet.pts)
            if source is None:
                self._counts["unknown-frame"] += 1
                continue
            pts = rescale(packet.pts, self._job.clock_out, self._job.clock_in)
            ingest_ns, capture_ns = source.ingest_ns, source.capture_ns
            yield Unit(VIDEO, pts, pts, packet.is_keyframe, data, ingest_ns, ingest_ns, capture_ns)
