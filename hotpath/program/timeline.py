"""The timeline: publishers' clocks in, the programme's clock out.

Invariant: per track, times leave in the track's own timescale and never lie before the start of
the current stretch; both tracks of a stretch share one offset, so sound stays with picture. A
stretch ends when the lead's clock is reset, jumps or goes backwards, or a new publisher or format
begins; the next one starts at a keyframe of the lead, as much later as the wall clock says.

The programme's clock counts from its epoch (the first keyframe ever, Unix ns), over reconnects and
restarts of the node. Audio is counted in whole frames, because 90 kHz cannot express them, and set
right when the publisher's clock is further off than `RESYNC_FRAMES`. The companion is counted the
same way and follows the same offset, but never decides anything for another track.

Upstream: `hotpath.program.service`, with 90 kHz units of one publisher, unwrapped. Downstream:
`marks`. Pure: the wall clock arrives as each unit's `ingest_ns`.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hotpath.media.opus import SAMPLE_RATE as OPUS_RATE
from hotpath.media.opus import packet_samples
from hotpath.media.unit import COMPANION, VIDEO, Codec, Format, Unit

CLOCK_HZ = 90_000
JUMP = CLOCK_HZ
"""A step of more than a second forward is a jump."""
BACK = CLOCK_HZ // 10
"""A step back by more than this is a reset; less is a publisher's jitter, left to the marks."""
NEAR = 3 * CLOCK_HZ // 2
"""Tracks of one clock are no further apart than this."""
SETTLED = 3 * CLOCK_HZ
RESYNC_FRAMES = 1.5
HELD_MAX = 1024
_AAC_FRAME = 1024
_OPUS_FRAMES_PER_S = 50


@dataclass(frozen=True, slots=True)
class Stretch:
    """A new stretch starts here: the marks close what is open and count a discontinuity."""

    start: int
    """Programme clock, 90 kHz."""


@dataclass(slots=True)
class _Track:
    format: Format
    frame: int
    """Audio: samples per frame."""
    stretch: int = -1
    """The stretch whose clock the track has followed."""
    last: int | None = None
    """Publisher's clock, as far as it has come."""
    next_tick: int | None = None
    """Audio: where the next frame belongs by counting."""

    def step(self, raw: int) -> int | None:
        return None if self.last is None else raw - self.last

    def continues(self, raw: int) -> bool:
        step = self.step(raw)
        return step is not None and -BACK <= step <= JUMP

    def follow(self, raw: int) -> None:
        """Many small steps back must not add up, so the clock only advances until it is reset."""
        if self.last is None or raw > self.last or not self.continues(raw):
            self.last = raw


def programme_format(format: Format) -> Format:
    """The format as the programme publishes it: audio frames have a length to count by."""
    if format.track == VIDEO or format.frame_duration > 0:
        return format
    samples = format.timescale // _OPUS_FRAMES_PER_S if format.codec is Codec.OPUS else _AAC_FRAME
    return replace(format, frame_duration=samples)


def lead_of(formats: Iterable[Format]) -> str | None:
    """The track whose clock the others follow: the picture, else the first sound."""
    names = [format.track for format in formats if format.track != COMPANION]
    return VIDEO if VIDEO in names else min(names, default=None)


def _samples(track: _Track, unit: Unit) -> int:
    """How long an audio frame lasts: Opus packets say it themselves, and may change it."""
    spoken = packet_samples(unit.data) if track.format.codec is Codec.OPUS else 0
    return spoken * track.format.timescale // OPUS_RATE or track.frame


