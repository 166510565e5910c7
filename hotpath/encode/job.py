"""What one bridge has to do. Pure data.

Upstream: `hotpath.encode.bridge` sends it to its child as the first record.
"""

from dataclasses import dataclass

from hotpath.media.unit import Codec, Format
from infra.errors import LivepathError

SOUND_HZ = 48_000
"""Every sound that leaves a bridge is 48 kHz stereo."""


class EncodeError(LivepathError):
    """A bridge cannot do what it was asked for."""


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """The same for every bridge of a node."""

    opus_bitrate: int = 128_000
    aac_bitrate: int = 160_000
    video_bitrate: int = 4_000_000
    """The most that a normalised picture may take; it takes about what its source does."""
    video_height: int = 1080
    """Larger pictures are scaled down."""
    keyframe_ms: int = 2_000
    """An IDR at least so often, beside one at each keyframe of the source."""
    late_ms: int = 300
    """A frame that has waited for so long is left out, like those after it until few wait."""
    threads: int = 0
    """Of the video encoder and decoder each; 0: the cores of the machine, at most 4."""


@dataclass(frozen=True, slots=True)
class Job:
    source: Format
    target: Codec
    clock_in: int
    """Ticks per second of the units that come in: 90000 before the programme, else the track's."""
    clock_out: int
    """Ticks per second of the units that go out."""
    settings: EncodeSettings = EncodeSettings()

    def __post_init__(self) -> None:
        pair = (self.source.codec, self.target)
        if pair not in _DONE:
            names = " to ".join(codec.value for codec in pair)
            raise EncodeError(f"{names} is no bridge")
        if min(self.clock_in, self.clock_out) <= 0:
            raise EncodeError("a clock has at least one tick a second")

    @property
    def name(self) -> str:
        """For logs and metrics."""
        return f"{self.source.codec.value}-{self.target.value}"


_DONE = {
    (Codec.AAC, Codec.OPUS),
    (Codec.OPUS, Codec.AAC),
    (Codec.H264, Codec.H264),
    (Codec.HEVC, Codec.H264),
}
