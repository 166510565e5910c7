"""HLS playlists as a player reads them (RFC 8216bis §4.4): text in, frozen values out. Pure.

Only what a low-latency player needs; unknown tags are skipped, as §4.1 asks. Downstream: `player`.
Durations are integers in nanoseconds.
"""

import re
from dataclasses import dataclass, field, replace

from infra.demo.errors import MediaError

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Variant:
    """Where the renditions of a multivariant playlist lie, relative to it."""

    video: str
    audio: str | None


@dataclass(frozen=True, slots=True)
class Part:
    uri: str
    duration_ns: int
    independent: bool = False
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    msn: int
    uri: str | None
    """None while the segment is still being produced."""
    duration_ns: int
    """Of the parts so far while it is being produced."""
    init: str | None
    parts: tuple[Part, ...] = ()
    gap: bool = False


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    target_duration_ns: int
    part_hold_back_ns: int
    """0 when the playlist has no parts."""
    segments: tuple[Segment, ...]
    """The last one may still be open."""
    ended: bool

    @property
    def duration_ns(self) -> int:
        return sum(segment.duration_ns for segment in self.segments)


def parse_multivariant(text: str) -> Variant:
    """The first variant and its default audio rendition."""
    lines = _lines(text)
    audio = None
    for position, line in enumerate(lines):
        if line.startswith("#EXT-X-MEDIA:") and (found := _attributes(line)).get("TYPE") == "AUDIO":
            if audio is None or found.get("DEFAULT") == "YES":
                audio = found.get("URI", audio)
        elif line.startswith("#EXT-X-STREAM-INF:"):
            uri = next((x for x in lines[position + 1 :] if not x.startswith("#")), None)
            if uri is not None:
                return Variant(uri, audio)
    raise MediaError("the multivariant playlist names no variant")


@dataclass(slots=True)
class _State:
    """What the tags since the last URI said."""

    msn: int = 0
    init: str | None = None
    duration_ns: int = 0
    gap: bool = False
    parts: list[Part] = field(default_factory=list)

    def segment(self, uri: str | None) -> Segment:
        duration = self.duration_ns or sum(part.duration_ns for part in self.parts)
        return Segment(self.msn, uri, duration, self.init, tuple(self.parts), self.gap)

    def following(self) -> "_State":
        return _State(self.msn + 1, self.init)


def parse_media(text: str) -> MediaPlaylist:
    """A media playlist; raises `MediaError` when it is none."""
    try:
        return _parse_media(text)
    except (KeyError, ValueError, OverflowError) as error:
        raise MediaError(f"the media playlist has a tag that cannot be read: {error}") from error


def _parse_media(text: str) -> MediaPlaylist:
    target, hold_back, ended = 0, 0, False
    segments: list[Segment] = []
    state = _State()
    for line in _lines(text):
        tag, _, value = line.partition(":")
        match tag:
            case "#EXT-X-TARGETDURATION":
                target = int(value) * NS
            case "#EXT-X-MEDIA-SEQUENCE":
                state.msn = int(value)
            case "#EXT-X-SERVER-CONTROL":
                hold_back = _ns(_attributes(line).get("PART-HOLD-BACK", "0"))
            case "#EXT-X-MAP":
                state.init = _attributes(line)["URI"]
            case "#EXT-X-PART":
                state.parts.append(_part(_attributes(line)))
            case "#EXTINF":
                state.duration_ns = _ns(value.partition(",")[0])
            case "#EXT-X-GAP":
                state.gap = True
            case "#EXT-X-ENDLIST":
                ended = True
            case _ if not line.startswith("#"):
                segments.append(state.segment(line))
                state = state.following()
    if not target:
        raise MediaError("no EXT-X-TARGETDURATION: this is no media playlist")
    if state.parts:
        segments.append(replace(state.segment(None), uri=None))
    return MediaPlaylist(target, hold_back, tuple(segments), ended)


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != "#EXTM3U":
        raise MediaError(f"not a playlist: it starts with {text[:40]!r}")
    return lines


def _attributes(line: str) -> dict[str, str]:
    return {m[1]: m[2].strip('"') for m in _ATTRIBUTE.finditer(line.partition(":")[2])}


def _part(attributes: dict[str, str]) -> Part:
    return Part(
        uri=attributes["URI"],
        duration_ns=_ns(attributes["DURATION"]),
        independent=attributes.get("INDEPENDENT") == "YES",
        gap=attributes.get("GAP") == "YES",
    )


def _ns(seconds: str) -> int:
    return round(float(seconds) * NS)
