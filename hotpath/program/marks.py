"""The mark writer: decides, once, which part and segment every unit belongs to.

Invariant: every unit it accepts comes out exactly once, in exactly one part of one segment, and
per track (msn, part, dts) only rises. A part ends where `parts` says, a segment at the latest half
a second after the target duration; both are cut at once, after the last unit that fits, not on the
next arrival. Segment `n` of every track covers the same stretch of time; a track that has nothing
for it gets a gap.

The lead (video, else audio) decides the boundaries, the others follow (`followers`); what arrives
in bursts leaves evenly.

Upstream: `hotpath.program.service`, with units that `timeline` has put on the programme's clock.
Downstream: the bus. Spec: draft-pantos-hls-rfc8216bis 4.4.4.9 (a part is at least 85 % of the part
target, the last of a segment excepted) and 4.4.3.1 (segment durations round to at most the target).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hotpath.media.unit import (
    VIDEO,
    Format,
    FormatChange,
    Item,
    ProgramEnd,
    Unit,
)
from hotpath.program.cadence import KeyframeCadence
from hotpath.program.followers import HOLD_S, Followers
from hotpath.program.lead import LeadClock
from hotpath.program.limits import Limits
from hotpath.program.parts import end_before, end_behind, shortest
from hotpath.program.timeline import CLOCK_HZ, lead_of
from hotpath.program.track import Track


def same_media(a: Format, b: Format) -> bool:
    """Whether both need the same init section; the frame duration is only an expectation."""
    return replace(a, frame_duration=0) == replace(b, frame_duration=0)


class MarkWriter:
    """Boundaries of one incarnation of a programme; see the module for the invariant."""

    def __init__(
        self,
        *,
        epoch_ns: int,
        msn: int = 0,
        discontinuity_seq: int = 0,
        part_target_ms: int = 215,
        target_duration_s: int = 2,
    ) -> None:
        self.epoch_ns = epoch_ns
        self.msn = msn
        """The newest segment number in use (or the next one, between segments)."""
        self.discontinuity_seq = discontinuity_seq
        self.counts: Counter[str] = Counter()
        """What happened to units that did not pass as they came, by reason."""
        self._limits = Limits(part_target_ms, target_duration_s)
        self._tracks: dict[str, Track] = {}
        self._clock = LeadClock()
        self._followers = Followers(
            self._tracks, self._clock, self._limits, self.counts, self._place
        )
        self._keyframes = KeyframeCadence()
        self._await_keyframe = True
        self._fresh = True

    # -- what the programme tells it ---------------------------------------------------------

    def begin(self, formats: Sequence[Format], now_ns: int) -> list[Item]:
        """A publisher, clock or format starts: close everything, go on with a discontinuity."""
        items = self.close(now_ns)
        if not self._fresh:
            self.discontinuity_seq += 1
            self._fresh = True
        names = {format.track for format in formats}
        for name, track in self._tracks.items():
            track.active = name in names
        for format in sorted(formats, key=lambda each: each.track != VIDEO):
            items += self._set_format(format)
        for track in self._tracks.values():
            track.restart()
            track.msn = self.msn
        for format in formats:
            self._tracks[format.track].expect(format)
        lead = lead_of(formats)
        self._clock.restart(None if lead is None else self._tracks[lead])
        self._keyframes.restart()
        self._await_keyframe = True
        return items

    def can_add(self, format: Format) -> bool:
        """Whether the track can join here: another format than before needs a new beginning."""
        known = self._tracks.get(format.track)
        return known is None or same_media(known.format, format)

    def add(self, format: Format) -> list[Item]:
        """A track turns up late; it joins the open segment."""
        if not self.can_add(format):
            raise RuntimeError(f"{format.track} changes its format: that needs a new beginning")
        known = self._tracks.get(format.track)
        items = self._set_format(format)
        track, lead = self._tracks[format.track], self._clock.track
        track.active = True
        if track is not known and lead is not None and lead.segment_start is not None:
            track.segment_start = self._clock.to(track, lead.segment_start)
        return items

    def remove(self, name: str) -> None:
        """A track that does not lead is there no more: gaps follow what it had."""
        self._tracks[name].active = False

    def write(self, unit: Unit, now_ns: int) -> list[Item]:
        """Items that follow from this unit, in the order in which they are published."""
        track, lead = self._tracks.get(unit.track), self._clock.track
        if track is None or lead is None or not track.active:
            self.counts["unknown-track"] += 1
            return []
        if not self._usable(unit):
            return []
        if track is not lead:
            self._followers.hold(track, unit)
            return self._advance_silent_lead(track) + self._followers.release(now_ns)
        return self._write_lead(lead, unit, now_ns) + self._followers.release(now_ns)

    def cut_parts(self) -> list[Item]:
        """End every open part that is long enough: nothing follows before it would be too late."""
        items: list[Item] = []
        for track in self._tracks.values():
            if track.part_start is not None and track.end is not None:
                length, target = track.end - track.part_start, self._limits.part(track)
                if length >= shortest(target):
                    items.append(track.cut_part(track.end))
        return items

    @property
    def reached(self) -> int:
        """90 kHz: no unit can be placed earlier."""
        times = (
            -(-(track.floor or 0) * CLOCK_HZ // track.format.timescale)
            for track in self._tracks.values()
        )
        return max(times, default=0)

    def holes(self) -> list[tuple[Format, int, int]]:
        """Sounds that end before the lead does: format, from and until in its ticks."""
        lead, found = self._clock.track, list[tuple[Format, int, int]]()
        if lead is None or lead.end is None or not lead.segment_units:
            return found
        for track in self._followers:
            end, until = track.newest_end, self._clock.to(track, lead.end)
            if track.active and end is not None and end < until:
                found.append((track.format, end, until))
        return found

    def close(self, now_ns: int, *, whole: bool = False) -> list[Item]:
        """Close every open part and segment at what is known now; the programme may go on.

        `whole`: with all that is held of the others, however far it is ahead of the lead.
        """
        lead = self._clock.track
        if lead is None:
            return []
        items: list[Item] = []
        if lead.segment_start is not None:
            self._clock.passed(lead.segment_start if lead.end is None else lead.end)
            items += self._followers.release(now_ns, at_once=True)
            open_tracks = [t for t in self._tracks.values() if t.msn == lead.msn]
            if any(t.segment_units for t in open_tracks):
                end = lead.end if lead.end and lead.segment_units else lead.segment_start + 1
                items += self._cut_lead(lead, end, silent=not lead.segment_units)
            items += self._followers.force(lead, now_ns, whole=whole)
        self._followers.drop()
        return items

    def end(self, now_ns: int, *, final: bool) -> list[Item]:
        """Close everything; nothing may follow."""
        return [*self.close(now_ns, whole=True), ProgramEnd(final)]

    # -- the lead decides --------------------------------------------------------------------

    def _usable(self, unit: Unit) -> bool:
        """Damaged audio is left out; damaged video until the next keyframe."""
        if unit.track != VIDEO:
            self.counts["damaged"] += unit.damaged
            return not unit.damaged
        if unit.damaged:
            self.counts["damaged"] += 1
            self._await_keyframe = True
            return False
        if self._await_keyframe and not unit.keyframe:
            self.counts["before-keyframe"] += 1
            return False
        self._await_keyframe = False
        return True

    def _write_lead(self, lead: Track, unit: Unit, now_ns: int) -> list[Item]:
        unit, moved = lead.admit(unit, self._reach(lead))
        self.counts["timestamp-moved"] += moved
        if lead.segment_start is None:
            self._start_segments(lead, unit.dts)
        self._fresh = False
        items: list[Item] = []
        end = end_before(lead, unit.dts, self._limits.part(lead))
        if end is not None and end < unit.dts:
            items.append(lead.cut_part(end))
            unit = lead.follow(unit, self._reach(lead))
        items += self._cut_before(lead, unit)
        if not lead.segment_units:
            unit = lead.follow(unit, self._reach(lead))
            self.counts["segment-without-keyframe"] += not unit.keyframe
        if unit.keyframe and lead.format.track == VIDEO:
            self._keyframes.receive(unit.dts)
        items += self._place(lead, unit, now_ns)
        self._clock.passed(lead.end or 0)
        if self._next_end(lead) > self._segment_limit(lead):
            items += self._cut_lead(lead, lead.end or 0)
        return items

    def _reach(self, lead: Track) -> int:
        """Before this a late picture is taken to follow without a hole: it is shown before the next
        part ends, and in this segment."""
        if lead.format.track != VIDEO:
            return 0
        reach = (lead.floor or 0) + self._limits.part(lead)
        start = lead.segment_start
        return reach if start is None else min(reach, start + self._longest(lead))

    def _start_segments(self, lead: Track, start: int) -> None:
        for track in self._tracks.values():
            track.segment_start = self._clock.to(track, start)

    def _cut_before(self, lead: Track, unit: Unit) -> list[Item]:
        """Cuts that the unit forces by being late, or by being a keyframe."""
        items = self._cut_silence(lead, unit.dts)
        start = lead.segment_start or 0
        if not lead.segment_units or not unit.keyframe or lead.format.track != VIDEO:
            return items
        gop = self._keyframes.gop
        if self._keyframes.latest is not None:
            gop = max(gop or 0, unit.dts - self._keyframes.latest)
        elapsed = unit.dts - start
        if (
            gop is None
            or elapsed >= self._limits.segment(lead)
            or elapsed + gop > self._longest(lead)
        ):
            items += self._cut_lead(lead, unit.dts)
        return items

    def _cut_silence(self, lead: Track, until: int) -> list[Item]:
        """Cut segments that would be too long if they reached to `until`, where nothing was."""
        items: list[Item] = []
        longest = self._longest(lead)
        while lead.segment_start is not None and until - lead.segment_start >= longest:
            end = lead.segment_start + self._limits.segment(lead)
            if lead.segment_units:
                end = max(end, lead.end or 0)
            items += self._cut_lead(lead, end, silent=True)
        return items

    def _segment_limit(self, lead: Track) -> int:
        """Lead ticks that no unit may end after if it is to be in the open segment."""
        start = lead.segment_start or 0
        short, longest = start + self._limits.segment(lead), start + self._longest(lead)
        if lead.format.track != VIDEO:
            return short
        expected = self._keyframes.expected(lead.end or start)
        if expected is None:
            # The first GOP: it may end any time, unless it has lasted for too long already.
            return longest if self._keyframes.latest == start else short
        return longest if expected <= longest else short

    def _longest(self, lead: Track) -> int:
        """What a segment of the lead may last: those of the others end up to a frame later."""
        frames = (self._clock.of(track, track.cadence.duration) for track in self._followers)
        longest = self._limits.longest(lead) - max(frames, default=0)
        return max(longest, self._limits.segment(lead))

    def _cut_lead(self, lead: Track, end: int, *, silent: bool = False) -> list[Item]:
        items = lead.cut_segment(end, self._limits.part(lead))
        self.msn = lead.msn
        self._clock.cut(lead.msn, end)
        self.counts["silent-segments"] += silent
        return items

    def _advance_silent_lead(self, track: Track) -> list[Item]:
        """The lead is `HOLD_S` behind the newest unit held: go on without it."""
        lead = self._clock.track
        if lead is None or self._clock.ticks is None:
            return []
        newest = self._clock.of(track, track.held[-1].dts) - HOLD_S * lead.format.timescale
        if newest <= self._clock.ticks:
            return []
        self._clock.passed(newest)
        return self._cut_silence(lead, newest)

    # -- shared ------------------------------------------------------------------------------

    def _place(self, track: Track, unit: Unit, now_ns: int) -> list[Item]:
        """The sample, between the cut of a part it no longer fits and the cut it completes."""
        items: list[Item] = []
        target = self._limits.part(track)
        if (end := end_before(track, unit.dts, target)) is not None:
            items.append(track.cut_part(end))
        longest = self._longest(track) if track is self._clock.track else None
        items.append(track.place(unit, self.discontinuity_seq, self.epoch_ns, now_ns, longest))
        if (end := end_behind(track, target)) is not None:
            items.append(track.cut_part(end))
        return items

    def _next_end(self, track: Track) -> int:
        """Where the unit after the newest one is expected to end."""
        return (track.end or 0) + track.cadence.duration

    def _set_format(self, format: Format) -> list[Item]:
        track = self._tracks.get(format.track)
        if track is None:
            self._tracks[format.track] = Track.of(format, self.msn)
            return [FormatChange(format, 0)]
        if same_media(track.format, format):
            return []
        changed = Track.of(format, self.msn)
        changed.init = track.init + 1
        if track.floor is not None:
            changed.floor = -(-track.floor * format.timescale // track.format.timescale)
        self._tracks[format.track] = changed
        return [FormatChange(format, changed.init)]
