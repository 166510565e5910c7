"""Media and multivariant playlists as values.

Invariant: a value holds what was written, absent things as None; it equals another that says the
same. Upstream: `reading` makes them of text. Downstream: `observation`, `rules`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from conformance.attributes import Attributes

NOTHING = Attributes()


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something in a playlist's text that its format does not allow."""

    section: str
    line: int
    words: str


@dataclass(frozen=True, slots=True)
class Part:
    uri: str
    duration: float
    independent: bool
    gap: bool
    byterange: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    msn: int
    discontinuity: int
    uri: str | None = None
    """None: it is not complete, only parts of it are listed."""
    duration: float | None = None
    parts: tuple[Part, ...] = ()
    map: str | None = None
    date: float | None = None
    """PROGRAM-DATE-TIME, Unix seconds."""
    gap: bool = False
    starts_discontinuity: bool = False
    key: str | None = None
    byterange: str | None = None

    @property
    def length(self) -> float:
        """Its duration, or that of the parts that are there."""
        return self.duration if self.duration is not None else sum(p.duration for p in self.parts)

    @property
    def absent(self) -> float:
        """Seconds of its parts that say GAP=YES: its file may do without them (6.2.1)."""
        return sum(part.duration for part in self.parts if part.gap)

    @property
    def absent_first(self) -> float:
        """Those of them that come before anything that is there."""
        return sum(part.duration for part in takewhile(lambda part: part.gap, self.parts))


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    version: int | None
    target_duration: int | None
    part_target: float | None
    control: Attributes
    media_sequence: int | None
    discontinuity_sequence: int | None
    segments: tuple[Segment, ...]
    """The complete ones; in a delta update those that were sent."""
    open: Segment
    """The one after them, of which parts may be listed."""
    skipped: int | None
    skip: Attributes
    hints: tuple[Attributes, ...]
    reports: tuple[Attributes, ...]
    dates: tuple[Attributes, ...]
    """Attributes of EXT-X-DATERANGE tags."""
    start: Attributes | None
    type: str | None
    independent: bool
    ended: bool
    flaws: tuple[Flaw, ...]

    @property
    def all_segments(self) -> tuple[Segment, ...]:
        return (*self.segments, self.open) if self.open.parts else self.segments

    @property
    def edge(self) -> tuple[int, int]:
        """Number and part of the newest part; part -1: a segment without parts."""
        newest = self.all_segments[-1] if self.all_segments else self.open
        return newest.msn, len(newest.parts) - 1

    @property
    def duration(self) -> float:
        """Of the complete segments."""
        return sum(segment.length for segment in self.segments)

    @property
    def parts(self) -> Iterator[tuple[Segment, int, Part]]:
        for segment in self.all_segments:
            for index, part in enumerate(segment.parts):
                yield segment, index, part

    def hint(self, kind: str = "PART") -> str | None:
        """URI of the first hint of that type."""
        found = (hint.quoted("URI") for hint in self.hints if hint.get("TYPE") == kind)
        return next(found, None)

    def dated(self) -> tuple[tuple[Segment, float], ...]:
        """Segments and when they begin, worked out from the dates that are given."""
        known: list[tuple[Segment, float]] = []
        at: float | None = None
        for segment in self.all_segments:
            at = segment.date if segment.date is not None else at
            if at is None:
                continue
            known.append((segment, at))
            at += segment.length
        return tuple(known)


@dataclass(frozen=True, slots=True)
class Variant:
    attributes: Attributes
    uri: str


@dataclass(frozen=True, slots=True)
class Multivariant:
    version: int | None
    variants: tuple[Variant, ...]
    renditions: tuple[Attributes, ...]
    """EXT-X-MEDIA."""
    independent: bool
    start: Attributes | None
    flaws: tuple[Flaw, ...]

    @property
    def uris(self) -> tuple[str, ...]:
        """Every media playlist that it names, once."""
        found = [variant.uri for variant in self.variants]
        found += [uri for one in self.renditions if (uri := one.quoted("URI")) is not None]
        return tuple(dict.fromkeys(found))
