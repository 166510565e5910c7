"""The audio renditions of a programme as a multivariant playlist names them, live and recorded.

Invariant: in one group every NAME is there once, exactly the first rendition is the default, and
nothing that a publisher chose can leave its quotation marks. Pure.

Upstream: `hotpath.hls.multivariant` and `coldpath.media.vod`. Spec: draft-pantos-hls-rfc8216bis
4.4.6.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from infra.languages import language_name

GROUP = "audio"
"""GROUP-ID of the one group that every variant refers to."""
DESCRIBES_VIDEO = "public.accessibility.describes-video"


@dataclass(frozen=True, slots=True)
class AudioRendition:
    """One sound to choose."""

    uri: str
    channels: int = 0
    """0: not known."""
    language: str = ""
    """RFC 5646, from `infra.languages`; empty: not known."""
    describes_video: bool = False
    """It tells those who do not see the picture what is in it."""


def audio_group(renditions: Sequence[AudioRendition]) -> list[str]:
    """An EXT-X-MEDIA line for each, in this order."""
    named = zip(_names(renditions), renditions, strict=True)
    return [_media(name, one, default=not at) for at, (name, one) in enumerate(named)]


def _names(renditions: Sequence[AudioRendition]) -> list[str]:
    """By language; what that does not tell apart, by place: `English`, `Audio 2`, `English 3`."""
    names: list[str] = []
    for place, one in enumerate(renditions, 1):
        name = language_name(one.language) or f"Audio {place}"
        if one.describes_video:
            name += " (audio description)"
        names.append(f"{name} {place}" if name in names else name)
    return names


def _media(name: str, one: AudioRendition, *, default: bool) -> str:
    language = f',LANGUAGE="{one.language}"' if one.language else ""
    described = f',CHARACTERISTICS="{DESCRIBES_VIDEO}"' if one.describes_video else ""
    channels = f',CHANNELS="{one.channels}"' if one.channels else ""
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{GROUP}",NAME="{name}"{language},'
        f"DEFAULT={'YES' if default else 'NO'},AUTOSELECT=YES{described}{channels},"
        f'URI="{one.uri}"'
    )
