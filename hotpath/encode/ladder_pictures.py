"""One decode and N scaled encodes of a stream, with PyAV: runs in the ladder's child only.

Invariant: every rung has a picture for the same source pictures, with their timestamps, and they
rise. A picture that is left out is left out of all rungs. The first picture at or after a cue is
encoded however late it is, as an IDR of every rung where the cue begins a segment; there is no
other IDR but an encoder's first. No B-frames: pts equals dts.

Upstream: `ladder_worker`. Each rung has a thread of its own while the machine has as many cores.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from hotpath.encode.bitrate import Bitrate
from hotpath.encode.decode import PictureDecoder
from hotpath.encode.h264 import (
    CHOICE,
    Description,
    H264Encoder,
    cores,
    frames_per_second,
    threads,
)
from hotpath.encode.ladder_job import LadderJob
from hotpath.encode.ladder_records import ENCODED, Described, Encoded, Fed, LeftOut
from hotpath.encode.ladder_steps import Cue
from hotpath.encode.passing import Passing
from hotpath.media.unit import VIDEO, Unit
from infra.renditions import LadderRung

Output = Described | Encoded | LeftOut
_SHARE = 0.9
"""Of a rung's most: what its encoder aims at, so that peaks have room."""
_MAX_CUES = 256


class RungEncoder:
    """One rung; belongs to one thread at a time."""

    def __init__(self, rung: LadderRung, job: LadderJob, counts: Counter[str]) -> None:
        self.rung = rung
        self._counts = counts
        self.spent_ns = 0
        """Processor time of its thread; the codec may have more of its own."""
        self._job = job
        self._clock = job.source.timescale
        self._encoder: H264Encoder | None = None
        self._scaler = VideoReformatter()
        self._passing = Passing()
        self._bitrate = Bitrate(job.source.codec, self._clock, round(rung.bitrate * _SHARE))
        self._description = Description(VIDEO, job.source, self._clock, self._clock)

    def observe(self, unit: Unit) -> None:
        """A unit of the source: a rung takes no more bits than that does."""
        self._bitrate.receive(unit.dts, len(unit.data))

    def encode(
        self, frame: VideoFrame, unit: Unit, size: tuple[int, int], *, key: bool
    ) -> list[Output]:
        began = time.thread_time_ns()
        encoder = self._encoder
        if encoder is None or encoder.size != size:
            encoder = self._encoder = self._make(size)
            key = True
        if key:
            encoder.bitrate = self._bitrate.wanted(encoder.bitrate)
        picture = self._scaler.reformat(frame, *size, "yuv420p")
        picture.pts, picture.time_base = unit.pts, Fraction(1, self._clock)
        self._passing.encode(unit)
        made = list(self._pack(encoder, picture, key=key))
        self.spent_ns += time.thread_time_ns() - began
        return made

    def _make(self, size: tuple[int, int]) -> H264Encoder:
        fps = frames_per_second(self._job.source, self._clock)

        def make(name: str) -> H264Encoder:
            return H264Encoder(
                name,
                *size,
                clock=self._clock,
                fps=fps,
                bitrate=self._bitrate.first(*size, fps),
                cap=self.rung.bitrate,
                threads=max(threads(self._job.settings) // len(self._job.rungs), 1),
            )

        return CHOICE.open(make, self._counts)

    def _pack(self, encoder: H264Encoder, picture: VideoFrame, *, key: bool) -> Iterator[Output]:
        for packet in encoder.encode(picture, keyframe=key):
            data = bytes(packet)
            if packet.is_keyframe and (format := self._description.changed(data)) is not None:
                yield Described(self.rung.name, format)
            source = self._passing.encoded(packet.pts)
            if source is not None:
                at, key = packet.pts, packet.is_keyframe
                times = source.ingest_ns, source.ingest_ns, source.capture_ns
                yield Encoded(self.rung.name, Unit(VIDEO, at, at, key, data, *times))


class LadderPictures:
    """All rungs of a stream; see the module for the invariant."""

    def __init__(self, job: LadderJob, rungs: Sequence[LadderRung], counts: Counter[str]) -> None:
        """`rungs`: those of the job that are admitted."""
        self._counts = counts
        self._clock = job.source.timescale
        self._decoder = PictureDecoder(job.source, self._clock, threads(job.settings), counts)
        self.rungs = [RungEncoder(rung, job, counts) for rung in job.rungs if rung in rungs]
        self._pool = ThreadPoolExecutor(max(min(len(self.rungs), cores()), 1), "rung")
        self._cues: deque[Cue] = deque(maxlen=_MAX_CUES)
        self._last_pts: int | None = None
        self._force = False
        self.decode_ns = 0
        """Processor time of the decoding thread; slice threads have more of their own."""

    def receive(self, fed: Fed, late: Callable[[], bool]) -> Iterator[Output]:
        """Output that this unit completes. `late`: whether a picture is to be left out."""
        if fed.cue is not None:
            self._cues.append(fed.cue)
        for each in self.rungs:
            each.observe(fed.unit)
        began = time.thread_time_ns()
        pictures = list(self._decoder.receive(fed.unit))
        self.decode_ns += time.thread_time_ns() - began
        for frame, unit in pictures:
            yield from self._encode(frame, unit, late)

    def flush(self) -> Iterator[Output]:
        """What is still in the decoder; the threads end."""
        for frame, unit in self._decoder.flush():
            yield from self._encode(frame, unit, lambda: False)
        self._pool.shutdown()

    def lost(self) -> None:
        """Units are missing before the next one."""
        self._decoder.lost()

    def drop(self) -> LadderRung:
        """End the most expensive rung."""
        return self.rungs.pop(0).rung

    def _encode(self, frame: VideoFrame, unit: Unit, late: Callable[[], bool]) -> Iterator[Output]:
        if self._last_pts is not None and unit.pts <= self._last_pts:
            self._counts["order"] += 1
            return
        is_late, cued = late(), bool(self._cues) and self._cues[0].pts <= unit.pts
        if is_late and not cued:
            self._counts["late"] += 1
            self._decoder.hurry(on=True)  # those would be left out as well
            yield LeftOut(unit.pts)
            return
        self._decoder.hurry(on=False)
        self._last_pts = unit.pts
        key = False
        while self._cues and self._cues[0].pts <= unit.pts:
            key |= self._cues.popleft().key
        self._counts[ENCODED] += 1
        work = [
            self._pool.submit(
                each.encode, frame, unit, self._decoder.size(frame, each.rung.height), key=key
            )
            for each in self.rungs
        ]
        for done in work:
            yield from done.result()
