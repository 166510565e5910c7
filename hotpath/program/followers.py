"""The tracks beside the lead: held until its clock has passed them, and cut where it has cut.

Invariant: units leave in order and once, and which segment they are in depends on their times and
the lead's boundaries alone, not on when they came. A unit leaves when the lead's clock has passed
it, less the track's `Lag`; a track that is silent gets its segments closed `HOLD_S` late, and a
lead that is silent is taken to go on `HOLD_S` behind the newest unit held.

Used only by `hotpath.program.marks`, which places what leaves.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from hotpath.media.unit import Item, Unit
from hotpath.program.lead import LeadClock
from hotpath.program.limits import Limits
from hotpath.program.track import Track

HOLD_S = 2
HELD_MAX = 1024
"""Units held per track at most, whatever their clock says."""

AHEAD = 4
"""A track may end so many parts of a second after the lead."""

Place = Callable[[Track, Unit, int], list[Item]]


class Followers:
    """Of one mark writer; see the module for the invariant."""

    def __init__(
        self,
        tracks: Mapping[str, Track],
        clock: LeadClock,
        limits: Limits,
        counts: Counter[str],
        place: Place,
    ) -> None:
        """`tracks`: all of the writer's, the lead among them."""
        self._tracks = tracks
        self._clock = clock
        self._limits = limits
        self._counts = counts
        self._place = place

    def __iter__(self) -> Iterator[Track]:
        return (track for track in self._tracks.values() if track is not self._clock.track)

    def hold(self, track: Track, unit: Unit) -> None:
        """A unit has come."""
        if self._clock.ticks is not None:
            clock = self._clock.to(track, self._clock.ticks)
            track.lag.receive(unit.dts, track.cadence.duration, clock, self._tolerance(track))
        track.held.append(unit)
        if len(track.held) > HELD_MAX:
            track.held.popleft()
            self._counts["held-too-long"] += 1

    def release(self, now_ns: int, *, at_once: bool = False) -> list[Item]:
        """Place what is due; `at_once`: all that the lead's clock has passed."""
        items: list[Item] = []
        for track in self:
            items += self._release_track(track, now_ns, at_once)
        self._clock.forget(min((track.msn for track in self._tracks.values()), default=0))
        return items

    def force(self, lead: Track, now_ns: int, *, whole: bool) -> list[Item]:
        """The lead was closed: every other track ends where it stands, or near where the lead does:
        what is further ahead would leave the lead a hole before whatever comes next."""
        items: list[Item] = []
        for track in self:
            while track.msn < lead.msn:
                boundary = self._clock.end_of_open_segment(track)
                if boundary is None or track.segment_start is None:
                    break
                while track.held and track.msn == lead.msn - 1:
                    unit, _ = track.admit(track.held[0])
                    limit = track.segment_start + self._limits.longest(track)
                    if not whole:
                        limit = min(limit, boundary + track.format.timescale // AHEAD)
                    if unit.dts + track.cadence.duration > limit:
                        break
                    track.held.popleft()
                    items += self._place(track, unit, now_ns)
                items += self._cut(track, boundary)
        self._clock.forget(lead.msn)
        return items

    def drop(self) -> None:
        """What is still held can belong to nothing any more."""
        for track in self._tracks.values():
            self._counts["held-at-end"] += len(track.held)
            track.held.clear()

    def _tolerance(self, track: Track) -> int:
        """What counts as even: a quarter of a part, beside the steps of the lead's clock."""
        lead = self._clock.track
        step = 0 if lead is None else self._clock.to(track, lead.cadence.duration)
        return self._limits.part(track) // 4 + step

    def _release_track(self, track: Track, now_ns: int, at_once: bool) -> list[Item]:
        items: list[Item] = []
        if self._clock.ticks is None or track.segment_start is None:
            return items
        clock = self._clock.to(track, self._clock.ticks)
        track.lag.advance(track.cadence.duration, clock, self._tolerance(track))
        due = clock if at_once else clock - track.lag.ticks
        while True:
            boundary = self._clock.end_of_open_segment(track)
            if not track.held:
                if boundary is None or not self._over(track, boundary, clock):
                    return items
                items += self._cut(track, boundary)
                continue
            start = max(track.held[0].dts, track.floor or 0)
            if boundary is not None and start >= boundary:
                items += self._cut(track, boundary)
            elif start >= due:
                return items
            else:
                unit, moved = track.admit(track.held.popleft())
                self._counts["timestamp-moved"] += moved
                items += self._place(track, unit, now_ns)

    def _over(self, track: Track, boundary: int, clock: int) -> bool:
        """Nothing is held: whether the segment is over, or has to be taken for over."""
        if not track.active or (track.end is not None and track.end >= boundary):
            return True
        return clock - boundary > HOLD_S * track.format.timescale

    def _cut(self, track: Track, boundary: int) -> list[Item]:
        start = track.segment_start or 0
        end = boundary if not track.segment_units else max(boundary, track.end or 0)
        items = track.cut_segment(max(end, start + 1), self._limits.part(track))
        self._counts["gap-segments"] += not track.active or getattr(items[-1], "gap", False)
        return items
