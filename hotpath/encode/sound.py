"""AAC to Opus and Opus to AAC, with PyAV: runs in the child, never in the media process.

Invariant: what is heard at a timestamp of the source is heard at the same time of the output: the
decoder's frames are counted by `soundclock`, and the encoder's own delay (Opus lookahead, AAC
priming) is taken off the timestamps that leave. Output frames follow each other without a gap.
"""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.error import FFmpegError

from hotpath.encode.job import SOUND_HZ, Job
from hotpath.encode.soundclock import Fill, Restart, SoundClock
from hotpath.media.clock import rescale
from hotpath.media.unit import AUDIO, Codec, Format, Unit

_LAYOUT = "stereo"
_OPUS_FRAME = 960
_OPUS_EFFORT = "7"
"""Of 0 to 10. From here on the encoder tells music from speech and spends its bits by it; the steps
above take a third more CPU for what nobody hears at this bit rate."""
_PRE_SKIP = slice(10, 12)
"""Where OpusHead has the samples that a file player skips. Live sound has no beginning to skip."""


class SoundBridge:
    """One stream of sound from one codec to the other."""

    def __init__(self, job: Job, counts: Counter[str]) -> None:
        self._job = job
        self._counts = counts
        self._decoder = _decoder(job.source)
        self._encoder = _encoder(job)
        self.format = _format(job.target, self._encoder)
        self._resampler: Any = None
        self._clock: SoundClock | None = None
        self._shape: tuple[int, str] | None = None
        """Sample rate and layout of the decoded sound."""
        self._sent = 0
        """Samples given to the encoder."""

    def receive(self, unit: Unit) -> Iterator[Unit]:
        """Output units that this one completes."""
        if unit.damaged:
            self._counts["damaged"] += 1
            return
        packet = av.Packet(unit.data)
        packet.pts = packet.dts = unit.pts
        packet.time_base = Fraction(1, self._job.clock_in)
        try:
            frames: list[AudioFrame] = self._decoder.decode(packet)
        except FFmpegError:
            self._counts["undecodable"] += 1
            return
        pts = unit.pts
        for frame in frames:
            yield from self._take(frame, pts, unit)
            pts += rescale(frame.samples, self._job.clock_in, frame.sample_rate)

    def flush(self) -> Iterator[Unit]:
        """What is still inside; the next frame starts anew."""
        if self._clock is None or self._resampler is None:
            return
        for converted in self._resampler.resample(None):
            yield from self._encode(converted)
        yield from self._encode(None)
        self._encoder = _encoder(self._job)
        self._clock = None

    def _take(self, frame: AudioFrame, pts: int, unit: Unit) -> Iterator[Unit]:
        shape = (frame.sample_rate, frame.layout.name)
        step: Restart | Fill | None = Restart()
        if self._clock is not None and shape == self._shape:
            step = self._clock.expects(pts, frame.samples)
        if isinstance(step, Restart):
            self._counts["restarts"] += self._clock is not None
            yield from self.flush()
            self._begin(frame, pts)
        elif isinstance(step, Fill):
            self._counts["filled"] += 1
            yield from self._fill(frame, step.samples)
        if self._clock is not None:
            start = self._clock.count
            self._clock.receive(frame.samples, unit.ingest_ns, unit.capture_ns)
            yield from self._resample(frame, start)

    def _begin(self, frame: AudioFrame, pts: int) -> None:
        self._shape = (frame.sample_rate, frame.layout.name)
        self._clock = SoundClock(self._job.clock_in, frame.sample_rate, pts)
        self._resampler = av.AudioResampler(
            format=self._encoder.format,
            layout=_LAYOUT,
            rate=SOUND_HZ,
            frame_size=self.format.frame_duration,
        )
        self._sent = 0

    def _fill(self, like: AudioFrame, samples: int) -> Iterator[Unit]:
        clock = self._clock
        assert clock is not None  # noqa: S101 - narrows the type: only called with a clock
        silence = AudioFrame(like.format, like.layout, samples)
        silence.sample_rate = like.sample_rate
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        start = clock.count
        clock.fill(samples)
        yield from self._resample(silence, start)

    def _resample(self, frame: AudioFrame, start: int) -> Iterator[Unit]:
        frame.pts, frame.time_base = start, Fraction(1, frame.sample_rate)
        for converted in self._resampler.resample(frame):
            yield from self._encode(converted)

    def _encode(self, frame: AudioFrame | None) -> Iterator[Unit]:
        clock, job = self._clock, self._job
        assert clock is not None  # noqa: S101 - narrows the type: only called with a clock
        if frame is not None:
            frame.pts, frame.time_base = self._sent, Fraction(1, SOUND_HZ)
            self._sent += frame.samples
        base = rescale(clock.base, job.clock_out, job.clock_in)
        for packet in self._encoder.encode(frame):
            # The encoder has taken its delay off: the first packet lies before the first sample.
            pts = base + rescale(packet.pts, job.clock_out, SOUND_HZ)
            first = max(packet.pts, 0) * clock.rate // SOUND_HZ
            ingest_ns, capture_ns = clock.origin(first)
            yield Unit(AUDIO, pts, pts, True, bytes(packet), ingest_ns, ingest_ns, capture_ns)


def _decoder(source: Format) -> Any:
    if source.codec is Codec.OPUS:
        decoder: Any = av.CodecContext.create("libopus", "r")
        decoder.sample_rate = SOUND_HZ
        if source.channels > 2:
            head = bytearray(source.config)
            head[_PRE_SKIP] = bytes(2)
            decoder.extradata = bytes(head)
        else:
            decoder.layout = "mono" if source.channels == 1 else _LAYOUT
        return decoder
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = source.config
    return decoder


def _encoder(job: Job) -> Any:
    opus = job.target is Codec.OPUS
    encoder: Any = av.CodecContext.create("libopus" if opus else "aac", "w")
    encoder.sample_rate, encoder.layout = SOUND_HZ, _LAYOUT
    encoder.format = "flt" if opus else "fltp"
    encoder.bit_rate = job.settings.opus_bitrate if opus else job.settings.aac_bitrate
    if opus:
        encoder.options = {
            "application": "lowdelay",
            "frame_duration": "20",
            "compression_level": _OPUS_EFFORT,
        }
    encoder.open()
    return encoder


def _format(target: Codec, encoder: Any) -> Format:
    opus = target is Codec.OPUS
    return Format(
        AUDIO,
        target,
        SOUND_HZ,
        bytes(encoder.extradata or b""),
        "opus" if opus else "mp4a.40.2",
        sample_rate=SOUND_HZ,
        channels=2,
        frame_duration=_OPUS_FRAME if opus else int(encoder.frame_size),
    )
