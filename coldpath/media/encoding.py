"""Pictures decoded and encoded again by x264, for the edges of a cut or for all of it.

Invariant: encoders of equal `Settings` write equal parameter sets, so that what several of them
made plays under one sample description. There are no B-frames: a picture is decoded when it is
shown, and what follows may begin at any picture.

Upstream: `cut`. Trap: decoders with FRAME threads can hang when a task is cut short.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec.context import Flags
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

PRESET, CRF = "veryfast", 18
EIGHT_BIT = ("yuv420p", "yuvj420p")
"""What every browser plays."""
THREADS = 2
_PROFILES = {66: "baseline", 77: "main", 100: "high"}
"""profile_idc to x264's name."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the encoded pictures have in common with their source."""

    width: int
    height: int
    pix_fmt: str
    time_base: Fraction
    rate: Fraction
    aspect: Fraction
    colour: tuple[int, int, int, int]
    """Range, space, primaries, transfer, as FFmpeg numbers them."""
    profile: int = 100
    """profile_idc."""
    set_id: int = 0
    """Of the parameter sets."""
    gop: int = 0
    """Pictures from keyframe to keyframe at most; 0: only the first is one."""

    @classmethod
    def like(cls, source: VideoCodecContext, time_base: Fraction, rate: Fraction) -> "Settings":
        """As the source where x264 can do that, else 8 bits and 4:2:0."""
        pix_fmt = source.pix_fmt or ""
        return cls(
            width=source.width,
            height=source.height,
            pix_fmt=pix_fmt if pix_fmt in EIGHT_BIT else EIGHT_BIT[0],
            time_base=time_base,
            rate=rate,
            aspect=source.sample_aspect_ratio or Fraction(0, 1),
            colour=(
                source.color_range,
                source.colorspace,
                source.color_primaries,
                source.color_trc,
            ),
        )

    def apply(self, context: VideoCodecContext) -> None:
        """To an encoder that is not open yet."""
        context.width, context.height, context.pix_fmt = self.width, self.height, self.pix_fmt
        context.time_base, context.framerate = self.time_base, self.rate
        if self.aspect:
            context.sample_aspect_ratio = self.aspect
        context.color_range, context.colorspace = self.colour[:2]
        context.color_primaries, context.color_trc = self.colour[2:]
        context.thread_count = THREADS
        context.flags |= Flags.global_header
        context.options = {
            "preset": PRESET,
            "crf": str(CRF),
            "profile": _PROFILES[self.profile],
            "bf": "0",
            "g": str(self.gop or 2**20),
            "x264-params": f"sps-id={self.set_id}:scenecut=0",
        }

    def encoder(self) -> VideoCodecContext:
        """An open encoder; its `extradata` are the parameter sets, as Annex B."""
        context = av.CodecContext.create("libx264", "w")
        self.apply(context)
        context.open()
        return context


def can_encode(profile: int) -> bool:
    """Whether pictures of this profile_idc can be joined by pictures that are encoded here."""
    return profile in _PROFILES


def decoder(source: VideoCodecContext) -> VideoCodecContext:
    """A decoder of its own for packets of this stream."""
    context = av.CodecContext.create(source.name, "r")
    if not isinstance(context, VideoCodecContext):
        raise TypeError(f"{source.name} is no video codec")
    context.extradata = source.extradata
    context.thread_type = "SLICE"
    return context


def pictures(
    context: VideoCodecContext, packets: Iterable["Packet[Stream]"]
) -> Iterator[VideoFrame]:
    """Every picture of the packets, in the order in which they are shown."""
    for packet in packets:
        yield from context.decode(packet)
    yield from context.decode(None)


def encoded(
    settings: Settings, shown: Iterable[tuple[int, VideoFrame]]
) -> Iterator["Packet[Stream]"]:
    """The pictures, each with the presentation time that it is to have; the first is an IDR."""
    context = settings.encoder()
    for number, (pts, picture) in enumerate(shown):
        frame = (
            picture if picture.format.name == settings.pix_fmt else _eight_bit(picture, settings)
        )
        frame.pts, frame.time_base = pts, settings.time_base
        frame.pict_type = PictureType.NONE if number else PictureType.I
        yield from context.encode(frame)
    yield from context.encode(None)


def _eight_bit(picture: VideoFrame, settings: Settings) -> VideoFrame:
    return picture.reformat(format=settings.pix_fmt)
