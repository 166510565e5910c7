"""What flows through the media plane: access units, their marks, and cuts between them.

Upstream: ingest makes `Unit`s. The programme maps them onto its timeline, decides every boundary
once and publishes `Item`s on the bus. Downstream (packager, fan-out, relay) are pure functions of
those items.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Codec(Enum):
    H264 = "h264"
    HEVC = "hevc"
    AAC = "aac"
    OPUS = "opus"

    @property
    def kind(self) -> str:
        return "video" if self in (Codec.H264, Codec.HEVC) else "audio"


VIDEO, AUDIO = "video", "audio"
"""Track names of a programme; also the names of its passthrough renditions."""
FURTHER_AUDIO = ("audio-2", "audio-3", "audio-4")
"""More sound of the same source, in other languages for example: renditions beside `AUDIO`, which
players may choose. Whatever takes one sound alone takes `AUDIO`."""
COMPANION = "opus"
"""Track name of the publisher's own Opus, where `AUDIO` was made from it: for WebRTC viewers only.
It is no rendition and gets no marks."""


@dataclass(frozen=True, slots=True)
class Format:
    """Everything needed to make a track's init section. A changed Format starts a discontinuity."""

    track: str
    codec: Codec
    timescale: int
    """Ticks per second of pts and dts: 90000 for video, the sample rate for audio."""
    config: bytes
    """H.264: SPS+PPS as Annex B. HEVC: VPS+SPS+PPS as Annex B. AAC: AudioSpecificConfig
    (ISO 14496-3). Opus: OpusHead (RFC 7845)."""
    codecs: str
    """RFC 6381, for example `avc1.42c01f`, `mp4a.40.2`, `opus`."""
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    frame_duration: int = 0
    """Nominal ticks per access unit; 0 when not known yet."""
    language: str = ""
    """RFC 5646, as `infra.languages` gives it; empty when not known."""
    describes_video: bool = False
    """The sound tells what is in the picture, for those who do not see it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One access unit (a video frame with all its slices, or one audio frame).

    Ingest emits units in the publisher's own clock, unwrapped (33-bit PTS wrap removed); the
    programme re-emits them on its timeline. pts and dts are integers in `Format.timescale`
    after the programme, in 90 kHz before it.
    """

    track: str
    pts: int
    dts: int
    keyframe: bool
    data: bytes
    """Video: Annex B with start codes, without AUD. Audio: one raw frame, without ADTS header."""
    ingest_ns: int
    """Unix ns when the last byte of the unit was received."""
    demuxed_ns: int
    capture_ns: int | None = None
    """Unix ns of capture, where the source carries it."""
    damaged: bool = False
    """Bytes are missing or doubtful; consumers skip to the next keyframe."""
    slate: bool = False
    """No publisher sent it: the programme fills its time. Its age says nothing of the path."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a unit stands in the programme; decided once, by the programme's writer."""

    msn: int
    part: int
    discontinuity_seq: int
    independent: bool
    """The unit is the first of its part and a keyframe (audio: the first of its part)."""
    pdt_ns: int
    """EXT-X-PROGRAM-DATE-TIME of the unit, Unix ns."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A unit on the programme timeline with its mark."""

    unit: Unit
    mark: Mark
    published_ns: int


@dataclass(frozen=True, slots=True)
class CompanionSample:
    """A unit of the companion on the programme timeline. It belongs to no part or segment."""

    unit: Unit
    pdt_ns: int
    """Programme wall clock of the unit, Unix ns; agrees with `Mark.pdt_ns` of other tracks."""
    published_ns: int


@dataclass(frozen=True, slots=True)
class PartCut:
    """The part is complete; it is published at once, not on the next arrival."""

    track: str
    msn: int
    part: int
    end: int
    """Ticks: dts at which the next part starts, or is predicted to."""


@dataclass(frozen=True, slots=True)
class SegmentCut:
    """The segment is complete (its last part too, if one is open).

    `gap`: it holds no media, or none after the parts that were cut.
    """

    track: str
    msn: int
    start: int
    end: int
    """Ticks: dts at which the next segment starts, or is predicted to."""
    gap: bool = False


@dataclass(frozen=True, slots=True)
class FormatChange:
    """Units after this one need a new init section; always right after a SegmentCut (or first).

    That of the companion comes at any time, before the samples that need it.
    """

    format: Format
    number: int
    """Init section number, from 0, per track and incarnation."""


@dataclass(frozen=True, slots=True)
class CompanionEnd:
    """The present publisher has no companion: WebRTC viewers hear the programme's `AUDIO`."""


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """Nothing follows. Always after a SegmentCut of every track."""

    final: bool
    """True: the event is over (ENDLIST). False: this node stops, another incarnation may follow."""


Item: TypeAlias = (
    Sample | CompanionSample | PartCut | SegmentCut | FormatChange | CompanionEnd | ProgramEnd
)
