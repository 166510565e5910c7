"""A reader of HLS playlists for tests, written from the draft and not from our writer."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


def attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


@dataclass
class PartTag:
    uri: str
    duration: Fraction
    independent: bool
    gap: bool


@dataclass
class SegmentTag:
    msn: int
    discontinuity: int
    uri: str | None = None
    """None: the segment is still open."""
    duration: Fraction | None = None
    parts: list[PartTag] = field(default_factory=list)
    map: str | None = None
    date: datetime | None = None
    gap: bool = False


@dataclass
class Playlist:
    segments: list[SegmentTag]
    """Complete ones; after a skip only those that were sent."""
    open: SegmentTag
    tags: dict[str, list[str]]
    """Every other tag with its value."""
    skipped: int

    def only(self, tag: str) -> str:
        (value,) = self.tags[tag]
        return value

    @property
    def ended(self) -> bool:
        return "#EXT-X-ENDLIST" in self.tags

    @property
    def hint(self) -> str | None:
        hints = self.tags.get("#EXT-X-PRELOAD-HINT", [])
        return attributes(hints[0])["URI"] if hints else None


def parse(text: str) -> Playlist:
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    assert text.endswith("\n")
    tags: dict[str, list[str]] = {}
    segments: list[SegmentTag] = []
    msn = discontinuity = skipped = 0
    current_map: str | None = None
    current = SegmentTag(0, 0)
    for line in lines[1:]:
        assert line == line.strip()
        assert line
        if not line.startswith("#"):
            current.uri = line
            segments.append(current)
            msn += 1
            current = SegmentTag(msn, discontinuity, map=current_map)
            continue
        tag, _, value = line.partition(":")
        if tag == "#EXT-X-MEDIA-SEQUENCE":
            msn = current.msn = int(value)
        elif tag == "#EXT-X-DISCONTINUITY-SEQUENCE":
            discontinuity = current.discontinuity = int(value)
        elif tag == "#EXT-X-SKIP":
            tags[tag] = [*tags.get(tag, []), value]
            skipped = int(attributes(value)["SKIPPED-SEGMENTS"])
            msn += skipped
            current.msn = msn
        elif tag == "#EXT-X-DISCONTINUITY":
            discontinuity += 1
            current.discontinuity = discontinuity
        elif tag == "#EXT-X-MAP":
            current_map = current.map = attributes(value)["URI"]
        elif tag == "#EXT-X-PROGRAM-DATE-TIME":
            current.date = datetime.fromisoformat(value)
        elif tag == "#EXT-X-PART":
            found = attributes(value)
            current.parts.append(
                PartTag(
                    found["URI"],
                    Fraction(found["DURATION"]),
                    found.get("INDEPENDENT") == "YES",
                    found.get("GAP") == "YES",
                )
            )
        elif tag == "#EXT-X-GAP":
            current.gap = True
        elif tag == "#EXTINF":
            current.duration = Fraction(value.split(",")[0])
        else:
            tags.setdefault(tag, []).append(value)
    return Playlist(segments, current, tags, skipped)
