"""The fallback child: `python -m hotpath.ingest.fallback`, one per stream that needs it.

Reads a transport stream on stdin, demultiplexes with PyAV, passes H.264 and HEVC through as units
and converts whatever audio there is to AAC; writes `fallback_records` on stdout. FFmpeg's decoders
meet bytes from strangers here, so a crash ends this process and costs this stream only. It ends
when stdin does, so it cannot outlive its parent.
"""

import os
import sys
import time
from fractions import Fraction
from typing import Any, BinaryIO

import av
import av.logging
from av.audio.frame import AudioFrame
from av.stream import Disposition

from hotpath.ingest.fallback_records import encode
from hotpath.ingest.session import FormatsChanged, IngestEvent, IngestWarning, UnitsReady
from hotpath.media.access_units import VideoAssembler
from hotpath.media.clock import CLOCK, WRAP, Unwrapper, rescale
from hotpath.media.pes import Pes
from hotpath.media.psi import StreamEntry
from hotpath.media.unit import AUDIO, Codec, Format, Unit
from infra.languages import language_tag

_VIDEO = {"h264": Codec.H264, "hevc": Codec.HEVC}
_AAC_RATES = frozenset({48000, 44100, 32000})
_BIT_RATE = 128_000
_JUMP = CLOCK // 10
"""A timestamp further off than this starts the count of samples anew."""


class TimedInput:
    """stdin as PyAV wants it, with the time of the last read as receive time."""

    def __init__(self, source: BinaryIO) -> None:
        self._fd = source.fileno()
        self.last_read_ns = time.time_ns()

    def read(self, size: int) -> bytes:
        data = os.read(self._fd, size)  # what is there now: a full buffer would be late
        self.last_read_ns = time.time_ns()
        return data


class AacConverter:
    """Decoded frames of any audio to AAC units on the publisher's clock."""

    def __init__(self, clock: Unwrapper, language: str, *, describes_video: bool) -> None:
        self._clock = clock
        self._language = language
        self._describes_video = describes_video
        self._encoder: Any = None
        self._resampler: Any = None
        self._base = 0
        self._samples = 0
        self.format: Format | None = None

    def convert(self, frame: AudioFrame, pts: int, received_ns: int) -> list[Unit]:
        """`pts`: of the frame, 33 bits, 90 kHz."""
        start = self._clock.unwrap(pts % WRAP)
        units: list[Unit] = []
        if self._encoder is not None:
            expected = self._base + rescale(self._samples, CLOCK, self._encoder.sample_rate)
            if abs(start - expected) > _JUMP:
                units = self.flush(received_ns)
        if self._encoder is None:
            self._open(frame, start)
        for converted in self._resampler.resample(frame):
            units += self._encode(converted, received_ns)
        return units

    def flush(self, received_ns: int) -> list[Unit]:
        if self._encoder is None:
            return []
        units: list[Unit] = []
        for converted in self._resampler.resample(None):
            units += self._encode(converted, received_ns)
        units += self._encode(None, received_ns)
        self._encoder = None
        return units

    def _open(self, frame: AudioFrame, start: int) -> None:
        rate = frame.sample_rate if frame.sample_rate in _AAC_RATES else 48_000
        layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
        encoder: Any = av.CodecContext.create("aac", "w")
        encoder.sample_rate, encoder.layout, encoder.format = rate, layout, "fltp"
        encoder.bit_rate = _BIT_RATE
        encoder.open()
        self._encoder = encoder
        size = encoder.frame_size
        self._resampler = av.AudioResampler(
            format="fltp", layout=layout, rate=rate, frame_size=size
        )
        self._base, self._samples = start, 0
        config = bytes(encoder.extradata or b"")
        channels = 1 if layout == "mono" else 2
        self.format = Format(
            AUDIO,
            Codec.AAC,
            rate,
            config,
            "mp4a.40.2",
            sample_rate=rate,
            channels=channels,
            frame_duration=size,
            language=self._language,
            describes_video=self._describes_video,
        )

    def _encode(self, frame: AudioFrame | None, received_ns: int) -> list[Unit]:
        if frame is not None:
            frame.pts, frame.time_base = self._samples, Fraction(1, frame.sample_rate)
            self._samples += frame.samples
        units = []
        for packet in self._encoder.encode(frame):
            # The first packet is the encoder's priming and lies before the first sample.
            pts = self._base + int(packet.pts * packet.time_base * CLOCK)
            units.append(Unit(AUDIO, pts, pts, True, bytes(packet), received_ns, received_ns))
        return units


class Fallback:
    """One stream: PyAV packets to events."""

    def __init__(self, container: Any, source: TimedInput) -> None:
        self._source = source
        self._clock = Unwrapper()
        self._audio = _converter(container, self._clock)
        self._announced: tuple[Format, ...] = ()
        self._video: VideoAssembler | None = None
        self._streams = [*container.streams.video[:1], *container.streams.audio[:1]]
        for stream in self._streams:
            codec = _VIDEO.get(stream.codec_context.name)
            if stream.type == "video" and codec is not None:
                self._video = VideoAssembler(StreamEntry(0, 0), codec, self._clock)

    def run(self, container: Any, write: Any) -> None:
        for packet in container.demux(*self._streams):
            for event in self._take(packet):
                write(encode(event))
        for event in self._events(self._audio.flush(self._source.last_read_ns)):
            write(encode(event))

    def _take(self, packet: Any) -> list[IngestEvent]:
        now_ns = self._source.last_read_ns
        if packet.stream.type == "audio":
            return self._take_audio(packet, now_ns)
        if self._video is None or not packet.size:
            return []
        pts = None if packet.pts is None else packet.pts % WRAP
        dts = pts if packet.dts is None else packet.dts % WRAP
        pes = Pes(0, pts, dts, bytes(packet), bool(packet.is_corrupt), now_ns)
        return self._events(self._video.receive(pes, now_ns))

    def _take_audio(self, packet: Any, now_ns: int) -> list[IngestEvent]:
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            return [IngestWarning("audio-decode", f"Audio does not decode: {error.strerror}")]
        units: list[Unit] = []
        for frame in frames:
            if frame.pts is not None:
                pts = int(frame.pts * frame.time_base * CLOCK)
                units += self._audio.convert(frame, pts, now_ns)
        return self._events(units)

    def _events(self, units: list[Unit]) -> list[IngestEvent]:
        formats = tuple(f for f in (self._video and self._video.format, self._audio.format) if f)
        events: list[IngestEvent] = []
        if units and formats != self._announced:
            self._announced = formats
            events.append(FormatsChanged(formats))
        if units:
            events.append(UnitsReady(tuple(units)))
        return events


def _converter(container: Any, clock: Unwrapper) -> AacConverter:
    """For the first sound, with what the stream says about it."""
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        return AacConverter(clock, "", describes_video=False)
    described = bool(stream.disposition & Disposition.visual_impaired)
    return AacConverter(clock, language_tag((stream.language or "")[:3]), describes_video=described)


def main() -> int:
    av.logging.set_level(av.logging.PANIC)
    source = TimedInput(sys.stdin.buffer)
    out = sys.stdout.buffer

    def write(record: bytes) -> None:
        out.write(record)
        out.flush()

    options = {"analyzeduration": "700000", "probesize": "500000"}
    try:
        with av.open(source, format="mpegts", options=options) as container:
            Fallback(container, source).run(container, write)
    except (av.error.InvalidDataError, av.error.EOFError):
        write(encode(IngestWarning("unreadable", "The stream is no transport stream.")))
        return 1
    except BrokenPipeError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
