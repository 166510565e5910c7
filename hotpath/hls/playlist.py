"""HLS media playlists: the model of one, and its text.

Invariant: media sequence and discontinuity sequence never fall, a listed segment never changes,
numbers are contiguous, and the next part that is listed has the name that was hinted, unless it
was lost. Durations are integer microseconds.

There is no EXT-X-START: 4.4.2.2 wants its offset out of the last three target durations of a live
playlist, and a player that obeys such an offset begins, and often stays, that far behind. Where
to begin is what HOLD-BACK and PART-HOLD-BACK say, to each kind of player the right thing.

What an update does not repeat is joined from chunks that were written once, so that a playlist of
twelve hours costs little more for each part than one of twenty seconds.

Upstream: `live`, which feeds it and serves what it renders. Downstream: `window` keeps the segments
that are listed; `tags`, `listing` and `older` make the lines. Spec: draft-pantos-hls-rfc8216bis,
4.4 (tags) and 6.2 (server).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hotpath.hls import tags
from hotpath.hls.directives import Edge
from hotpath.hls.listing import ListedDate, ListedSegment, Place, listing
from hotpath.hls.names import init_name, part_name, segment_name
from hotpath.hls.older import chunk_length
from hotpath.hls.tags import SKIP_UNTIL, Delta, Report
from hotpath.hls.text import Text
from hotpath.hls.values import US, seconds
from hotpath.hls.window import Window

PARTS_KEPT = 3  # target durations; 6.2.2: older part tags should go
WINDOW = 10  # target durations that a playlist lists at least; never below three


class PlaylistError(ValueError):
    """An update that would break the playlist's invariant; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What an update took out of the text; the bytes stay available for a while."""

    part_tags: tuple[int, ...] = ()
    """Segments whose parts are no longer listed."""
    segments: tuple[int, ...] = ()


