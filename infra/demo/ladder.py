"""What the demo learned of an event's renditions: are they aligned, can a player switch. Pure.

Invariant: a rendition is aligned when every segment that it has begins and ends, part by part,
where the source's of the same number does, and it lacks none between its first and its last. A
switch is clean when no picture is missing, doubled or older than its time says. Upstream:
`ladder_watch` and `switching`. Downstream: `report`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from infra.demo.barcode import Stamp
from infra.demo.m3u8 import NS, Segment, Variant

SOURCE = "source"
TOLERANCE_MS = 1.0
"""Dates in playlists have milliseconds."""


def name_of(variant: Variant, source: Variant) -> str:
    """A rung by its playlist's name."""
    if variant.video == source.video:
        return SOURCE
    return variant.video.rpartition("/")[2].partition(".")[0]


def has_gap(segment: Segment) -> bool:
    return segment.gap or any(part.gap for part in segment.parts)


@dataclass(slots=True)
class RenditionSeen:
    """One rendition, as its playlist told it from the start to the end."""

    name: str
    variant: Variant
    segments: dict[int, Segment] = field(default_factory=dict)
    """Complete segments by number, as they were first listed."""
    failure: str | None = None
    """Why following it broke off."""

    @property
    def gaps(self) -> int:
        """Segments that have no media, or not all of it."""
        return sum(has_gap(one) for one in self.segments.values())


@dataclass(frozen=True, slots=True)
class Alignment:
    """A rendition beside the source."""

    compared: int
    """Segments that both have."""
    missing: tuple[int, ...]
    """Segments of the source, between the rendition's first and last, that it lacks."""
    max_offset_ms: float
    """The furthest that a segment or a part begins or ends from the source's; 0 at best."""

    @property
    def aligned(self) -> bool:
        return self.compared > 0 and not self.missing and self.max_offset_ms <= TOLERANCE_MS


def align(rendition: RenditionSeen, source: RenditionSeen) -> Alignment:
    """How the rendition's segments lie to the source's."""
    own, theirs = rendition.segments, source.segments
    both = sorted(own.keys() & theirs.keys())
    between = range(min(own), max(own) + 1) if own else range(0)
    missing = tuple(msn for msn in sorted(theirs) if msn in between and msn not in own)
    offsets = [_offset_ms(own[msn], theirs[msn]) for msn in both]
    return Alignment(len(both), missing, max(offsets, default=0.0))


def _offset_ms(one: Segment, other: Segment) -> float:
    """Between the boundaries that both have; parts that are lost have none."""
    offsets = [abs(one.duration_ns - other.duration_ns) / 1e6]
    if one.date_ms is not None and other.date_ms is not None:
        offsets.append(abs(one.date_ms - other.date_ms))
    if one.parts and other.parts and not has_gap(one) and not has_gap(other):
        ends = [tuple(accumulate(p.duration_ns for p in each.parts)) for each in (one, other)]
        # Another number of parts: what one has more lies that far beyond the other's last.
        longest = max(map(len, ends))
        padded = [each + each[-1:] * (longest - len(each)) for each in ends]
        offsets += [abs(a - b) / 1e6 for a, b in zip(*padded, strict=True)]
    return max(offsets)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture on the timeline of the programme."""

    start_ns: int
    duration_ns: int
    stamp: Stamp | None


@dataclass(slots=True)
class Continuity:
    """Whether pictures follow each other without a seam, whichever rendition they come from."""

    fps: int
    pictures: int = 0
    max_discontinuity_ms: float = 0.0
    """The longest time that nothing covers, or that two pictures do."""
    out_of_step: int = 0
    """Pictures that are not the one that their time says, or cannot be read."""
    _last: Picture | None = None

    def receive(self, picture: Picture, *, after_gap: bool = False) -> None:
        """The next picture that a player shows; `after_gap`: the playlist owned to a hole."""
        last, self._last = self._last, picture
        self.pictures += 1
        if last is None or after_gap:
            self.out_of_step += picture.stamp is None
            return
        seam_ns = picture.start_ns - last.start_ns - last.duration_ns
        self.max_discontinuity_ms = max(self.max_discontinuity_ms, abs(seam_ns) / 1e6)
        self.out_of_step += not self._in_step(last, picture)

    def _in_step(self, last: Picture, picture: Picture) -> bool:
        if picture.stamp is None:
            return False
        if last.stamp is None:
            return True
        frames = picture.stamp.index - last.stamp.index
        # Half a frame is more than timescales round away.
        return abs(frames * NS / self.fps - (picture.start_ns - last.start_ns)) < NS / self.fps / 2


@dataclass(frozen=True, slots=True)
class Switching:
    """What a player saw that changed renditions at segment boundaries."""

    path: tuple[str, ...]
    """Names of the renditions, in the order in which it played them."""
    pictures: int
    """Coded pictures that it fetched."""
    decoded: int
    max_discontinuity_ms: float
    out_of_step: int
    gaps: int = 0
    """Parts that were listed as lost where it wanted to play them."""

    @property
    def switches(self) -> int:
        return max(0, len(self.path) - 1)

    def problems(self) -> list[str]:
        """Everything that was no clean switch, in words."""
        found = []
        if self.decoded != self.pictures:
            found.append(f"{self.pictures - self.decoded} pictures did not decode over a switch")
        if self.max_discontinuity_ms > TOLERANCE_MS:
            found.append(f"a switch left a gap or an overlap of {self.max_discontinuity_ms:.1f} ms")
        if self.out_of_step:
            found.append(f"{self.out_of_step} pictures were not the one that their time says")
        return found


@dataclass(frozen=True, slots=True)
class Moved:
    """A WebRTC viewer that went on with another rendition when its path seemed too narrow."""

    before: str
    """Resolution, as in `1280x720`."""
    after: str
    seconds: float
    """From its first report of loss to the first picture of the other rendition."""


@dataclass(slots=True)
class LadderFindings:
    """Everything about the renditions; `asked` are those that the event was to have."""

    asked: Sequence[str]
    renditions: dict[str, RenditionSeen] = field(default_factory=dict)
    switching: Switching | None = None
    moved: Moved | None = None
    """None: the broadcast was over before."""
    trimmed: str | None = None
    """Why the node left renditions out, in its own words."""
    failures: list[str] = field(default_factory=list)

    def alignment(self, name: str) -> Alignment:
        return align(self.renditions[name], self.renditions[SOURCE])

    def problems(self) -> list[str]:
        """Everything that is missing and that the node did not own to, in words."""
        found = list(self.failures)
        for name in (SOURCE, *self.asked):
            if name not in self.renditions:
                if name == SOURCE or self.trimmed is None:
                    found.append(f"the rendition {name} was never listed")
            elif (problem := self._problem(name)) is not None:
                found.append(problem)
        if self.switching is not None:
            found += self.switching.problems()
        if self.trimmed is None and not (self.switching and self.switching.switches):
            found.append("no player got from one rendition to another")
        return found

    def _problem(self, name: str) -> str | None:
        seen = self.renditions[name]
        if seen.failure is not None:
            return None if self.trimmed else f"the rendition {name} broke off: {seen.failure}"
        if SOURCE not in self.renditions or (found := self.alignment(name)).aligned:
            return None
        if found.missing or not found.compared:
            return f"the rendition {name} lacks {len(found.missing)} segments of the source"
        return f"the rendition {name} is up to {found.max_offset_ms:.1f} ms off the source"
