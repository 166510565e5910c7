"""What one light player takes from playlists, and whether its picture would stand still. Pure.

Invariant: a part is taken once and in order, a change of rendition begins at a segment, and the
playhead never passes what has arrived of every track: where it would, that is a stall. Upstream:
`players` feeds texts and arrivals. Spec: draft-pantos-hls-rfc8216bis, 4.4.4, 6.3. Times are
integers in microseconds; the media timeline is the playlist's dates.
"""

import gzip
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

KEPT = 256
US = 1_000_000
_URI = re.compile(rb'URI="([^"]+)"')
_DURATION = re.compile(rb"DURATION=([0-9.]+)")
_HOLD_BACK = re.compile(rb"PART-HOLD-BACK=([0-9.]+)")
_GZIP = b"\x1f\x8b"

Position = tuple[int, int]
"""Segment number and part number."""


@dataclass(frozen=True, slots=True)
class ListedPart:
    at: Position
    uri: bytes
    begin_us: int
    end_us: int
    independent: bool
    gap: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A media playlist, as far as a player at its live edge needs it."""

    next: Position
    """What comes after all that is listed."""
    parts: tuple[ListedPart, ...]
    hold_back_us: int
    ended: bool

    @property
    def end_us(self) -> int:
        return self.parts[-1].end_us if self.parts else 0

    def since(self, next: Position) -> list[ListedPart]:
        """The parts from there on; most often the last one or none, so from the end."""
        first = len(self.parts)
        while first and self.parts[first - 1].at >= next:
            first -= 1
        return list(self.parts[first:])

    def start(self, back_us: int) -> ListedPart | None:
        """The newest independent part that is at least so far from the end (6.3.3)."""
        fit = [part for part in self.parts if part.independent and not part.gap]
        early = [part for part in fit if self.end_us - part.begin_us >= back_us]
        return early[-1] if early else fit[0] if fit else None


@dataclass(slots=True)
class _Reading:
    msn: int = 0
    part: int = 0
    segment_us: int | None = None
    """When the segment that is being read begins, once that is known."""
    at_us: int | None = None
    duration_us: int = 0


def parse(text: bytes) -> Listing:
    """Every part that is listed; segments without parts only count."""
    parts: list[ListedPart] = []
    now, hold_back, ended = _Reading(), 0, False
    for line in text.splitlines():
        if line.startswith(b"#EXT-X-PART:"):
            if now.at_us is not None:
                parts.append(_part(line, now))
                now.at_us = parts[-1].end_us
            now.part += 1
        elif line.startswith(b"#EXTINF:"):
            now.duration_us = _us(line[8:].partition(b",")[0])
        elif line.startswith(b"#EXT-X-PROGRAM-DATE-TIME:"):
            moment = datetime.fromisoformat(line[25:].decode())
            now.segment_us = now.at_us = round(moment.timestamp() * US)
        elif line.startswith(b"#EXT-X-MEDIA-SEQUENCE:"):
            now.msn = int(line[22:])
        elif line.startswith(b"#EXT-X-SERVER-CONTROL:") and (found := _HOLD_BACK.search(line)):
            hold_back = _us(found[1])
        elif line == b"#EXT-X-ENDLIST":
            ended = True
        elif line and not line.startswith(b"#"):
            begun = now.segment_us
            following = None if begun is None else begun + now.duration_us
            now = _Reading(now.msn + 1, 0, following, following)
    return Listing((now.msn, now.part), tuple(parts), hold_back, ended)


def _part(line: bytes, now: _Reading) -> ListedPart:
    uri, duration = _URI.search(line), _DURATION.search(line)
    if uri is None or duration is None or now.at_us is None:
        raise ValueError(f"a part without URI or DURATION: {line!r}")
    end = now.at_us + _us(duration[1])
    independent, gap = b"INDEPENDENT=YES" in line, b"GAP=YES" in line
    return ListedPart((now.msn, now.part), uri[1], now.at_us, end, independent, gap)


def _us(seconds: bytes) -> int:
    return round(float(seconds) * US)


class Listings:
    """Parsed texts by their bytes: what many players get is read once."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Listing] = OrderedDict()

    def parsed(self, body: bytes) -> Listing:
        found = self._known.get(body)
        if found is None:
            found = parse(gzip.decompress(body) if body.startswith(_GZIP) else body)
            self._known[body] = found
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found


@dataclass(slots=True)
class Following:
    """Where one player is in one playlist; `rendition` may change at the next segment."""

    rendition: str
    back_us: int = 0
    """How much more than the hold-back it begins behind."""
    wanted: str | None = None
    """The rendition that it goes to when the segment that it is in has ended."""
    next: Position | None = None
    """What it has not got yet; None: it has not begun."""
    start_us: int = 0
    """Where playback begins: so far from the end that the playlist asks for."""
    missed: int = 0
    """Parts that were no longer listed when they were due."""
    gaps: int = 0
    """Parts that were listed as lost."""

    def receive(self, listing: Listing) -> list[ListedPart]:
        """What is to be fetched now."""
        if self.next is None:
            first = listing.start(listing.hold_back_us + self.back_us)
            self.next = listing.next if first is None else first.at
            self.start_us = listing.end_us - listing.hold_back_us
        due = listing.since(self.next)
        if self.wanted is not None and listing.next[0] > self.next[0]:
            due = [part for part in due if part.at[0] == self.next[0]]
            after = (self.next[0] + 1, 0)
            self.rendition, self.wanted = self.wanted, None
        else:
            after = max(self.next, listing.next)
        if due and due[0].at > self.next and due[0].at != (self.next[0] + 1, 0):
            self.missed += 1
        self.next = after
        self.gaps += sum(part.gap for part in due)
        return [part for part in due if not part.gap]


@dataclass(slots=True)
class Playhead:
    """One player's clock over its tracks; `start_us` is where the first picture lies."""

    tracks: Sequence[str]
    start_us: int | None = None
    stalls: int = 0
    stalled_us: int = 0
    _until: dict[str, int] = field(default_factory=dict)
    """Track -> media time up to which it has arrived."""
    _offset_us: int | None = None
    """Wall clock minus media time while it plays."""

    def receive(self, track: str, part: ListedPart, now_us: int) -> None:
        """A part has arrived."""
        before = self.buffered_us
        self._until[track] = max(self._until.get(track, 0), part.end_us)
        if self.start_us is None or self.buffered_us <= max(before, self.start_us):
            return
        if self._offset_us is None:
            self._offset_us = now_us - self.start_us
            return
        late_us = now_us - self._offset_us - before
        if late_us > 0:
            self.stalls += 1
            self.stalled_us += late_us
            self._offset_us += late_us

    @property
    def playing(self) -> bool:
        return self._offset_us is not None

    @property
    def buffered_us(self) -> int:
        """Media time up to which every track has arrived."""
        return min((self._until.get(track, 0) for track in self.tracks), default=0)
