"""PES packets to access units with their formats: `Unit` and `Format` in 90 kHz.

Invariant: no unit leaves before the `Format` that describes it; after a loss every video unit is
marked damaged up to the next whole keyframe.

Upstream: `hotpath.media.pes`. Downstream: `hotpath.ingest.session`, and behind it the programme.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from hotpath.media import aac, h264, hevc, opus
from hotpath.media.clock import CLOCK, WRAP, Unwrapper, rescale
from hotpath.media.pes import Pes
from hotpath.media.psi import StreamEntry
from hotpath.media.streams import describes_video, language_of
from hotpath.media.unit import AUDIO, VIDEO, Codec, Format, Unit

_SANE_DURATION = range(CLOCK // 130, CLOCK // 4)
_MAX_HELD = 4
# Access unit delimiters in the middle of a PES: it carries several pictures.
_DELIMITERS = {Codec.H264: b"\0\0\x01\x09", Codec.HEVC: b"\0\0\x01\x46"}


@dataclass(slots=True)
class TrackFacts:
    """What the units of a track look like so far; read by `hotpath.ingest.health`."""

    units: int = 0
    damaged: int = 0
    dropped: int = 0
    """Not usable: before the first keyframe, without timestamp, not understood."""
    keyframes: int = 0
    last_dts: int | None = None
    last_keyframe_dts: int | None = None
    gop_ticks: int = 0
    """Distance of the last two keyframes."""
    b_frames: bool = False
    interlaced: bool = False
    _last_pts: int | None = field(default=None, repr=False)

    def add(self, unit: Unit) -> None:
        self.units += 1
        self.damaged += unit.damaged
        if self._last_pts is not None and self.last_dts is not None:
            self.b_frames |= unit.pts < self._last_pts and unit.dts > self.last_dts
        if unit.keyframe:
            self.keyframes += 1
            if self.last_keyframe_dts is not None:
                self.gop_ticks = unit.dts - self.last_keyframe_dts
            self.last_keyframe_dts = unit.dts
        self.last_dts, self._last_pts = unit.dts, unit.pts


class TrackAssembler(Protocol):
    """One track of one publisher."""

    track: str
    entry: StreamEntry
    facts: TrackFacts
    format: Format | None

    def receive(self, pes: Pes, demuxed_ns: int) -> list[Unit]:
        """The units that are now known whole; `format` describes them all."""

    def torn(self) -> None:
        """Something is missing before the next PES."""

    def flush(self) -> list[Unit]:
        """What was held back."""


def assembler_for(track: str, entry: StreamEntry, codec: Codec, clock: Unwrapper) -> TrackAssembler:
    """`track`: the name of what comes out."""
    if codec.kind == "video":
        return VideoAssembler(entry, codec, clock)
    if codec is Codec.AAC:
        return AacAssembler(entry, clock, track)
    return OpusAssembler(entry, clock)


class VideoAssembler:
    """H.264 and HEVC: one PES is one access unit, or several behind delimiters."""

    def __init__(self, entry: StreamEntry, codec: Codec, clock: Unwrapper) -> None:
        self.track = VIDEO
        self.entry = entry
        self.facts = TrackFacts()
        self.format: Format | None = None
        self._codec = codec
        self._clock = clock
        self._avc = h264.ParameterSets()
        self._hevc = hevc.ParameterSets()
        self._broken = False
        self._held: list[Unit] = []

    def torn(self) -> None:
        self._broken = True

    def receive(self, pes: Pes, demuxed_ns: int) -> list[Unit]:
        if pes.pts is None or pes.dts is None:
            self.facts.dropped += 1
            self._broken = True
            return []
        dts = self._clock.unwrap(pes.dts)
        ahead = (pes.pts - pes.dts) % WRAP
        pts = dts + (ahead if ahead < WRAP // 2 else ahead - WRAP)
        ready: list[Unit] = []
        shift = 0
        for body in self._pictures(pes.data):
            ready += self._picture(body, pts + shift, dts + shift, pes, demuxed_ns)
            shift += self.format.frame_duration if self.format else 0
        return ready

    def flush(self) -> list[Unit]:
        held, self._held = self._held, []
        return held

    def _pictures(self, data: bytes) -> Iterator[bytes]:
        """Cut at access unit delimiters, of which the first is normal."""
        delimiter = _DELIMITERS[self._codec]
        begin = 0
        while (following := data.find(delimiter, begin + 5)) >= 0:
            cut = following - 1 if data[following - 1] == 0 else following
            yield data[begin:cut]
            begin = cut
        yield data[begin:] if begin else data

    def _picture(self, data: bytes, pts: int, dts: int, pes: Pes, demuxed_ns: int) -> list[Unit]:
        head: h264.Head | hevc.Head
        avc = self._codec is Codec.H264
        head = h264.read_head(data) if avc else hevc.read_head(data)
        if head.sps and not pes.damaged:
            self._update_format(head)
        if not head.has_slice:
            self.facts.dropped += 1
            return []
        self._broken = pes.damaged or (self._broken and not head.keyframe)
        if self.format is None or (not self.facts.keyframes and not head.keyframe):
            self.facts.dropped += 1
            return []
        body = data[head.body_at :] if head.body_at else data
        unit = Unit(
            VIDEO,
            pts,
            dts,
            head.keyframe,
            body,
            pes.received_ns,
            demuxed_ns,
            damaged=self._broken,
        )
        self.facts.add(unit)
        self._held.append(unit)
        if self.format.frame_duration or self._measured(unit):
            return self.flush()
        return []

    def _measured(self, unit: Unit) -> bool:
        """Without timing in the stream the first two units wait for each other, once."""
        first = self._held[0]
        step = unit.dts - first.dts
        if len(self._held) > 1 and self.format is not None and step in _SANE_DURATION:
            self.format = replace(self.format, frame_duration=step)
            return True
        return len(self._held) >= _MAX_HELD

    def _update_format(self, head: h264.Head | hevc.Head) -> None:
        found = self._read_sets(head)
        if found is None or (self.format and found.config == self.format.config):
            return
        self.facts.dropped += len(self._held)
        self._held.clear()  # they would be described by the new format
        if self.format and not found.frame_duration:
            found = replace(found, frame_duration=self.format.frame_duration)
        self.format = found

    def _read_sets(self, head: h264.Head | hevc.Head) -> Format | None:
        if isinstance(head, h264.Head):
            self._avc.update(head)
            avc, config = self._avc.info, self._avc.config
            if avc is None or not config:
                return None
            self.facts.interlaced = avc.interlaced
            sane = avc.frame_duration if avc.frame_duration in _SANE_DURATION else 0
            return Format(
                VIDEO,
                Codec.H264,
                CLOCK,
                config,
                avc.codecs,
                width=avc.width,
                height=avc.height,
                frame_duration=sane,
            )
        self._hevc.update(head)
        info, config = self._hevc.info, self._hevc.config
        if info is None or not config:
            return None
        return Format(
            VIDEO, Codec.HEVC, CLOCK, config, info.codecs, width=info.width, height=info.height
        )


class AacAssembler:
    """AAC in ADTS: many frames to a PES, and frames that span two."""

    def __init__(self, entry: StreamEntry, clock: Unwrapper, track: str = AUDIO) -> None:
        self.track = track
        self.entry = entry
        self.facts = TrackFacts()
        self.format: Format | None = None
        self.splitter = aac.AdtsSplitter()
        self._clock = clock
        self._config: aac.AacConfig | None = None

    def torn(self) -> None:
        self.splitter.reset()

    def flush(self) -> list[Unit]:
        return []

    def receive(self, pes: Pes, demuxed_ns: int) -> list[Unit]:
        if pes.damaged:
            self.facts.dropped += 1
            self.splitter.reset()
            return []
        units: list[Unit] = []
        for frame in self.splitter.receive(pes.data, pes.pts):
            if frame.config != self._config:
                if units:
                    # One call never mixes formats: the rest of this PES would be misdescribed.
                    self.facts.dropped += 1
                    continue
                self._set_format(frame.config)
            rate = frame.config.sample_rate
            pts = self._clock.unwrap(frame.pts) + rescale(frame.offset * aac.SAMPLES, CLOCK, rate)
            unit = Unit(self.track, pts, pts, True, frame.data, pes.received_ns, demuxed_ns)
            self.facts.add(unit)
            units.append(unit)
        return units

    def _set_format(self, config: aac.AacConfig) -> None:
        self._config = config
        self.format = Format(
            self.track,
            Codec.AAC,
            config.sample_rate,
            config.audio_specific_config,
            config.codecs,
            sample_rate=config.sample_rate,
            channels=config.channels,
            frame_duration=aac.SAMPLES,
            language=language_of(self.entry),
            describes_video=describes_video(self.entry),
        )


class OpusAssembler:
    """Opus: one PES is one or several packets, each behind its control header."""

    def __init__(self, entry: StreamEntry, clock: Unwrapper) -> None:
        self.track = AUDIO
        self.entry = entry
        self.facts = TrackFacts()
        self.format: Format | None = None
        self._clock = clock
        self._channels = opus.channels_of(entry)

    def torn(self) -> None:
        """Opus packets never span PES packets: nothing is held."""

    def flush(self) -> list[Unit]:
        return []

    def receive(self, pes: Pes, demuxed_ns: int) -> list[Unit]:
        if pes.damaged or pes.pts is None:
            self.facts.dropped += 1
            return []
        packets, unread = opus.split(pes.data)
        self.facts.dropped += bool(unread)
        pts = self._clock.unwrap(pes.pts)
        units: list[Unit] = []
        for packet in packets:
            if not packet.samples:
                self.facts.dropped += 1
                continue
            if self.format is None:
                self._set_format(packet.samples)
            unit = Unit(AUDIO, pts, pts, True, packet.data, pes.received_ns, demuxed_ns)
            self.facts.add(unit)
            units.append(unit)
            pts += rescale(packet.samples, CLOCK, opus.SAMPLE_RATE)
        return units

    def _set_format(self, samples: int) -> None:
        self.format = Format(
            AUDIO,
            Codec.OPUS,
            opus.SAMPLE_RATE,
            opus.opus_head(self._channels),
            "opus",
            sample_rate=opus.SAMPLE_RATE,
            channels=self._channels,
            frame_duration=samples,
            language=language_of(self.entry),
            describes_video=describes_video(self.entry),
        )
