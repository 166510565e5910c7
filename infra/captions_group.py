"""The captions of a programme as a multivariant playlist names them, live and recorded.

Upstream: `hotpath.hls.multivariant` and `coldpath.media.vod`. Spec: draft-pantos-hls-rfc8216bis
4.4.6.1.
"""

PLAYLIST = "captions.m3u8"
WITH_CAPTIONS = "index-captions.m3u8"
"""The multivariant playlist that names it; `index.m3u8` never does."""
GROUP = "captions"
"""GROUP-ID that every variant refers to."""


def captions_rendition(language: str) -> str:
    """The EXT-X-MEDIA line. `language`: RFC 5646; empty: not known."""
    named = f',LANGUAGE="{language}"' if language else ""
    return (
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{GROUP}",NAME="Captions"{named},'
        f'DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="{PLAYLIST}"'
    )