class Timeline:
    """Maps one publisher after the other onto one clock; see the module for the invariant."""

    def __init__(self, epoch_ns: int | None = None) -> None:
        self.epoch_ns = epoch_ns
        """Unix ns of tick 0; None until the first keyframe ever."""
        self.end = 0
        """90 kHz: nothing was mapped to a later time."""
        self.counts: Counter[str] = Counter()
        """Units that were left out, by reason."""
        self._tracks: dict[str, _Track] = {}
        self._lead: str | None = None
        self._offset: int | None = None
        """Programme clock minus publisher's clock, 90 kHz."""
        self._anchored = False
        self._ahead = 0
        """90 kHz: how much earlier than the wall clock says the lead's newest unit came."""
        self._stretch = 0
        self._start = 0
        self._held: deque[Unit] = deque()
        """Units of other tracks whose clock is not known to be the lead's yet."""
        self._held_companion: deque[Unit] = deque()
        self._companion_end = 0
        """90 kHz: no unit of the companion was mapped to a later time."""

    def begin(self, formats: Sequence[Format], *, same_clock: bool) -> None:
        """Start over at the lead's next keyframe: another publisher, or other formats of this one.

        `formats` are as `programme_format` returns them.
        """
        old = self._tracks if same_clock else {}
        self._tracks = {}
        for format in formats:
            track = _Track(format, format.frame_duration)
            if format.track in old:
                track.last = old[format.track].last
            self._tracks[format.track] = track
        self._lead = lead_of(formats)
        if not same_clock:
            self._offset = None
        self._anchored = False
        self._held.clear()
        self._held_companion.clear()

    def add(self, format: Format) -> None:
        """One more track of the same publisher; it follows the lead's clock at once."""
        self._tracks[format.track] = _Track(format, format.frame_duration)
        self._lead = self._lead or lead_of([format])

    def remove(self, name: str) -> None:
        """The publisher no longer has this track, which was not the lead."""
        self._tracks.pop(name, None)
        for held in (self._held, self._held_companion):
            kept = [unit for unit in held if unit.track != name]
            held.clear()
            held.extend(kept)

    @property
    def companion_end(self) -> int:
        """90 kHz: no unit of the companion was mapped to a later time."""
        return self._companion_end

    def reserve(self, end: int) -> None:
        """Time is filled up to here without a publisher; what was mapped beyond never went out."""
        self.end = end
        self._companion_end = max(self._companion_end, end)

    def receive(self, unit: Unit) -> list[Unit | Stretch]:
        """What the unit becomes: itself on the programme's clock, with what it set free."""
        track = self._tracks.get(unit.track)
        if track is None:
            self.counts["unknown-track"] += 1
            return []
        if unit.track == self._lead:
            return self._receive_lead(track, unit)
        if not self._anchored:
            self._hold(unit)
            return []
        return self._receive_other(track, unit)

    # -- the lead ----------------------------------------------------------------------------

    def _receive_lead(self, track: _Track, unit: Unit) -> list[Unit | Stretch]:
        continues = track.continues(unit.dts)
        if track.last is not None and not continues and not self._only_a_hole(track, unit.dts):
            self.counts["clock-jumps"] += self._anchored
            self._anchored, self._offset = False, None
        track.follow(unit.dts)
        if self._anchored:
            return self._map(track, unit)
        if not unit.keyframe or unit.damaged:
            self.counts["before-keyframe"] += 1
            return []
        return self._anchor(track, unit)

    def _only_a_hole(self, lead: _Track, raw: int) -> bool:
        """The lead lost more than a second, but another track shows that the clock went on."""
        step = lead.step(raw) or 0
        return step > 0 and any(
            track is not lead
            and track.format.track != COMPANION
            and track.stretch == self._stretch
            and track.last is not None
            and abs(raw - track.last) <= NEAR
            for track in self._tracks.values()
        )

    def _anchor(self, lead: _Track, unit: Unit) -> list[Unit | Stretch]:
        if self.epoch_ns is None:
            self.epoch_ns = unit.ingest_ns
        same_clock = self._offset is not None
        if self._offset is None:
            self._offset = max(self._wall(unit), self.end) - unit.dts
        self._anchored = True
        self._stretch += 1
        self._start = unit.dts + self._offset
        for track in self._tracks.values():
            track.next_tick = None
            if same_clock:
                track.stretch = self._stretch
        out: list[Unit | Stretch] = [Stretch(self._start), *self._map(lead, unit)]
        held = [*self._held, *self._held_companion]
        self._held.clear()
        self._held_companion.clear()
        for other in held:
            if abs(other.dts - unit.dts) <= NEAR:
                out += self._map(self._tracks[other.track], other)
            else:
                self._count(other, "other-clock")
        return out

    # -- the others --------------------------------------------------------------------------

    def _receive_other(self, track: _Track, unit: Unit) -> list[Unit | Stretch]:
        lead = self._tracks[self._lead] if self._lead else track
        raw = unit.dts
        if raw + (self._offset or 0) - self._wall(unit) > self._ahead + NEAR:
            # An encoder that ends may send sound that it never had the time to play.
            self._count(unit, "other-clock")
            return []
        near = lead.last is not None and abs(raw - lead.last) <= NEAR
        if track.stretch == self._stretch:
            if track.continues(raw) or near:
                return self._map(track, unit)
            # Its clock was reset before the lead's: wait for the lead to follow.
            self._hold(unit)
            return []
        settled = (lead.last or 0) + (self._offset or 0) - self._start > SETTLED
        if near and (settled or not track.continues(raw)):
            return self._map(track, unit)
        track.follow(raw)
        self._count(unit, "other-clock")
        return []

    def _wall(self, unit: Unit) -> int:
        """The programme's clock by the wall when the unit came."""
        return (unit.ingest_ns - (self.epoch_ns or 0)) * CLOCK_HZ // 1_000_000_000

    def _hold(self, unit: Unit) -> None:
        held = self._held_companion if unit.track == COMPANION else self._held
        held.append(unit)
        if len(held) > HELD_MAX:
            self._count(held.popleft(), "other-clock")

    def _count(self, unit: Unit, reason: str) -> None:
        """The companion's are not the creator's business: the same sound is counted as audio."""
        self.counts[f"companion-{reason}" if unit.track == COMPANION else reason] += 1

    # -- shared ------------------------------------------------------------------------------

    def _map(self, track: _Track, unit: Unit) -> list[Unit | Stretch]:
        offset = self._offset or 0
        track.follow(unit.dts)
        track.stretch = self._stretch
        pts, dts = unit.pts + offset, unit.dts + offset
        if unit.track == self._lead:
            self._ahead = dts - self._wall(unit)
        if unit.track == VIDEO:
            self.end = max(self.end, dts + track.format.frame_duration)
            return [replace(unit, pts=pts, dts=dts)]
        return self._map_audio(track, unit, pts)

    def _map_audio(self, track: _Track, unit: Unit, pts: int) -> list[Unit | Stretch]:
        rate = track.format.timescale
        tick = (pts * rate + CLOCK_HZ // 2) // CLOCK_HZ
        if track.next_tick is None:
            companion = unit.track == COMPANION
            start = max(self._start, self._companion_end) if companion else self._start
            first = -(-start * rate // CLOCK_HZ)
            if tick < first - track.frame // 2:
                self._count(unit, "before-start")
                return []
            tick = max(tick, first)
        elif abs(tick - track.next_tick) <= RESYNC_FRAMES * track.frame:
            tick = track.next_tick
        elif tick < track.next_tick:
            self._count(unit, "audio-overlap")
            return []
        else:
            self._count(unit, "audio-resync")
        track.next_tick = tick + _samples(track, unit)
        end = -(-track.next_tick * CLOCK_HZ // rate)
        if unit.track == COMPANION:
            self._companion_end = max(self._companion_end, end)
        else:
            self.end = max(self.end, end)
        return [replace(unit, pts=tick, dts=tick)]
