"""HLS media playlists: the model of one, and its text.

Invariant: media sequence and discontinuity sequence never fall, a listed segment never changes,
numbers are contiguous, and the next part that is listed has the name that was hinted, unless it
was lost. Durations are integer microseconds.

There is no EXT-X-START: 4.4.2.2 wants its offset out of the last three target durations of a live
playlist, and a player that obeys such an offset begins, and often stays, that far behind. Where
to begin is what HOLD-BACK and PART-HOLD-BACK say, to each kind of player the right thing.

Upstream: `live`, which feeds it and serves what it renders. Downstream: `listing` makes the lines.
Spec: draft-pantos-hls-rfc8216bis, 4.4 (tags) and 6.2 (server), version 10.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hotpath.hls.directives import Edge
from hotpath.hls.listing import ListedDate, ListedSegment, Place, listing
from hotpath.hls.values import US, date_time, seconds

VERSION = 10
"""8: 10 is for an EXT-X-SKIP that replaces date ranges; 6.2.1: the tag does not change between."""

HOLD_BACK = 3  # target durations; 4.4.3.8: at least three
PART_HOLD_BACK = 3  # part targets; at least two, should be three
SKIP_UNTIL = 6  # target durations; at least six
PARTS_KEPT = 3  # target durations; 6.2.2: older part tags should go
WINDOW = 10  # target durations that a playlist lists; never below three


class PlaylistError(ValueError):
    """An update that would break the playlist's invariant; nothing was changed."""


def segment_name(msn: int) -> str:
    return f"s{msn}.m4s"


def part_name(msn: int, part: int) -> str:
    return f"s{msn}.{part}.m4s"


def init_name(number: int) -> str:
    return f"init-{number}.mp4"


@dataclass(frozen=True, slots=True)
class Report:
    """EXT-X-RENDITION-REPORT of a sibling playlist."""

    uri: str
    last_msn: int
    last_part: int | None


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What an update took out of the text; the bytes stay available for a while."""

    part_tags: tuple[int, ...] = ()
    """Segments whose parts are no longer listed."""
    segments: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A playlist delta update: what it leaves out besides the segments beyond the boundary."""

    dates: int | None = None
    """The oldest so many date range tags; None: every one stays (`_HLS_skip=YES`)."""
    removed: tuple[str, ...] = ()
    """IDs for RECENTLY-REMOVED-DATERANGES."""


