"""Reads media playlists strictly: whatever is wrong becomes a `Flaw`, and reading goes on.

Invariant: any text gives a playlist; nothing is raised. Upstream: bodies from a server.
Spec: draft-pantos-hls-rfc8216bis, 4.4.
"""

from collections.abc import Callable
from dataclasses import replace

from conformance.attributes import Attributes, decimal, integer
from conformance.lines import MULTIVARIANT_TAGS, Lines, date_s
from conformance.playlist import NOTHING, MediaPlaylist, Part, Segment


class _MediaReader:
    def __init__(self, text: str) -> None:
        self.lines = Lines(text)
        self.integers: dict[str, int | None] = {}
        self.control, self.skip = NOTHING, NOTHING
        self.part_target: float | None = None
        self.skipped: int | None = None
        self.hints: list[Attributes] = []
        self.reports: list[Attributes] = []
        self.dates: list[Attributes] = []
        self.start: Attributes | None = None
        self.type: str | None = None
        self.independent = self.ended = False
        self.segments: list[Segment] = []
        self.map: str | None = None
        self.key: str | None = None
        self.current = Segment(0, 0)
        self.lines.each(self.tag, self.uri)

    def playlist(self) -> MediaPlaylist:
        if self.integers.get("#EXT-X-TARGETDURATION") is None:
            self.lines.flaw("4.4.3.1", "EXT-X-TARGETDURATION is missing")
        if self.part_target is None and any(s.parts for s in (*self.segments, self.current)):
            self.lines.flaw("4.4.3.7", "there are parts and no EXT-X-PART-INF")
        return MediaPlaylist(
            self.integers.get("#EXT-X-VERSION"),
            self.integers.get("#EXT-X-TARGETDURATION"),
            self.part_target,
            self.control,
            self.integers.get("#EXT-X-MEDIA-SEQUENCE"),
            self.integers.get("#EXT-X-DISCONTINUITY-SEQUENCE"),
            tuple(self.segments),
            self.current,
            self.skipped,
            self.skip,
            tuple(self.hints),
            tuple(self.reports),
            tuple(self.dates),
            self.start,
            self.type,
            self.independent,
            self.ended,
            tuple(self.lines.flaws),
        )

    def uri(self, line: str) -> None:
        if self.current.duration is None:
            self.lines.flaw("4.4.4.1", f"{line} has no EXTINF")
        done = replace(self.current, uri=line, map=self.map, key=self.key)
        self.segments.append(done)
        self.current = Segment(done.msn + 1, done.discontinuity, map=self.map, key=self.key)

    def tag(self, tag: str, value: str) -> None:
        if tag in MULTIVARIANT_TAGS:
            self.lines.flaw("4.4.4", f"{tag} is in a media playlist")
        elif tag in _NUMBERS:
            self.number(tag, value)
        elif tag in _SEGMENT_TAGS:
            _SEGMENT_TAGS[tag](self, value)
        elif tag in _PLAYLIST_TAGS:
            _PLAYLIST_TAGS[tag](self, value)

    def number(self, tag: str, value: str) -> None:
        found = self.integers[tag] = integer(value)
        section = _NUMBERS[tag]
        if found is None:
            self.lines.flaw(section, f"{tag}:{value[:40]} is not a number")
        early = not self.segments and not self.current.parts
        if tag == "#EXT-X-MEDIA-SEQUENCE":
            self.current = replace(self.current, msn=found or 0)
        elif tag == "#EXT-X-DISCONTINUITY-SEQUENCE":
            early = early and not self.current.starts_discontinuity
            self.current = replace(self.current, discontinuity=found or 0)
        elif tag == "#EXT-X-TARGETDURATION" and found == 0:
            self.lines.flaw(section, "EXT-X-TARGETDURATION is less than 1")
        if tag in ("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE") and not early:
            self.lines.flaw(section, f"{tag} comes after the first segment or discontinuity")

    def segment_tag(self, tag: str) -> None:
        if self.current.parts:
            self.lines.flaw("4.4.4.9", f"{tag} follows the first EXT-X-PART of its segment")

    def extinf(self, value: str) -> None:
        text = value.partition(",")[0]
        duration = decimal(text)
        if duration is None or "," not in value:
            self.lines.flaw("4.4.4.1", f"EXTINF:{value[:40]} is not a duration and a comma")
        self.current = replace(self.current, duration=duration or 0.0)

    def discontinuity(self, _value: str) -> None:
        self.segment_tag("EXT-X-DISCONTINUITY")
        number = self.current.discontinuity + 1
        self.current = replace(self.current, discontinuity=number, starts_discontinuity=True)

    def map_tag(self, value: str) -> None:
        self.segment_tag("EXT-X-MAP")
        attributes = self.lines.attributes("EXT-X-MAP", value)
        uri = attributes.quoted("URI")
        if uri is None:
            self.lines.flaw("4.4.4.5", "EXT-X-MAP has no URI")
        self.map = uri
        self.current = replace(self.current, map=uri)

    def key_tag(self, value: str) -> None:
        self.segment_tag("EXT-X-KEY")
        attributes = self.lines.attributes("EXT-X-KEY", value)
        method = attributes.get("METHOD")
        if method is None:
            self.lines.flaw("4.4.4.4", "EXT-X-KEY has no METHOD")
        elif method != "NONE" and attributes.quoted("URI") is None:
            self.lines.flaw("4.4.4.4", f"EXT-X-KEY with METHOD={method} has no URI")
        self.key = None if method == "NONE" else value
        self.current = replace(self.current, key=self.key)

    def date(self, value: str) -> None:
        self.segment_tag("EXT-X-PROGRAM-DATE-TIME")
        when = date_s(value)
        if when is None:
            self.lines.flaw("4.4.4.6", f"{value[:40]} is not a date")
        elif not (value.endswith("Z") or "+" in value or value.count("-") > 2):
            self.lines.flaw("4.4.4.6-zone", f"{value[:40]} has no time zone")
        elif "." not in value:
            self.lines.flaw("4.4.4.6-zone", f"{value[:40]} has no milliseconds")
        self.current = replace(self.current, date=when)

    def gap(self, _value: str) -> None:
        self.current = replace(self.current, gap=True)

    def byterange(self, value: str) -> None:
        self.current = replace(self.current, byterange=value)

    def part(self, value: str) -> None:
        attributes = self.lines.attributes("EXT-X-PART", value)
        uri, duration = attributes.quoted("URI"), attributes.decimal("DURATION")
        if uri is None or duration is None:
            self.lines.flaw("4.4.4.9", f"EXT-X-PART:{value[:80]} lacks URI or DURATION")
        for name in ("INDEPENDENT", "GAP"):
            if name in attributes and not attributes.yes(name):
                self.lines.flaw("4.4.4.9", f"{name}={attributes.get(name)} is not YES")
        found = Part(
            uri or "",
            duration or 0.0,
            attributes.yes("INDEPENDENT"),
            attributes.yes("GAP"),
            attributes.quoted("BYTERANGE"),
        )
        self.current = replace(self.current, parts=(*self.current.parts, found))

    def part_inf(self, value: str) -> None:
        self.part_target = self.lines.attributes("EXT-X-PART-INF", value).decimal("PART-TARGET")
        if self.part_target is None:
            self.lines.flaw("4.4.3.7", "EXT-X-PART-INF has no PART-TARGET")

    def server_control(self, value: str) -> None:
        self.control = self.lines.attributes("EXT-X-SERVER-CONTROL", value)

    def skip_tag(self, value: str) -> None:
        self.skip = self.lines.attributes("EXT-X-SKIP", value)
        self.skipped = self.skip.integer("SKIPPED-SEGMENTS")
        if self.skipped is None:
            self.lines.flaw("4.4.5.2", "EXT-X-SKIP has no SKIPPED-SEGMENTS")
        self.current = replace(self.current, msn=self.current.msn + (self.skipped or 0))

    def hint(self, value: str) -> None:
        attributes = self.lines.attributes("EXT-X-PRELOAD-HINT", value)
        if attributes.quoted("URI") is None or "TYPE" not in attributes:
            self.lines.flaw("4.4.5.3", "EXT-X-PRELOAD-HINT lacks URI or TYPE")
        self.hints.append(attributes)

    def report(self, value: str) -> None:
        self.reports.append(self.lines.attributes("EXT-X-RENDITION-REPORT", value))

    def date_range(self, value: str) -> None:
        self.dates.append(self.lines.attributes("EXT-X-DATERANGE", value))

    def start_tag(self, value: str) -> None:
        self.start = self.lines.attributes("EXT-X-START", value)

    def type_tag(self, value: str) -> None:
        self.type = value

    def independent_tag(self, _value: str) -> None:
        self.independent = True

    def end(self, _value: str) -> None:
        self.ended = True


