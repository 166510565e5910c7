"""The multivariant playlist: which renditions a programme has, and how much they need.

Pure text of its arguments. Upstream: `live`. Spec: draft-pantos-hls-rfc8216bis, 4.4.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hotpath.hls.playlist import VERSION, PlaylistError
from hotpath.media.unit import Format


@dataclass(frozen=True, slots=True)
class Stream:
    """A rendition as the multivariant playlist describes it."""

    format: Format
    uri: str
    peak_bps: int
    average_bps: int


def multivariant(video: Stream | None, audio: Stream | None) -> str:
    """The multivariant playlist of one passthrough programme."""
    lines = [f"#EXTM3U\n#EXT-X-VERSION:{VERSION}\n"]
    if video is None and audio is None:
        raise PlaylistError("a programme has at least one rendition")
    if video is None or audio is None:
        only = video or audio
        assert only is not None  # noqa: S101 - one of them is there, see above
        lines.append(_stream_inf([only], ""))
        lines.append(f"{only.uri}\n")
        return "".join(lines)
    channels = f',CHANNELS="{audio.format.channels}"' if audio.format.channels else ""
    lines.append(
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="main",DEFAULT=YES,AUTOSELECT=YES'
        f'{channels},URI="{audio.uri}"\n'
    )
    lines.append(_stream_inf([video, audio], ',AUDIO="audio"'))
    lines.append(f"{video.uri}\n")
    return "".join(lines)


def _stream_inf(streams: Sequence[Stream], group: str) -> str:
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
        f'CODECS="{codecs}"{size}{rate}{group}\n'
    )