class MediaPlaylist:
    """One rendition's playlist; see the module for the invariant.

    `prefix` is put before the name of every media file, relative to the playlist's own URL.
    `independent`: every segment there will ever be begins with a keyframe.
    """

    def __init__(
        self,
        prefix: str,
        *,
        target_duration_s: int,
        part_target_ms: int,
        independent: bool = False,
    ) -> None:
        self.prefix = prefix
        self.target_duration_us = target_duration_s * US
        self.part_target_us = part_target_ms * 1000
        self.version = 0
        """Rises with every change of the text."""
        self.ended = False
        self._segments: deque[ListedSegment] = deque()
        self._open: ListedSegment | None = None
        self._dates: list[ListedDate] = []
        self._next_msn: int | None = None
        self._last_parts = 0
        self._newest: Place | None = None
        self._hint: str | None = None
        """Name that the next part will have, whichever segment it will be in."""
        self._head = self._header(target_duration_s, part_target_ms, independent)

    @property
    def duration_us(self) -> int:
        """Of the listed complete segments."""
        return sum(segment.duration_us for segment in self._segments)

    @property
    def has_segments(self) -> bool:
        return bool(self._segments)

    @property
    def first_pdt_ns(self) -> int | None:
        """Where the first listed segment begins, Unix nanoseconds."""
        first = self._segments[0] if self._segments else self._open
        return None if first is None else first.place.pdt_ns

    @property
    def edge(self) -> Edge:
        return Edge(
            last_msn=(self._next_msn or 0) - 1,
            last_parts=self._last_parts,
            open_parts=len(self._open.parts) if self._open is not None else 0,
            ended=self.ended,
            part_target_ms=self.part_target_us // 1000,
        )

    @property
    def hint(self) -> str | None:
        """Name of the part that the playlist announces, without the prefix."""
        return None if self.ended else self._hint

    def add_part(
        self, place: Place, part: int, duration_us: int, *, independent: bool, last: bool = False
    ) -> str:
        """List a finished part and return its name.

        `place` is read for the first part of a segment. `last`: the segment ends with this part.
        Whether another part would follow is often not known when the hint goes out; so the hint
        stays until a part fulfils it, be it the first of the next segment.
        """
        segment = self._opened(place, part)
        name = self._hint or part_name(place.msn, part)
        self._hint = part_name(place.msn + 1, 0) if last else part_name(place.msn, part + 1)
        mark = ",INDEPENDENT=YES" if independent else ""
        self._list_part(segment, f'URI="{self.prefix}{name}"{mark}', duration_us)
        return name

    def close_segment(self, msn: int, duration_us: int) -> Trimmed:
        """The open segment is complete."""
        if self._open is None or self._open.place.msn != msn:
            raise PlaylistError(f"segment {msn} is not open")
        return self._close(self._open, duration_us, gap=False)

    def add_gap(self, place: Place, duration_us: int) -> Trimmed:
        """A segment that is not available, or not to its end: parts listed already stay."""
        segment = self._opened(place)
        if segment.parts:
            self._hint = part_name(place.msn + 1, 0)  # what was hinted is lost
            missing = duration_us - segment.parts_us
            while missing > 0:
                length = min(missing, self.part_target_us)
                uri = self.prefix + part_name(place.msn, len(segment.parts))
                self._list_part(segment, f'URI="{uri}",GAP=YES', length)
                missing -= length
        return self._close(segment, duration_us, gap=True)

    def add_date(self, id: str, line: str) -> None:
        """Append a date range's line."""
        if self.ended:
            raise PlaylistError("the playlist has ended")
        msn = self._next_msn or 0
        self._dates.append(ListedDate(id, line, msn, len(self._open.parts) if self._open else 0))
        self.version += 1

    def drop_dates(self, ids: Collection[str]) -> None:
        """Remove every line of these date ranges."""
        self._dates = [date for date in self._dates if date.id not in ids]
        self.version += 1

    def end(self) -> None:
        """Nothing follows: EXT-X-ENDLIST."""
        self.ended = True
        self._open = None
        self.version += 1

    def render(self, reports: Sequence[Report] = (), *, delta: Delta | None = None) -> str:
        """The playlist's text; with `delta`, segments beyond the skip boundary are left out.

        Where there is no such segment the whole text is the update: players take an EXT-X-SKIP
        of no segments for a playlist without one, and would forget the date ranges it skips.
        """
        segments = list(self._segments)
        if self._open is not None:
            segments.append(self._open)
        dates = self._dates
        lines = [self._head]
        if segments:
            first = segments[0]
            skipped = self._skippable() if delta is not None and not self.ended else 0
            sequence = first.place.discontinuity_seq - first.discontinuities
            lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first.place.msn}\n")
            lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{sequence}\n")
            if skipped and delta is not None:
                lines.append(self._skip(skipped, delta))
                dates = dates[delta.dates or 0 :]
            elif not first.has_map:
                lines.append(self._map(first.place.init))
            lines.extend(listing(segments[skipped:], dates))
        if self.ended:
            lines.append("#EXT-X-ENDLIST\n")
        else:
            lines.extend(self._trailer(reports))
        return "".join(lines)

    def _skip(self, segments: int, delta: Delta) -> str:
        removed = ""
        if delta.dates is not None:
            ids = "\t".join(delta.removed)
            removed = f',RECENTLY-REMOVED-DATERANGES="{ids}"'
        return f"#EXT-X-SKIP:SKIPPED-SEGMENTS={segments}{removed}\n"

    def _header(self, target_duration_s: int, part_target_ms: int, independent: bool) -> str:
        target, part = target_duration_s * US, part_target_ms * 1000
        # 6.2.1: the tag can neither come nor go, so it is a promise about what is not made yet.
        promise = "#EXT-X-INDEPENDENT-SEGMENTS\n" if independent else ""
        return (
            f"#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{target_duration_s}\n"
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,"
            f"PART-HOLD-BACK={seconds(PART_HOLD_BACK * part)},"
            f"HOLD-BACK={seconds(HOLD_BACK * target)},"
            f"CAN-SKIP-UNTIL={seconds(SKIP_UNTIL * target)},CAN-SKIP-DATERANGES=YES\n"
            f"#EXT-X-PART-INF:PART-TARGET={seconds(part)}\n{promise}"
        )

    def _trailer(self, reports: Sequence[Report]) -> list[str]:
        lines: list[str] = []
        if self.hint is not None:
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{self.prefix}{self.hint}"\n')
        for report in reports:
            part = "" if report.last_part is None else f",LAST-PART={report.last_part}"
            lines.append(
                f'#EXT-X-RENDITION-REPORT:URI="{report.uri}",LAST-MSN={report.last_msn}{part}\n'
            )
        return lines

    def _map(self, init: int) -> str:
        return f'#EXT-X-MAP:URI="{self.prefix}{init_name(init)}"\n'

    def _opened(self, place: Place, part: int | None = None) -> ListedSegment:
        """The open segment, opened at `place` if there is none; `part` is to follow its last."""
        if self.ended:
            raise PlaylistError("the playlist has ended")
        listed = len(self._open.parts) if self._open is not None else 0
        if part is not None and part != listed:
            raise PlaylistError(f"part {part} of segment {place.msn} does not follow {listed}")
        if self._open is not None:
            if self._open.place.msn != place.msn:
                raise PlaylistError(f"{place.msn} while {self._open.place.msn} is open")
            return self._open
        if self._next_msn is not None and place.msn != self._next_msn:
            raise PlaylistError(f"segment {place.msn} does not follow {self._next_msn - 1}")
        self._open = self._new_segment(place)
        self._next_msn = place.msn
        self._newest = self._open.place
        return self._open

    def _new_segment(self, place: Place) -> ListedSegment:
        previous = self._newest
        steps = 0
        if previous is not None:
            steps = max(place.discontinuity_seq - previous.discontinuity_seq, 0)
        has_map = previous is None or steps > 0 or place.init != previous.init
        # Siblings agree on discontinuity numbers, so a jump of two is two tags.
        tags = "#EXT-X-DISCONTINUITY\n" * steps
        if has_map:
            tags += self._map(place.init)
        tags += f"#EXT-X-PROGRAM-DATE-TIME:{date_time(place.pdt_ns)}\n"
        return ListedSegment(place, tags, has_map, steps)

    def _list_part(self, segment: ListedSegment, attributes: str, duration_us: int) -> None:
        segment.parts.append(f"#EXT-X-PART:DURATION={seconds(duration_us)},{attributes}\n")
        segment.parts_us += duration_us
        self.version += 1

    def _close(self, segment: ListedSegment, duration_us: int, *, gap: bool) -> Trimmed:
        uri = self.prefix + segment_name(segment.place.msn)
        tail = "#EXT-X-GAP\n" if gap else ""
        tail += f"#EXTINF:{seconds(duration_us)},\n{uri}\n"
        segment.close(duration_us, tail)
        self._last_parts = len(segment.parts)
        self._segments.append(segment)
        self._open, self._next_msn = None, segment.place.msn + 1
        self.version += 1
        return Trimmed(self._drop_parts(), self._drop_segments())

    def _drop_parts(self) -> tuple[int, ...]:
        dropped: list[int] = []
        after = 0
        for segment in reversed(self._segments):
            if after >= PARTS_KEPT * self.target_duration_us:
                if not segment.parts_listed:
                    break
                segment.drop_parts()
                dropped.append(segment.place.msn)
            after += segment.duration_us
        return tuple(reversed(dropped))

    def _drop_segments(self) -> tuple[int, ...]:
        dropped: list[int] = []
        total = self.duration_us
        while total - self._segments[0].duration_us >= WINDOW * self.target_duration_us:
            segment = self._segments.popleft()
            total -= segment.duration_us
            dropped.append(segment.place.msn)
        return tuple(dropped)

    def _skippable(self) -> int:
        """Segments further from the end of the last one than the skip boundary."""
        after, kept = 0, 0
        for segment in reversed(self._segments):
            if after > SKIP_UNTIL * self.target_duration_us:
                break
            after += segment.duration_us
            kept += 1
        return len(self._segments) - kept
