"""The multivariant playlist: which renditions a programme has, and how much they need.

Pure text of its arguments. Upstream: `live`. Spec: draft-pantos-hls-rfc8216bis, 4.4.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hotpath.hls.playlist import VERSION, PlaylistError
from hotpath.media.unit import VIDEO, Format

_AUDIO_GROUP = ',AUDIO="audio"'


@dataclass(frozen=True, slots=True)
class Stream:
    """A rendition as the multivariant playlist describes it."""

    format: Format
    uri: str
    peak_bps: int
    average_bps: int


def multivariant(
    videos: Sequence[Stream], audio: Stream | None, *, audio_only: bool = False
) -> str:
    """The multivariant playlist of a programme.

    Each of `videos` is a variant: the source first, then the tallest. All of them share the one
    audio rendition. `audio_only`: it is a variant as well, for players that want no picture.
    """
    if not videos and audio is None:
        raise PlaylistError("a programme has at least one rendition")
    lines = [f"#EXTM3U\n#EXT-X-VERSION:{VERSION}\n"]
    if audio is None:
        lines.extend(_variant([video]) for video in _in_order(videos))
    elif not videos:
        lines.append(_variant([audio]))
    else:
        lines.append(_audio_group(audio))
        lines.extend(_variant([video, audio], _AUDIO_GROUP) for video in _in_order(videos))
        if audio_only:
            lines.append(_variant([audio], _AUDIO_GROUP))
    return "".join(lines)


def _in_order(videos: Sequence[Stream]) -> list[Stream]:
    """Players begin with the first one, which should be the best."""
    return sorted(videos, key=lambda video: (video.format.track != VIDEO, -video.format.height))


def _audio_group(audio: Stream) -> str:
    channels = f',CHANNELS="{audio.format.channels}"' if audio.format.channels else ""
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="main",DEFAULT=YES,AUTOSELECT=YES'
        f'{channels},URI="{audio.uri}"\n'
    )


def _variant(streams: Sequence[Stream], group: str = "") -> str:
    """EXT-X-STREAM-INF and the URI of the first of the streams that are played together."""
    peak = sum(stream.peak_bps for stream in streams)
    average = sum(stream.average_bps for stream in streams)
    codecs = ",".join(stream.format.codecs for stream in streams)
    lead = streams[0].format
    size = f",RESOLUTION={lead.width}x{lead.height}" if lead.width and lead.height else ""
    rate = ""
    if lead.width and lead.frame_duration:
        milli = lead.timescale * 1000 // lead.frame_duration
        rate = f",FRAME-RATE={milli // 1000}.{milli % 1000:03d}"
    return (
        f"#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},"
        f'CODECS="{codecs}"{size}{rate}{group}\n{streams[0].uri}\n'
    )
