"""HLS playlists as a player reads them (RFC 8216bis §4.4): text in, frozen values out. Pure.

Only what a low-latency player needs; unknown tags are skipped, as §4.1 asks. Downstream: `player`,
`ladder_watch`. Durations are integers in nanoseconds.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime

from infra.demo.errors import MediaError

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Variant:
    """Where the renditions of a multivariant playlist lie, relative to it."""

    video: str
    audio: str | None
    bandwidth: int = 0
    """Peak bits a second, sound included."""
    average_bandwidth: int = 0
    resolution: str = ""
    """As in `1280x720`; empty: without a picture."""


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
    date_ms: int | None = None
    """Unix time of its beginning, where the playlist gives it for this very segment."""


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


def parse_multivariant(text: str) -> tuple[Variant, ...]:
    """Every variant, in the playlist's order, with the default audio rendition; at least one."""
    lines = _lines(text)
    media = [_attributes(line) for line in lines if line.startswith("#EXT-X-MEDIA:")]
    sounds = [one for one in media if one.get("TYPE") == "AUDIO" and "URI" in one]
    sounds.sort(key=lambda one: one.get("DEFAULT") != "YES")
    audio = sounds[0]["URI"] if sounds else None
    variants: list[Variant] = []
    for position, line in enumerate(lines):
        if line.startswith("#EXT-X-STREAM-INF:"):
            uri = next((x for x in lines[position + 1 :] if not x.startswith("#")), None)
            if uri is not None:
                variants.append(_variant(uri, audio, _attributes(line)))
    if not variants:
        raise MediaError("the multivariant playlist names no variant")
    return tuple(variants)


def _variant(uri: str, audio: str | None, attributes: dict[str, str]) -> Variant:
    try:
        peak = int(attributes.get("BANDWIDTH", "0"))
        average = int(attributes.get("AVERAGE-BANDWIDTH", "0"))
    except ValueError as error:
        raise MediaError(f"a variant has a bandwidth that is no number: {error}") from error
    return Variant(uri, audio, peak, average, attributes.get("RESOLUTION", ""))


@dataclass(slots=True)
class _State:
    """What the tags since the last URI said."""

    msn: int = 0
    init: str | None = None
    duration_ns: int = 0
    gap: bool = False
    parts: list[Part] = field(default_factory=list)
    date_ms: int | None = None

    def receive(self, tag: str, line: str, value: str) -> None:
        """A tag of a segment; any other changes nothing."""
        match tag:
            case "#EXT-X-MAP":
                self.init = _attributes(line)["URI"]
            case "#EXT-X-PART":
                self.parts.append(_part(_attributes(line)))
            case "#EXTINF":
                self.duration_ns = _ns(value.partition(",")[0])
            case "#EXT-X-GAP":
                self.gap = True
            case "#EXT-X-PROGRAM-DATE-TIME":
                self.date_ms = round(datetime.fromisoformat(value).timestamp() * 1000)

    def segment(self, uri: str | None) -> Segment:
        duration = self.duration_ns or sum(part.duration_ns for part in self.parts)
        parts = tuple(self.parts)
        return Segment(self.msn, uri, duration, self.init, parts, self.gap, self.date_ms)

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
            case "#EXT-X-ENDLIST":
                ended = True
            case _ if not line.startswith("#"):
                segments.append(state.segment(line))
                state = state.following()
            case _:
                state.receive(tag, line, value)
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
