"""How far a track trails the lead's clock, so that what arrives in bursts leaves evenly.

A transport stream brings sound many frames at a time, each burst when its last frame is there: the
first frame is late by the length of the burst, the last not at all. Invariant: the delay is never
longer than arrival has cost lately, at most `MOST_S`, so only what would be early waits; it is none
for a track that comes evenly, however late, and soon none for one that was late once, as where an
encoder took its time to start. It grows at once and shrinks as the lead's clock goes on, so the
track leaves at twice its pace meanwhile. Pure; used only by `hotpath.program.followers`.
"""

from collections import deque
from dataclasses import dataclass, field

MOST_S = 1
WINDOWS = 5
WINDOWS_A_S = 2
"""On the lead's clock; a window begins when something comes, so none is empty."""
BELIEVED = 3
"""With so many windows, the longest delay of one alone says nothing."""


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
    _seen: deque[_Seen] = field(default_factory=lambda: deque(maxlen=WINDOWS))
    """By window; the last is the present one."""
    _turned: int = 0
    """Where on the lead's clock that began."""
    _clock: int | None = None

    def receive(self, dts: int, duration: int, clock: int, tolerance: int) -> None:
        """A unit came while the lead's clock stood there. `tolerance`: what counts as even."""
        late = max(clock - dts, 0)
        if not self._seen or (clock - self._turned) * WINDOWS_A_S > self.timescale:
            self._seen.append(_Seen(late, late))
            self._turned = clock
        self._seen[-1].receive(late)
        self.ticks = max(self.ticks, self._wanted(duration, tolerance))

    def advance(self, duration: int, clock: int, tolerance: int) -> None:
        """The lead's clock has come so far."""
        passed = 0 if self._clock is None else max(clock - self._clock, 0)
        self._clock = clock
        if self.ticks:
            wanted = self._wanted(duration, tolerance)
            self.ticks = max(self.ticks - passed, min(wanted, self.ticks))

    def _wanted(self, duration: int, tolerance: int) -> int:
        if not self._seen:
            return 0
        # What was seen in one window only is not believed, once there are others.
        longest = sorted((seen.most for seen in self._seen), reverse=True)
        most = longest[0 if len(longest) < BELIEVED else 1]
        if most - min(seen.least for seen in self._seen) <= tolerance:
            return 0
        # The first frame of a burst leaves as it comes.
        return max(min(most, MOST_S * self.timescale) - duration, 0)
