"""The slate: what a programme shows while no publisher does: its last picture, and silence.

Invariant: while it is on, there is a beat within one part target of the beat before, its first
included, and each beat is one whole part of every track: no shorter than 85 % of the part target
where the sound's frames allow that, never longer. Beats follow the programme's clock; where that
runs ahead of the wall they come as seldom as they may until it does not. One access unit is
remembered, by reference.

Upstream: `hotpath.program.service`, which says what was published and when the slate is on.
Downstream: `output`. Pure: `now` is monotonic ns, `clock` the programme's clock by the wall.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from hotpath.media.silence import Silence, silence_for
from hotpath.media.still import stills
from hotpath.media.unit import VIDEO, Format, Unit
from hotpath.program.timeline import CLOCK_HZ

NS = 1_000_000_000
EARLY = CLOCK_HZ // 20
"""A beat comes so long before its end, as a part of a publisher comes with its last frame."""
CATCH_UP = 3 * CLOCK_HZ
"""Time without media that is filled afterwards; what is longer stays a hole."""
MARGIN_NS = 15_000_000
"""What a timer may be late by."""
_SHORTEST = Fraction(85, 100)
_LONGEST = (Fraction(95, 100), Fraction(1))
"""Of the part target; the second only where no number of sound frames fits the first."""


@dataclass(slots=True)
class _Sound:
    """Silence of one track."""

    format: Format
    silence: Silence
    next: int = 0
    """Ticks of the track: where the next frame begins."""

    @property
    def seconds(self) -> Fraction:
        return Fraction(self.silence.samples, self.format.timescale)

    def start(self, clock: int) -> None:
        self.next = max(self.next, -(-clock * self.format.timescale // CLOCK_HZ))

    def until(self, clock: int, wall_ns: int) -> list[Unit]:
        """The frames that begin before this time."""
        units: list[Unit] = []
        while self.next * CLOCK_HZ < clock * self.format.timescale:
            track, at = self.format.track, self.next
            units.append(Unit(track, at, at, True, self.silence.data, wall_ns, wall_ns, slate=True))
            self.next += self.silence.samples
        return units


class _Beats:
    """Where beats begin: at frames of the sound that gives the time, so that its parts fit."""

    def __init__(
        self, start: int, part: Fraction, target: Fraction, sounds: Sequence[_Sound]
    ) -> None:
        self._at = Fraction(start, CLOCK_HZ)
        # Without a sound that fits: whole parts to a segment.
        self.length = target / -(-target // part)
        if self.length < _SHORTEST * part:
            self.length = _LONGEST[0] * part
        for sound in sounds:
            if (length := _whole_frames(sound.seconds, part)) is not None:
                self.length = length
                self._at = Fraction(sound.next, sound.format.timescale)
                break

    def edge(self, number: int) -> int:
        return (self._at + number * self.length) * CLOCK_HZ // 1


def _whole_frames(frame: Fraction, part: Fraction) -> Fraction | None:
    for most in _LONGEST:
        length = most * part // frame * frame
        if length >= _SHORTEST * part:
            return length
    return None


class Slate:
    """See the module for the invariant."""

    def __init__(self, part_target_ms: int, target_duration_s: int) -> None:
        self.on = False
        self.due = 0
        """Monotonic ns of the next beat, while it is on."""
        self.end = 0
        """Programme clock, 90 kHz: where the newest beat ends."""
        self._part = Fraction(part_target_ms, 1000)
        self._target = Fraction(target_duration_s)
        self._key: Unit | None = None
        self._pictures: tuple[bytes, ...] = ()
        self._sounds: list[_Sound] = []
        self._beats = _Beats(0, self._part, self._target, ())
        self._number = 0
        self._newest = 0
        """Monotonic ns of the newest beat, or of the beginning."""

    def remember(self, key: Unit) -> None:
        """A keyframe of the lead is on the air, on the programme's clock."""
        self._key = key

    def forget(self) -> None:
        """The picture that was remembered is not the programme's any more."""
        self._key = None

    def begin(self, formats: Sequence[Format], clock: int, now: int) -> tuple[Format, ...]:
        """Be on from `clock` with these formats' tracks; those that it can fill, or none at all."""
        video = next((format for format in formats if format.track == VIDEO), None)
        self._pictures = stills(video, self._key.data) if video and self._key else ()
        if video is not None and not self._pictures:
            return ()
        self._sounds = []
        for format in formats:
            self._add_sound(format, clock)
        self._beats = _Beats(clock, self._part, self._target, self._sounds)
        self._number, self._newest, self.end = 0, now, clock
        made = [
            replace(sound.format, frame_duration=sound.silence.samples) for sound in self._sounds
        ]
        if video is not None:
            duration = self._beats.length * CLOCK_HZ // 1
            made.insert(0, replace(video, frame_duration=duration))
        self.on, self.due = bool(made), now
        return tuple(made)

    def accompany(self, companion: Format, clock: int) -> None:
        """Fill this track too, from `clock` on; it has no parts."""
        self._add_sound(companion, clock)

    def _add_sound(self, format: Format, clock: int) -> None:
        silence = silence_for(format)
        if silence is not None:
            sound = _Sound(format, silence)
            sound.start(clock)
            self._sounds.append(sound)

    def stop(self) -> None:
        """A publisher is on the air again, or nothing will be."""
        self.on = False

    def poll(self, now: int, clock: int, wall_ns: int) -> list[list[Unit]]:
        """The beats that are due; times as they are published."""
        self._skip(clock)
        beats: list[list[Unit]] = []
        late = now >= self._newest + self._interval
        while late or self._beats.edge(self._number + 1) - EARLY <= clock:
            beats.append(self._beat(wall_ns))
            late = False
        if beats:
            self._newest = now
        wait = self._beats.edge(self._number + 1) - EARLY - clock
        self.due = min(now + wait * NS // CLOCK_HZ, self._newest + self._interval)
        return beats

    @property
    def _interval(self) -> int:
        """Between two beats at most."""
        return max(int(self._part * NS) - MARGIN_NS, int(self._beats.length * NS))

    def _skip(self, clock: int) -> None:
        """Leave a hole where filling it would take too long."""
        missing = clock - CATCH_UP - self._beats.edge(self._number)
        if missing > 0:
            self._number += int(Fraction(missing, CLOCK_HZ) // self._beats.length)
            for sound in self._sounds:
                sound.start(self._beats.edge(self._number))

    def _beat(self, wall_ns: int) -> list[Unit]:
        """One part of every track; sound first, so that it has come when the picture passes it."""
        begin, self.end = self._beats.edge(self._number), self._beats.edge(self._number + 1)
        self._number += 1
        units = [unit for sound in self._sounds for unit in sound.until(self.end, wall_ns)]
        if self._pictures and self._key is not None:
            data = self._pictures[self._number % len(self._pictures)]
            shown = begin + self._key.pts - self._key.dts
            units.append(Unit(VIDEO, shown, begin, True, data, wall_ns, wall_ns, slate=True))
        return units
