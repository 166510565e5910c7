"""How far a track trails the lead's clock, so that what arrives in bursts leaves evenly.

A transport stream brings sound many frames at a time, each burst when its last frame is there: the
first frame is late by the length of the burst, the last not at all. Invariant: the delay is never
longer than the longest that arrival has cost lately, at most `MOST_S`, so only what would be early
waits; it is none for a track that comes evenly, however late. It grows at once, and shrinks slowly
enough for the track to go on evenly. Pure; used only by `hotpath.program.followers`.
"""

from dataclasses import dataclass

MOST_S = 1
WINDOW_S = 2
"""Half of what is remembered, on the lead's clock."""
SHRINK = 4
"""The delay shrinks by one tick in so many of the lead's clock."""


@dataclass(slots=True)
class _Seen:
    """How late units came, at most and at least."""

    most: int
    least: int

    def receive(self, late: int) -> None:
        self.most, self.least = max(self.most, late), min(self.least, late)


@dataclass(slots=True)
class Lag:
    """Of one track in one stretch; everything in its ticks."""

    timescale: int
    ticks: int = 0
    """Up to so long before the lead's clock units are to leave."""
    _now: _Seen | None = None
    _before: _Seen | None = None
    _turned: int = 0
    """Where on the lead's clock the present half of what is remembered began."""
    _clock: int | None = None

    def receive(self, dts: int, duration: int, clock: int, tolerance: int) -> None:
        """A unit came while the lead's clock stood there. `tolerance`: what counts as even."""
        late = max(clock - dts, 0)
        if self._now is None or clock - self._turned > WINDOW_S * self.timescale:
            self._before, self._now, self._turned = self._now, _Seen(late, late), clock
        self._now.receive(late)
        self.ticks = max(self.ticks, self._wanted(duration, tolerance))

    def advance(self, duration: int, clock: int, tolerance: int) -> None:
        """The lead's clock has come so far."""
        passed = 0 if self._clock is None else max(clock - self._clock, 0)
        self._clock = clock
        wanted = self._wanted(duration, tolerance)
        if self.ticks > wanted:
            self.ticks = max(self.ticks - passed // SHRINK, wanted)

    def _wanted(self, duration: int, tolerance: int) -> int:
        seen = [each for each in (self._now, self._before) if each is not None]
        most = max((each.most for each in seen), default=0)
        if most - min((each.least for each in seen), default=0) <= tolerance:
            return 0
        # The first frame of the longest burst leaves as it comes.
        return max(min(most, MOST_S * self.timescale) - duration, 0)