_NUMBERS = {
    "#EXT-X-VERSION": "4.4.1.2",
    "#EXT-X-TARGETDURATION": "4.4.3.1",
    "#EXT-X-MEDIA-SEQUENCE": "4.4.3.2",
    "#EXT-X-DISCONTINUITY-SEQUENCE": "4.4.3.3",
}
_SEGMENT_TAGS: dict[str, Callable[[_MediaReader, str], None]] = {
    "#EXTINF": _MediaReader.extinf,
    "#EXT-X-DISCONTINUITY": _MediaReader.discontinuity,
    "#EXT-X-MAP": _MediaReader.map_tag,
    "#EXT-X-KEY": _MediaReader.key_tag,
    "#EXT-X-PROGRAM-DATE-TIME": _MediaReader.date,
    "#EXT-X-GAP": _MediaReader.gap,
    "#EXT-X-BYTERANGE": _MediaReader.byterange,
    "#EXT-X-PART": _MediaReader.part,
}
_PLAYLIST_TAGS: dict[str, Callable[[_MediaReader, str], None]] = {
    "#EXT-X-PART-INF": _MediaReader.part_inf,
    "#EXT-X-SERVER-CONTROL": _MediaReader.server_control,
    "#EXT-X-SKIP": _MediaReader.skip_tag,
    "#EXT-X-PRELOAD-HINT": _MediaReader.hint,
    "#EXT-X-RENDITION-REPORT": _MediaReader.report,
    "#EXT-X-DATERANGE": _MediaReader.date_range,
    "#EXT-X-START": _MediaReader.start_tag,
    "#EXT-X-PLAYLIST-TYPE": _MediaReader.type_tag,
    "#EXT-X-INDEPENDENT-SEGMENTS": _MediaReader.independent_tag,
    "#EXT-X-ENDLIST": _MediaReader.end,
}


def read_media(text: str) -> MediaPlaylist:
    return _MediaReader(text).playlist()
