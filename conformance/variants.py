"""Reads multivariant playlists strictly, as `reading` reads media playlists.

Invariant: any text gives a playlist; nothing is raised. Spec: draft-pantos-hls-rfc8216bis, 4.4.6.
"""

from conformance.attributes import Attributes, integer
from conformance.lines import MEDIA_ONLY, Lines
from conformance.playlist import Multivariant, Variant


class _MultivariantReader:
    def __init__(self, text: str) -> None:
        self.lines = Lines(text)
        self.version: int | None = None
        self.variants: list[Variant] = []
        self.renditions: list[Attributes] = []
        self.start: Attributes | None = None
        self.independent = False
        self.waiting: Attributes | None = None
        self.lines.each(self.tag, self.uri)
        if self.waiting is not None:
            self.lines.flaw("4.4.6.2", "the last EXT-X-STREAM-INF has no URI")

    def tag(self, tag: str, value: str) -> None:
        if self.waiting is not None:
            self.lines.flaw("4.4.6.2", f"{tag} is where the URI of a variant should be")
            self.waiting = None
        if tag in MEDIA_ONLY:
            self.lines.flaw("4.4.4", f"{tag} is in a multivariant playlist")
        elif tag == "#EXT-X-VERSION":
            self.version = integer(value)
        elif tag == "#EXT-X-STREAM-INF":
            self.waiting = self.lines.attributes(tag[1:], value)
        elif tag == "#EXT-X-MEDIA":
            self.renditions.append(self.lines.attributes(tag[1:], value))
        elif tag == "#EXT-X-START":
            self.start = self.lines.attributes(tag[1:], value)
        elif tag == "#EXT-X-INDEPENDENT-SEGMENTS":
            self.independent = True

    def uri(self, line: str) -> None:
        if self.waiting is None:
            self.lines.flaw("4.4.6.2", f"{line[:80]} belongs to no EXT-X-STREAM-INF")
            return
        self.variants.append(Variant(self.waiting, line))
        self.waiting = None


def is_multivariant(text: str) -> bool:
    return "#EXT-X-STREAM-INF" in text


def read_multivariant(text: str) -> Multivariant:
    found = _MultivariantReader(text)
    return Multivariant(
        found.version,
        tuple(found.variants),
        tuple(found.renditions),
        found.independent,
        found.start,
        tuple(found.lines.flaws),
    )