class Revision:
    """Rises with every change of any of the playlists that share it."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


class MediaPlaylist:
    """One rendition's playlist; see the module for the invariant.

    `prefix` is put before the name of every media file, relative to the playlist's own URL.
    `independent`: every segment there will ever be begins with a keyframe. `window_s`: how far back
    it lists segments, if that is further than others do.
    """

    def __init__(
        self,
        prefix: str,
        *,
        target_duration_s: int,
        part_target_ms: int,
        independent: bool = False,
        window_s: int = 0,
        revision: Revision | None = None,
    ) -> None:
        self.prefix = prefix
        self.target_duration_us = target_duration_s * US
        self.part_target_us = part_target_ms * 1000
        self.version = 0
        """Rises with every change of the text."""
        self._revision = revision or Revision()
        self.ended = False
        self._listed = Window(
            window_us=max(WINDOW * target_duration_s, window_s) * US,
            parts_us=PARTS_KEPT * self.target_duration_us,
            skip_us=SKIP_UNTIL * self.target_duration_us,
            chunk=chunk_length(window_s // target_duration_s) if window_s else 0,
        )
        """The complete segments."""
        self._open: ListedSegment | None = None
        self._dates: list[ListedDate] = []
        self._next_msn: int | None = None
        self._last_parts = 0
        self._newest: Place | None = None
        self._hint: str | None = None
        """Name that the next part will have, whichever segment it will be in."""
        self._head = tags.header(target_duration_s, part_target_ms, independent=independent)

    @property
    def has_segments(self) -> bool:
        return bool(self._listed)

    @property
    def duration_us(self) -> int:
        """Of the listed complete segments."""
        return self._listed.duration_us

    @property
    def newest(self) -> Place | None:
        """Where the segment begins that was opened last."""
        return self._newest

    @property
    def first_pdt_ns(self) -> int | None:
        """Where the first listed segment begins, Unix nanoseconds."""
        return None if self._first is None else self._first.place.pdt_ns

    @property
    def _first(self) -> ListedSegment | None:
        return self._listed.first or self._open

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

    def trim_parts(self) -> Trimmed:
        """Drop the tags of parts that are too far from the end, with what is open, too."""
        after = self._open.parts_us if self._open is not None else 0
        return Trimmed(self._listed.drop_parts(after))

    def begin_at(self, msn: int) -> Trimmed:
        """List nothing from before, because another rendition does not."""
        dropped = self._listed.drop_before(msn)
        if dropped:
            self._changed()
        return Trimmed(segments=dropped)

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
        self._changed()

    def drop_dates(self, ids: Collection[str]) -> None:
        """Remove every line of these date ranges."""
        self._dates = [date for date in self._dates if date.id not in ids]
        self._listed.older.drop_dates(ids)
        self._changed()

    def end(self) -> None:
        """Nothing follows: EXT-X-ENDLIST."""
        self.ended = True
        self._open = None
        self._changed()

    def drop_parts(self) -> None:
        """List no part any more: nobody plays at the end of what ended long ago."""
        if self._listed.drop_parts(PARTS_KEPT * self.target_duration_us):
            self._changed()

    def render(self, reports: Sequence[Report] = (), *, delta: Delta | None = None) -> str:
        """The whole of `text`."""
        return self.text(reports, delta=delta).plain.decode()

    def text(self, reports: Sequence[Report] = (), *, delta: Delta | None = None) -> Text:
        """The playlist's text; with `delta`, segments beyond the skip boundary are left out.

        Where there is no such segment the whole text is the update: players take an EXT-X-SKIP
        of no segments for a playlist without one, and would forget the date ranges it skips.
        """
        first = self._first
        if first is None:
            return Text(self._head + self._end(reports))
        skipped = self._listed.skippable if delta is not None and not self.ended else 0
        number = first.place.discontinuity_seq - first.discontinuities
        head = self._head + tags.sequence(first.place.msn, number)
        if skipped and delta is not None:
            dates = self._dates[delta.dates or 0 :]
            tail = self._recent(skipped, dates)
            return Text(head + tags.skip(skipped, delta) + tail + self._end(reports))
        if not first.has_map:
            head += self._map(first.place.init)
        before = [date for date in self._dates if date.msn < first.place.msn]
        head += "".join([date.line for date in before])
        older = self._listed.older
        tail = self._recent(older.count, self._dates[len(before) + older.dates :])
        return Text(head, older.run, tail + self._end(reports))

    def _recent(self, skipped: int, dates: Sequence[ListedDate]) -> str:
        """The lines from the segment on that comes after so many, and of these date ranges."""
        segments = self._listed.behind(skipped)
        if self._open is not None:
            segments.append(self._open)
        return "".join(listing(segments, dates))

    def _end(self, reports: Sequence[Report]) -> str:
        if self.ended:
            return "#EXT-X-ENDLIST\n"
        hint = None if self.hint is None else self.prefix + self.hint
        return tags.trailer(hint, reports)

    def _map(self, init: int) -> str:
        return tags.media_map(self.prefix + init_name(init))

    def _changed(self) -> None:
        self.version += 1
        self._revision.number += 1

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
        begin = tags.begin(steps, self._map(place.init) if has_map else "", place.pdt_ns)
        return ListedSegment(place, begin, has_map, steps)

    def _list_part(self, segment: ListedSegment, attributes: str, duration_us: int) -> None:
        segment.parts.append(f"#EXT-X-PART:DURATION={seconds(duration_us)},{attributes}\n")
        segment.parts_us += duration_us
        self._changed()

    def _close(self, segment: ListedSegment, duration_us: int, *, gap: bool) -> Trimmed:
        uri = self.prefix + segment_name(segment.place.msn)
        segment.close(duration_us, tags.end(uri, duration_us, gap=gap))
        self._last_parts = len(segment.parts)
        self._listed.append(segment)
        self._open, self._next_msn = None, segment.place.msn + 1
        self._changed()
        dropped = self._listed.drop_parts(0)
        self._listed.fold(self._dates)
        return Trimmed(dropped, self._listed.drop_segments())
