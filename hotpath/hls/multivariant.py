"""The multivariant playlist: which renditions a programme has, and how much they need.

Pure text of its arguments. Upstream: `live`. Spec: draft-pantos-hls-rfc8216bis, 4.4.6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hotpath.hls.playlist import PlaylistError
from hotpath.hls.tags import VERSION
from hotpath.media.unit import VIDEO, Format
from infra.audio_group import GROUP, AudioRendition, audio_group
from infra.captions_group import GROUP as CAPTIONS_GROUP
from infra.captions_group import captions_rendition


@dataclass(frozen=True, slots=True)
class Stream:
    """A rendition as the multivariant playlist describes it."""

    format: Format
    uri: str
    peak_bps: int
    average_bps: int


def multivariant(
    videos: Sequence[Stream],
    sounds: Sequence[Stream] = (),
    *,
    audio_only: bool = False,
    captions: str | None = None,
) -> str:
    """The multivariant playlist of a programme.

    Each of `videos` is a variant: the source first, then the tallest. All of them share the one
    group of `sounds`, of which the first is the default. `audio_only`: that one is a variant as
    well, for players that want no picture. `captions`: their language, empty where it is not known;
    None: there are none.
    """
    if not videos and not sounds:
        raise PlaylistError("a programme has at least one rendition")
    lines = [f"#EXTM3U\n#EXT-X-VERSION:{VERSION}\n"]
    # A sound without a picture and without an alternative needs no group.
    group = sounds if videos or len(sounds) > 1 else ()
    lines.extend(line + "\n" for line in audio_group([_rendition(sound) for sound in group]))
    groups = f',AUDIO="{GROUP}"' if group else ""
    if captions is not None:
        lines.append(captions_rendition(captions) + "\n")
        groups += f',SUBTITLES="{CAPTIONS_GROUP}"'
    lines.extend(_variant(video, group, groups) for video in _in_order(videos))
    if sounds and (audio_only or not videos):
        lines.append(_variant(sounds[0], group, groups))
    return "".join(lines)


def _in_order(videos: Sequence[Stream]) -> list[Stream]:
    """Players begin with the first one, which should be the best."""
    return sorted(videos, key=lambda video: (video.format.track != VIDEO, -video.format.height))


def _rendition(sound: Stream) -> AudioRendition:
    format = sound.format
    return AudioRendition(sound.uri, format.channels, format.language, format.describes_video)


def _variant(lead: Stream, group: Sequence[Stream], groups: str) -> str:
    """EXT-X-STREAM-INF and the URI of `lead`, which is played with one of the group.

    `groups`: what it says of all that it can be played with."""
    alone = [] if lead in group else [lead]
    # 4.4.6.2: of the combination that needs the most, and every codec of any of them.
    peak = sum(stream.peak_bps for stream in alone) + _most(sound.peak_bps for sound in group)
    average = sum(each.average_bps for each in alone) + _most(each.average_bps for each in group)
    codecs = ",".join(dict.fromkeys(stream.format.codecs for stream in (*alone, *group)))
    format = lead.format
    size = f",RESOLUTION={format.width}x{format.height}" if format.width and format.height else ""
    rate = ""
    if format.width and format.frame_duration:
        milli = format.timescale * 1000 // format.frame_duration
        rate = f",FRAME-RATE={milli // 1000}.{milli % 1000:03d}"
    return (
        f"#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},"
        f'CODECS="{codecs}"{size}{rate}{groups}\n{lead.uri}\n'
    )


def _most(rates: Iterable[int]) -> int:
    return max(rates, default=0)
